#include <gtest/gtest.h>

#include "harness.h"
#include "subsystem_list.h"

namespace grace::log_analyzer {
namespace {

using namespace grace::testing;

ActionText failing() {
  ActionText text;
  text.result = "error";
  return text;
}

std::string metadata_of(const core::Finding& finding, std::string_view key) {
  for (const auto& [name, value] : finding.metadata) {
    if (name == key) return value;
  }
  return "";
}

class RecurringError : public ::testing::Test {
 protected:
  void errors(int count, std::int64_t from_ns, std::int64_t step_ns) {
    for (int i = 0; i < count; ++i) engine_.action(failing(), from_ns + i * step_ns);
  }
  void successes(std::int64_t from_ns, std::int64_t to_ns, std::int64_t step_ns) {
    for (std::int64_t ts = from_ns; ts < to_ns; ts += step_ns) engine_.action({}, ts);
  }
  Engine engine_{log_analyzer()};
};

TEST_F(RecurringError, TwoAreNoPattern) {
  errors(2, kMidnight, kMinute);
  engine_.advance(kMidnight + kHour);
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(RecurringError, ThreeWithinTheWindowAreOne) {
  errors(3, kMidnight, 2 * kMinute);
  engine_.advance(kMidnight + kHour);
  ASSERT_EQ(engine_.findings.size(), 1U);
  EXPECT_EQ(engine_.findings[0].type, core::TriggerType::kPatternDetected);
  EXPECT_GE(engine_.findings[0].confidence, 0.70);
  EXPECT_LT(engine_.findings[0].confidence, 0.80);  // three are few
}

TEST_F(RecurringError, ThreeInMoreThanTheWindowAreNone) {
  errors(3, kMidnight, 5 * kMinute + kSecond);
  engine_.advance(kMidnight + kHour);
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(RecurringError, DifferentActorsOrResourcesAreDifferentPatterns) {
  ActionText text = failing();
  for (const auto* actor : {"a", "b", "c", "d"}) {
    text.actor = actor;
    engine_.action(text, kMidnight);
    engine_.action(text, kMidnight + kSecond);
  }
  engine_.advance(kMidnight + kHour);
  EXPECT_TRUE(engine_.of("recurring_error").empty());
}

TEST_F(RecurringError, IdentifiersInTheActionsNameDoNotPartPatterns) {
  for (const std::string& name :
       {std::string("delete_order_"), std::string("cannot open file "), std::string("retry_v2_")}) {
    ActionText text = failing();
    text.actor = name;  // each on its own
    std::vector<std::string> names;
    for (int i = 0; i < 7; ++i) names.push_back(name + std::to_string(4711 + 13 * i));
    for (std::size_t i = 0; i < names.size(); ++i) {
      text.action = names[i];
      engine_.action(text, kMidnight + static_cast<std::int64_t>(i) * kSecond);
    }
  }
  engine_.advance(kMidnight + kHour);
  const auto found = engine_.of("recurring_error");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].what.substr(0, 16), "delete_order_<*>");
}

TEST_F(RecurringError, ShortNumbersInTheActionsNameDo) {
  ActionText text = failing();
  for (const auto* action : {"step_1", "step_2", "step_3", "step_4", "step_5"}) {
    text.action = action;
    engine_.action(text, kMidnight);
  }
  engine_.advance(kMidnight + kHour);
  EXPECT_TRUE(engine_.of("recurring_error").empty());
}

TEST_F(RecurringError, SessionsOfOneActorAreOnePattern) {
  ActionText text = failing();
  for (const auto* session : {"s1", "s2", "s3", "s4"}) {
    text.session = session;
    engine_.action(text, kMidnight);
  }
  engine_.advance(kMidnight + kHour);
  EXPECT_EQ(engine_.of("recurring_error").size(), 1U);
}

TEST_F(RecurringError, SevenInABurstSpeakAsTheDocumentDoes) {
  successes(kMidnight, kMidnight + kHour, 3 * kSecond);
  errors(7, kMidnight + kHour, 4 * kSecond);
  engine_.advance(kMidnight + kHour + 5 * kMinute);
  const auto found = engine_.of("recurring_error");
  ASSERT_EQ(found.size(), 1U);
  const core::Finding& finding = found[0];
  EXPECT_NEAR(finding.confidence, 0.88, 0.015);
  EXPECT_EQ(finding.service, "auth_service");
  EXPECT_EQ(finding.what, "auth_validate");
  EXPECT_EQ(finding.domain, "core");
  EXPECT_EQ(finding.impact, core::Impact::kHigh);
  ASSERT_GE(finding.reasoning.size(), 4U);
  EXPECT_EQ(finding.reasoning[0], "Pattern: auth_validate errors");
  EXPECT_EQ(finding.reasoning[1], "Occurrences: 7 times in 10 minutes");
  EXPECT_EQ(finding.reasoning[2], "Timespan: 24 seconds");
  EXPECT_EQ(finding.reasoning[3], "Resources: auth_service");
  EXPECT_EQ(finding.suggested_playbooks,
            (std::vector<std::string>{"investigate_root_cause", "rollback_flag"}));
  EXPECT_EQ(finding.evidence.size(), 7U);
  EXPECT_EQ(finding.evidence.front().ts_ns, kMidnight + kHour);
  EXPECT_LT(finding.evidence.front().sequence, finding.evidence.back().sequence);
  EXPECT_EQ(metadata_of(finding, "occurrences"), "7");
  // Within a settle time of the burst's end.
  EXPECT_LE(finding.ts_ns, kMidnight + kHour + 24 * kSecond + 12 * kSecond);
}

TEST_F(RecurringError, AStormIsReportedAtOnce) {
  errors(2000, kMidnight, 10'000'000);
  ASSERT_FALSE(engine_.findings.empty());
  EXPECT_LE(engine_.findings[0].ts_ns, kMidnight + 2 * kSecond);
  EXPECT_GT(engine_.findings[0].confidence, 0.95);
}

TEST_F(RecurringError, ASteadyRateIsNotReportedAgain) {
  errors(120, kMidnight, kMinute);  // two hours, ten in each window
  engine_.advance(kMidnight + 3 * kHour);
  // At the threshold, and when the window has filled to twice that.
  EXPECT_LE(engine_.of("recurring_error").size(), 2U);
}

TEST_F(RecurringError, GrowthIsReportedAgain) {
  errors(5, kMidnight, kSecond);
  engine_.advance(kMidnight + kMinute);
  ASSERT_EQ(engine_.findings.size(), 1U);
  errors(4, kMidnight + kMinute, kSecond);  // nine: less than twice five
  engine_.advance(kMidnight + 2 * kMinute);
  EXPECT_EQ(engine_.findings.size(), 1U);
  errors(2, kMidnight + 2 * kMinute, kSecond);
  engine_.advance(kMidnight + 3 * kMinute);
  ASSERT_EQ(engine_.findings.size(), 2U);
  EXPECT_EQ(metadata_of(engine_.findings[1], "occurrences"), "11");
}

TEST_F(RecurringError, RecurrenceAfterQuietIsReportedAgain) {
  errors(4, kMidnight, kSecond);
  successes(kMidnight + kMinute, kMidnight + 2 * kHour, 10 * kSecond);
  errors(4, kMidnight + 2 * kHour, kSecond);
  engine_.advance(kMidnight + 3 * kHour);
  EXPECT_EQ(engine_.of("recurring_error").size(), 2U);
}

TEST_F(RecurringError, APatternThatAlwaysErrsThatMuchIsSilent) {
  Dice dice(7);
  std::size_t reported_early = 0;
  for (std::int64_t ts = kMidnight; ts < kMidnight + 12 * kHour; ts += kSecond) {
    engine_.action(dice.uniform() < 0.02 ? failing() : ActionText{}, ts);  // twelve in each window
    if (ts == kMidnight + kHour) reported_early = engine_.findings.size();
  }
  EXPECT_EQ(engine_.findings.size(), reported_early);
  EXPECT_LE(reported_early, 2U);
  // And it is not deaf: the same pattern at twenty times its rate.
  for (std::int64_t i = 0; i < 120; ++i) {
    engine_.action(dice.uniform() < 0.4 ? failing() : ActionText{},
                   kMidnight + 12 * kHour + i * kSecond);
  }
  engine_.advance(kMidnight + 13 * kHour);
  ASSERT_EQ(engine_.findings.size(), reported_early + 1);
  EXPECT_GT(engine_.findings.back().confidence, 0.9);
}

TEST_F(RecurringError, MoreErrorsBecauseOfMoreTrafficAreSilent) {
  Dice dice(3);
  for (std::int64_t ts = kMidnight; ts < kMidnight + 6 * kHour; ts += kSecond) {
    engine_.action(dice.uniform() < 0.01 ? failing() : ActionText{}, ts);
  }
  const std::size_t before = engine_.findings.size();
  for (std::int64_t i = 0; i < 36'000; ++i) {  // ten times the traffic, the same share
    engine_.action(dice.uniform() < 0.01 ? failing() : ActionText{},
                   kMidnight + 6 * kHour + i * kSecond / 10);
  }
  EXPECT_EQ(engine_.findings.size(), before);
}

TEST(LogAnalyzerBounds, EvictsTheLeastRecentlySeenPatternAndCounts) {
  LogAnalyzerConfig config;
  config.patterns_max = 4;
  config.pairs_max = 4;
  Engine engine(log_analyzer(config));
  std::vector<std::string> actions;
  for (int i = 0; i < 5; ++i) actions.push_back("action" + std::to_string(i));
  ActionText text = failing();
  std::int64_t ts = kMidnight;
  for (int i = 0; i < 4; ++i) {
    text.action = actions[static_cast<std::size_t>(i)];
    engine.action(text, ts += 20 * kSecond);
    engine.action(text, ts += 20 * kSecond);
  }
  EXPECT_EQ(engine.evicted_count(), 0U);
  text.action = actions[0];
  engine.action(text, ts += 20 * kSecond);  // third error of action0: pending, and seen just now
  text.action = actions[4];
  engine.action(text, ts += 20 * kSecond);  // makes room at the cost of action1
  EXPECT_EQ(engine.evicted_count(), 1U);
  text.action = actions[1];
  engine.action(text, ts += 20 * kSecond);  // its two errors are forgotten
  engine.advance(ts + kHour);
  const auto found = engine.of("recurring_error");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].what, "action0");
}

