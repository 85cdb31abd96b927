#include "grace/models/tail_rate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "../dice.h"

namespace grace::models {
namespace {

// One number in fifty beyond 3, by an exponential tail with a mean of `excess`.
double draw(testing::Dice& dice, double excess) {
  if (dice.uniform() >= 0.02) return 2.0 * dice.uniform();
  return 3.0 - excess * std::log(1.0 - dice.uniform());
}

TEST(TailRate, LearnsShareAndLengthOfTheTail) {
  for (const double excess : {0.3, 1.0, 3.0}) {
    testing::Dice dice(7);
    TailRate tail(3.0);
    for (int i = 0; i < 20000; ++i) tail.add(draw(dice, excess));
    const double right = 0.02 * std::exp(-2.0);
    EXPECT_GT(tail.chance(3.0 + 2.0 * excess), 0.3 * right) << excess;
    EXPECT_LT(tail.chance(3.0 + 2.0 * excess), 3.0 * right) << excess;
  }
}

TEST(TailRate, BeginsAsANormalTailAndFallsWithDistance) {
  const TailRate tail(3.0);
  EXPECT_EQ(tail.chance(1.0), 1.0);
  EXPECT_EQ(tail.chance(3.0), 1.0);
  EXPECT_NEAR(tail.chance(6.0), 0.0027 * std::exp(-6.0), 1e-9);
  EXPECT_LT(tail.chance(7.0), tail.chance(6.0));
}

TEST(TailRate, WhatLastsCountsOnce) {
  TailRate once(3.0), lasting(3.0), often(3.0);
  for (int i = 0; i < 400; ++i) {
    once.add(i == 100 ? 5.0 : 1.0);
    lasting.add(i >= 100 && i < 200 ? 5.0 : 1.0);
    often.add(i >= 100 && i % 4 == 0 ? 5.0 : 1.0);
  }
  EXPECT_NEAR(lasting.chance(5.0), once.chance(5.0), 0.5 * once.chance(5.0));
  EXPECT_GT(often.chance(5.0), 10.0 * once.chance(5.0));
}

}  // namespace
}  // namespace grace::models
