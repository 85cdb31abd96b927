#include <gtest/gtest.h>

#include "grace/log_analyzer/log_analyzer.h"
#include "harness.h"
#include "sequence_model.h"

namespace grace::log_analyzer {
namespace {

using namespace grace::testing;

core::SubsystemList log_analyzer() {
  core::SubsystemList list;
  list.push_back(make_log_analyzer({}));
  return list;
}

TEST(SequenceModel, LearnsWhatFollowsWhat) {
  SequenceModel model(64);
  SequenceModel::Context context;
  double last = 0.0;
  for (std::uint32_t i = 0; i < 3000; ++i) last = model.advance(7, context, 1 + i % 3, 0);
  EXPECT_GT(last, 0.95);
  EXPECT_LT(model.advance(7, context, 3, 0), 0.02);  // after 3 comes 1, never 3
}

TEST(SequenceModel, DistinguishesByTwoStepsBack) {
  SequenceModel model(64);
  SequenceModel::Context context;
  const std::uint32_t cycle[] = {1, 2, 3, 1, 4, 5};  // what follows 1 depends on what was before
  for (std::uint32_t i = 0; i < 6000; ++i) model.advance(7, context, cycle[i % 6], 0);
  EXPECT_GT(model.advance(7, context, 1, 0), 0.9);
  EXPECT_LT(model.advance(7, context, 4, 0), 0.1);  // after 5 1 comes 2
}

TEST(SequenceModel, ClassesDoNotShareTheirGrammar) {
  SequenceModel model(64);
  SequenceModel::Context one;
  for (std::uint32_t i = 0; i < 3000; ++i) model.advance(7, one, 1 + i % 3, 0);
  SequenceModel::Context other;
  EXPECT_EQ(model.advance(8, other, 3, 0), 1.0);  // nothing known, nothing surprising
}

TEST(SequenceModel, ProbabilitiesOfACoinAreAboutAHalf) {
  SequenceModel model(64);
  SequenceModel::Context context;
  Dice dice(5);
  double sum = 0.0;
  for (int i = 0; i < 20'000; ++i) {
    const double p = model.advance(7, context, dice.uniform() < 0.5 ? 1 : 2, 0);
    if (i >= 10'000) sum += p;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

TEST(SequenceModel, FullRefusesNewContextsAndKeepsLiveOnes) {
  SequenceModel model(16);
  SequenceModel::Context context;
  Dice dice(5);
  for (int i = 0; i < 20'000; ++i) {
    model.advance(7, context, static_cast<std::uint32_t>(1 + dice.next() % 50), 0);
  }
  EXPECT_EQ(model.node_count(), 16U);
  EXPECT_GT(model.refused_count(), 0U);
  EXPECT_EQ(model.evicted_count(), 0U);
  for (int i = 0; i < 100; ++i) model.advance(9, context, 1, 100'000);  // long after: idle
  EXPECT_GT(model.evicted_count(), 0U);
}

class UnusualSequence : public ::testing::Test {
 protected:
  // Orders as they usually go; every tenth is cancelled.
  void orders(int count, std::string_view actor, std::string_view session = "") {
    for (int i = 0; i < count; ++i) {
      for (const auto* action : {"open", "pick", "pay"}) step(action, actor, session);
      step(i % 10 == 9 ? "cancel" : "ship", actor, session);
    }
  }
  void step(std::string_view action, std::string_view actor, std::string_view session = "") {
    ActionText text;
    text.actor = actor;
    text.action = action;
    text.resource = "shop";
    text.subsystem = "orders";
    text.session = session;
    engine_.action(text, now_ += kSecond);
  }
  void drain(std::string_view actor) {
    for (const auto* action : {"export", "delete", "grant", "erase", "export", "grant"}) {
      step(action, actor);
    }
  }
  std::int64_t now_ = kMidnight;
  Engine engine_{log_analyzer()};
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
