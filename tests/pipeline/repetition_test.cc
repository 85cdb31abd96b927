// Nothing is said twice, whatever identifiers the events carry.
#include <map>

#include "modes_fixture.h"

namespace grace::testing {
namespace {

using Repetition = Modes;

TEST_F(Repetition, ADetectorDoesNotRepeatItselfWhileAProblemLasts) {
  know();
  pass(kNsPerHour);
  tools::Random random(3);
  // Two hours in which one call in four fails, and latency stays high.
  const std::int64_t end_ns = stream_.now_ns + 2 * kNsPerHour;
  for (int i = 0; stream_.now_ns < end_ns; ++i, stream_.pass(5 * kNsPerSecond)) {
    stream_.action("gateway", "call", "api", "core", i % 4 == 0 ? "error" : "success");
  }
  run(schedule::Mode::kObserve);
  // Every report, suppressed ones too: what a detector says, not what the gates let through.
  std::map<std::string, std::size_t> reports;
  for (const LedgerEntry& entry : of_action(entries_, "intelligent_trigger")) {
    ++reports[std::string(entry.payload()["diagnosis_code"].as_string())];
  }
  ASSERT_EQ(reports.count("recurring_error"), 1U) << triggers_told(entries_);
  for (const auto& [diagnosis, count] : reports) {
    EXPECT_LE(count, 5U) << diagnosis << "; " << triggers_told(entries_);
  }
}

TEST_F(Repetition, IdentifiersInEventsDoNotMakeOneProblemMany) {
  know();
  for (int i = 0; i < 720; ++i, stream_.pass(5 * kNsPerSecond)) {
    stream_.action("gateway", "call", "api", "core", "success",
                   R"({"code":200,"request_id":"r)" + std::to_string(i) + "\"}");
  }
  for (int i = 0; i < 9; ++i, stream_.pass(3 * kNsPerSecond)) {
    const std::string id = std::to_string(1000 + i * 7919);
    stream_.action("gateway", "call", "api", "core", "error",
                   R"({"code":500,"request_id":"r)" + id + R"(","trace_id":"t)" + id +
                       R"(","session_id":"s)" + id + "\"}");
  }
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kObserve);
  std::size_t patterns = 0;
  for (const LedgerEntry& entry : of_action(entries_, "intelligent_trigger")) {
    if (entry.payload()["diagnosis_code"].as_string() != "recurring_error") continue;
    ++patterns;
    EXPECT_EQ(entry.at("result"), "emitted");
    EXPECT_NE(entry.text.find("9 times"), std::string::npos) << entry.text;
  }
  EXPECT_EQ(patterns, 1U) << triggers_told(entries_);
  EXPECT_EQ(summary_.incidents, 1U);
}

TEST_F(Repetition, TheSameProblemUnderOtherIdsIsADuplicateOfTheFirst) {
  know();
  for (int i = 0; i < 20; ++i) {
    const std::string id = std::to_string(i);
    stream_.mesh("agentic_spine.health_degradation", "api",
                 R"({"diagnosis_code":"illness","confidence":0.9,"trigger_id":"t)" + id +
                     R"(","reasoning":["request )" + id +
                     R"( failed"],"metadata":{"request_id":")" + id + R"("}})");
    pass(20 * kNsPerSecond);
  }
  run(schedule::Mode::kObserve);
  const auto triggers = of_action(entries_, "intelligent_trigger");
  ASSERT_EQ(triggers.size(), 20U);
  EXPECT_EQ(triggers[0].at("result"), "emitted");
  for (std::size_t i = 1; i < triggers.size(); ++i) {
    EXPECT_EQ(triggers[i].at("result"), "suppressed:duplicate");
  }
  EXPECT_EQ(summary_.incidents, 1U);
}

TEST_F(Repetition, ASilenceOfADomainStopsThatDomainAlone) {
  stream_.topology("api", "core").topology("web", "edge");
  stream_.control("silence", {{"domain", R"("core")"}, {"duration_s", "3600"}});
  stream_.mesh("agentic_spine.health_degradation", "api", problem("illness"));
  stream_.mesh("agentic_spine.health_degradation", "web", problem("illness"));
  pass(kNsPerMinute);
  run(schedule::Mode::kObserve);
  const auto triggers = of_action(entries_, "intelligent_trigger");
  ASSERT_EQ(triggers.size(), 2U) << ledger_text();
  EXPECT_EQ(triggers[0].at("result"), "suppressed:silence");
  EXPECT_EQ(triggers[1].at("result"), "emitted");
}

}  // namespace
}  // namespace grace::testing
