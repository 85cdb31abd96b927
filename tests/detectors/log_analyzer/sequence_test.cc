#include <gtest/gtest.h>

#include <string>

#include "grace/core/event.h"
#include "grace/core/hash.h"
#include "harness.h"
#include "subsystem_list.h"

namespace grace::log_analyzer {
namespace {

using namespace grace::testing;

class UnusualSequence : public ::testing::Test {
 protected:
  explicit UnusualSequence(const LogAnalyzerConfig& config = {}) : engine_(log_analyzer(config)) {}
  // Orders as they usually go; every tenth is cancelled.
  void orders(int count, std::string_view actor, std::string_view session = "") {
    for (int i = 0; i < count; ++i) {
      for (const auto* action : {"open", "pick", "pay"}) step(action, actor, session);
      step(i % 10 == 9 ? "cancel" : "ship", actor, session);
    }
  }
  void step(std::string_view action, std::string_view actor, std::string_view session = "",
            std::string_view subsystem = "orders") {
    ActionText text;
    text.actor = actor;
    text.action = action;
    text.resource = "shop";
    text.subsystem = subsystem;
    text.session = session;
    engine_.action(text, now_ += kSecond);
  }
  void drain(std::string_view actor) {
    for (const auto* action : {"export", "delete", "grant", "erase", "export", "grant"}) {
      step(action, actor);
    }
  }
  std::int64_t now_ = kMidnight;
  Engine engine_;
};

class SequenceAmongManyNames : public UnusualSequence {
 protected:
  SequenceAmongManyNames() : UnusualSequence({.patterns_max = 16}) {}
};

TEST_F(UnusualSequence, ARunOfStepsNeverSeenIsReported) {
  orders(1000, "clerk");
  EXPECT_TRUE(engine_.findings.empty());
  drain("clerk");
  engine_.advance(now_ + kMinute);
  const auto found = engine_.of("unusual_sequence");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].type, core::TriggerType::kAnomalySequence);
  EXPECT_GT(found[0].confidence, 0.70);
  EXPECT_EQ(found[0].what, "export");
  EXPECT_EQ(found[0].reasoning[0], "Unusual sequence of actions by clerk");
  EXPECT_EQ(found[0].reasoning[1].rfind("cancel -> export: probability 0.0", 0), 0U)
      << found[0].reasoning[1];
  EXPECT_GE(found[0].evidence.size(), 3U);
}

TEST_F(UnusualSequence, NothingIsSaidWhileTheGrammarIsLearned) {
  orders(100, "clerk");  // 400 steps; the warm-up is 1000
  drain("clerk");
  engine_.advance(now_ + kMinute);
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(UnusualSequence, OneOddStepIsNoRun) {
  orders(1000, "clerk");
  step("export", "clerk");
  orders(10, "clerk");
  engine_.advance(now_ + kMinute);
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(UnusualSequence, InterleavedSessionsAreToldApart) {
  // Two sessions whose steps alternate: as one sequence it would look like noise.
  for (int i = 0; i < 1000; ++i) {
    for (const auto* action : {"open", "pick", "pay", "ship"}) {
      step(action, "clerk", "s1");
      step(action, "clerk", "s2");
    }
  }
  EXPECT_TRUE(engine_.findings.empty());
  for (const auto* action : {"ship", "pay", "pick", "ship", "pick"}) step(action, "clerk", "s1");
  engine_.advance(now_ + kMinute);
  EXPECT_EQ(engine_.of("unusual_sequence").size(), 1U);
}

// What steps are called is kept by use, not by when they were first seen.
TEST_F(SequenceAmongManyNames, UsualStepsAreNamed) {
  const auto partition_of = [](std::string_view actor) {
    return (core::hash_bytes(actor) >> 32) % core::kPartitionCount;
  };
  std::string robot = "robot";
  while (partition_of(robot) != partition_of("clerk")) robot += 'x';
  for (int i = 0; i < 300; ++i) {
    orders(10, "clerk");
    step("job_" + std::string(static_cast<std::size_t>(i + 1), 'x'), robot, "", "jobs");
  }
  drain("clerk");
  engine_.advance(now_ + kMinute);
  const auto found = engine_.of("unusual_sequence");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].reasoning[1].rfind("cancel -> export: probability 0.0", 0), 0U)
      << found[0].reasoning[1];
}

TEST_F(UnusualSequence, TheSameInManySessionsIsReportedOnce) {
  orders(1000, "clerk");
  drain("clerk");
  engine_.advance(now_ + 30 * kSecond);
  now_ += 30 * kSecond;
  orders(5, "clerk");
  drain("clerk");
  engine_.advance(now_ + kMinute);
  EXPECT_EQ(engine_.of("unusual_sequence").size(), 1U);
}

}  // namespace
}  // namespace grace::log_analyzer