TEST(LogAnalyzerBounds, AnEvictedPendingBurstIsJudgedFirst) {
  LogAnalyzerConfig config;
  config.patterns_max = 1;
  Engine engine(log_analyzer(config));
  for (int i = 0; i < 5; ++i) engine.action(failing(), kMidnight + i);
  ActionText other;
  other.action = "other";
  engine.action(other, kMidnight + 10);
  ASSERT_EQ(engine.findings.size(), 1U);
  EXPECT_EQ(engine.findings[0].what, "auth_validate");
}

TEST(LogAnalyzerBounds, RefusesTextsPastTheInternBound) {
  LogAnalyzerConfig config;
  config.symbols_max = 16;
  Engine engine(log_analyzer(config));
  std::vector<std::string> actions;
  for (int i = 0; i < 64; ++i) actions.push_back("action" + std::to_string(i));
  ActionText text;
  for (const std::string& action : actions) {
    text.action = action;
    engine.action(text, kMidnight);
  }
  EXPECT_EQ(engine.evicted_count(), 64U - 12U);  // "", actor, resource, domain and twelve actions
}

TEST(LogAnalyzerConfig, NamesTheFieldAtFault) {
  EXPECT_TRUE(validated({}).has_value());
  LogAnalyzerConfig config;
  config.error_count_min = 1;
  const auto result = validated(config);
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("error_count_min"), std::string::npos);
}

}  // namespace
}  // namespace grace::log_analyzer
