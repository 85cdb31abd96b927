// What holds for whole streams: few false alarms, the same findings whatever interleaves, and every
// action in an observation.
#include <gtest/gtest.h>

#include "harness.h"
#include "subsystem_list.h"

namespace grace::log_analyzer {
namespace {

using namespace grace::testing;

std::string describe(const core::Finding& finding) {
  std::string text = std::to_string(finding.ts_ns) + " " + finding.service + " " +
                     finding.diagnosis_code + " " + finding.what + " " +
                     std::to_string(finding.confidence);
  for (const std::string& reason : finding.reasoning) text += "|" + reason;
  return text;
}

TEST(HealthyStream, ADayOfFiftyServicesRaisesHardlyAnything) {
  constexpr std::size_t kServices = 50;
  const char* const kActions[] = {"read", "write", "list"};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kServices; ++i) names.push_back("service" + std::to_string(i));
  Engine engine(log_analyzer());
  Dice dice(42);
  for (std::int64_t second = 0; second < 86'400; second += 5) {
    for (const std::string& name : names) {
      ActionText text;
      text.actor = name;
      text.resource = name;
      text.action = kActions[dice.next() % 3];
      text.result = dice.uniform() < 0.005 ? "error" : "success";
      text.duration_ms = 20.0 * std::exp(0.4 * dice.normal());
      engine.action(text, kMidnight + second * kSecond +
                              static_cast<std::int64_t>(dice.next() % 1'000'000'000));
    }
  }
  std::size_t sure = 0;
  for (const core::Finding& finding : engine.findings) {
    if (finding.confidence < 0.8) continue;
    ++sure;
    std::printf("%s\n", describe(finding).c_str());
  }
  EXPECT_LE(sure, 2U);
  EXPECT_LE(engine.findings.size(), 40U);
}

// A stream of troubled actors; `others` interleaves as many unrelated ones.
std::vector<std::string> findings_of(bool others) {
  Engine engine(log_analyzer());
  Dice dice(9);
  Dice other_dice(77);
  for (std::int64_t second = 0; second < 4 * 3600; ++second) {
    ActionText text;
    text.actor = "shop";
    text.resource = "orders";
    const char* const kSteps[] = {"open", "pick", "pay"};
    text.action = kSteps[second % 3];
    const bool troubled = second > 3 * 3600 && second < 3 * 3600 + 300;
    text.result = dice.uniform() < (troubled ? 0.3 : 0.002) ? "error" : "success";
    text.duration_ms = 10.0 + dice.uniform() + (troubled ? static_cast<double>(second % 300) : 0.0);
    engine.action(text, kMidnight + second * kSecond + 1);
    if (!others) continue;
    ActionText noise;
    noise.actor = "noise";  // another partition or not: another pattern in any case
    noise.action = "tick";
    noise.resource = "clock";
    noise.result = other_dice.uniform() < 0.2 ? "error" : "success";
    engine.action(noise, kMidnight + second * kSecond + 2);
  }
  std::vector<std::string> texts;
  for (const core::Finding& finding : engine.findings) {
    if (finding.service == "orders") texts.push_back(describe(finding));
  }
  return texts;
}

TEST(Determinism, TheSameStreamGivesTheSameFindings) {
  const auto first = findings_of(false);
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first, findings_of(false));
}

TEST(Determinism, UnrelatedActorsBetweenChangeNothing) {
  EXPECT_EQ(findings_of(false), findings_of(true));
}

TEST(Observations, CountEveryActionAndErrorOnce) {
  Engine engine(log_analyzer());
  Dice dice(4);
  std::uint64_t errors = 0;
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  std::int64_t ts = kMidnight;
  for (int i = 0; i < 10'000; ++i) {
    ActionText text;
    text.actor = names[dice.next() % names.size()];
    text.resource = names[dice.next() % names.size()];
    text.result = dice.uniform() < 0.1 ? "error" : "success";
    errors += text.result == "error" ? 1 : 0;
    // Time that also jumps over periods, and a little back.
    ts += static_cast<std::int64_t>(dice.next() % 400) * 10'000'000;
    if (i % 1000 == 999) ts += 5 * kMinute;
    engine.action(text, ts - static_cast<std::int64_t>(dice.next() % 2) * kSecond);
  }
  engine.advance(ts + kMinute);
  std::uint64_t seen = 0;
  std::uint64_t seen_errors = 0;
  for (const core::Observation& observation : engine.observations) {
    ASSERT_EQ(observation.kind, core::ObservationKind::kActions);
    EXPECT_GT(observation.count, 0U);
    EXPECT_EQ(observation.ts_ns % (10 * kSecond), 0);
    seen += observation.count;
    seen_errors += static_cast<std::uint64_t>(observation.value);
    EXPECT_EQ(observation.value > 0.0, observation.first_error_sequence != 0);
  }
  EXPECT_EQ(seen, 10'000U);
  EXPECT_EQ(seen_errors, errors);
}

}  // namespace
}  // namespace grace::log_analyzer
