#include "grace/models/step_grammar.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "../dice.h"

namespace grace::models {
namespace {

using testing::Dice;

TEST(StepGrammar, LearnsWhatFollowsWhat) {
  StepGrammar model(64);
  StepGrammar::Context context;
  double last = 0.0;
  for (std::uint32_t i = 0; i < 3000; ++i) last = model.advance(7, context, 1 + i % 3, 0);
  EXPECT_GT(last, 0.95);
  EXPECT_LT(model.advance(7, context, 3, 0), 0.02);  // after 3 comes 1, never 3
}

TEST(StepGrammar, DistinguishesByTwoStepsBack) {
  StepGrammar model(64);
  StepGrammar::Context context;
  const std::uint32_t cycle[] = {1, 2, 3, 1, 4, 5};  // what follows 1 depends on what was before
  for (std::uint32_t i = 0; i < 6000; ++i) model.advance(7, context, cycle[i % 6], 0);
  EXPECT_GT(model.advance(7, context, 1, 0), 0.9);
  EXPECT_LT(model.advance(7, context, 4, 0), 0.1);  // after 5 1 comes 2
}

TEST(StepGrammar, ClassesDoNotShareTheirGrammar) {
  StepGrammar model(64);
  StepGrammar::Context one;
  for (std::uint32_t i = 0; i < 3000; ++i) model.advance(7, one, 1 + i % 3, 0);
  StepGrammar::Context other;
  EXPECT_EQ(model.advance(8, other, 3, 0), 1.0);  // nothing known, nothing surprising
}

TEST(StepGrammar, ProbabilitiesOfACoinAreAboutAHalf) {
  StepGrammar model(64);
  StepGrammar::Context context;
  Dice dice(5);
  double sum = 0.0;
  for (int i = 0; i < 20'000; ++i) {
    const double p = model.advance(7, context, dice.uniform() < 0.5 ? 1 : 2, 0);
    if (i >= 10'000) sum += p;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

TEST(StepGrammar, FullRefusesNewContextsAndKeepsLiveOnes) {
  StepGrammar model(16);
  StepGrammar::Context context;
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

TEST(StepGrammar, IdleContextsMakeRoomAlsoWhenStampsWrapAround) {
  StepGrammar model(4);
  StepGrammar::Context context;
  const auto fill = [&](std::uint64_t first_class, std::int32_t stamp) {
    for (std::uint64_t key = first_class; key < first_class + 4 * 7; key += 7) {
      context = {};
      model.advance(key, context, 1, stamp);
    }
  };
  constexpr std::int32_t kLast = std::numeric_limits<std::int32_t>::max();
  fill(7, kLast - 10);
  fill(1007, std::numeric_limits<std::int32_t>::min() + 10);  // 21 stamps later: all still live
  EXPECT_EQ(model.refused_count(), 4U);
  EXPECT_EQ(model.evicted_count(), 0U);
  fill(1007, std::numeric_limits<std::int32_t>::min() + 50);  // 61 later
  EXPECT_EQ(model.refused_count(), 4U);
  EXPECT_EQ(model.evicted_count(), 4U);
}

TEST(StepGrammar, AskingTellsWhatAdvancingWouldTellAndLearnsNothing) {
  StepGrammar model(256);
  StepGrammar::Context context;
  Dice dice(11);
  for (int i = 0; i < 5'000; ++i) {
    // Six symbols whose odds differ by a factor of 32: likely and unlikely steps.
    std::uint32_t symbol = 1;
    while (symbol < 6 && dice.uniform() < 0.5) ++symbol;
    const double asked = model.probability(7, context, symbol);
    EXPECT_EQ(asked, model.probability(7, context, symbol));
    const double told = model.advance(7, context, symbol, 0);
    if (told < StepGrammar::kLikely) {
      EXPECT_DOUBLE_EQ(asked, told);
    } else {
      EXPECT_GE(asked, told * (1.0 - 1e-12));  // a lower bound
    }
  }
}

TEST(StepGrammar, FollowingGoesWhereAdvancingGoes) {
  StepGrammar model(64);
  StepGrammar::Context advanced;
  StepGrammar::Context followed;
  for (const std::uint32_t symbol : {5U, 3U, 9U}) {
    model.advance(7, advanced, symbol, 0);
    StepGrammar::follow(followed, symbol);
    EXPECT_EQ(advanced.last, followed.last);
    EXPECT_EQ(advanced.before, followed.before);
  }
}

}  // namespace
}  // namespace grace::models
