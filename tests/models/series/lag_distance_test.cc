#include "grace/models/lag_distance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "../dice.h"

namespace grace::models {
namespace {

float noise(std::uint64_t i) {
  return static_cast<float>(testing::uniform_at(i));
}

// The definition, term by term.
LagDistance::Nearest by_definition(const std::vector<float>& x, double memory) {
  LagDistance::Nearest nearest;
  const std::size_t now = x.size() - 1;
  const std::size_t lags = std::min(now, LagDistance::kLags);
  double stretch = 1e30;
  double value = 1e30;
  for (std::size_t lag = 1; lag <= lags; ++lag) {
    double sum = 0.0;
    double weight = 1.0;
    for (std::size_t back = 0; back + lag <= now && weight > 1e-9; ++back, weight *= memory) {
      sum += weight * std::fabs(static_cast<double>(x[now - back] - x[now - back - lag]));
    }
    stretch = std::min(stretch, sum);
    value = std::min(value, std::fabs(static_cast<double>(x[now] - x[now - lag])));
  }
  nearest.stretch = static_cast<float>((1.0 - memory) * stretch);
  nearest.value = static_cast<float>(value);
  return nearest;
}

TEST(LagDistance, HasNothingToCompareTheFirstValueWith) {
  LagDistance lags(0.5F);
  const auto nearest = lags.step(3.0F);
  EXPECT_EQ(nearest.stretch, 0.0F);
  EXPECT_EQ(nearest.value, 0.0F);
}

TEST(LagDistance, EqualsItsDefinitionBeyondTheRingsEnd) {
  for (const float memory : {0.0F, 0.5F, 0.75F}) {
    LagDistance lags(memory);
    std::vector<float> x;
    for (std::uint64_t i = 0; i < 2 * LagDistance::kLags + 77; ++i) {
      x.push_back(noise(i));
      const auto nearest = lags.step(x.back());
      // Every place of the ring's seam, and not all of the quadratic reference.
      if (i == 0 || (i > 9 && i % 97 != 0)) continue;
      const auto wanted = by_definition(x, static_cast<double>(memory));
      ASSERT_NEAR(nearest.stretch, wanted.stretch, 1e-5) << memory << ' ' << i;
      ASSERT_NEAR(nearest.value, wanted.value, 1e-7) << memory << ' ' << i;
    }
  }
}

// Bit by bit, whatever the processor has: values one by one never take the widest lanes.
TEST(LagDistance, ValuesAtOnceAreValuesOneByOne) {
  for (const float memory : {0.0F, 0.5F, 0.75F}) {
    LagDistance one(memory);
    LagDistance other(memory);
    std::uint64_t at = 0;
    while (at < 5 * LagDistance::kLags) {
      std::array<float, 11> values{};
      std::array<LagDistance::Nearest, 11> nearest{};
      const std::size_t size = 1 + static_cast<std::size_t>(10.99 * testing::uniform_at(at + 7));
      for (std::size_t i = 0; i < size; ++i) {
        // Also large next to small ones, whose sums are rounded.
        const float scale = (at + i) % 97 == 0 ? 1e6F : 1.0F;
        values[i] = (at + i) % 3'000 < 300 ? 2.0F : scale * noise(at + i);
      }
      other.steps(std::span(values).first(size), std::span(nearest).first(size));
      for (std::size_t i = 0; i < size; ++i, ++at) {
        const auto wanted = one.step(values[i]);
        ASSERT_EQ(nearest[i].stretch, wanted.stretch) << memory << ' ' << at;
        ASSERT_EQ(nearest[i].value, wanted.value) << memory << ' ' << at;
      }
    }
  }
}

TEST(LagDistance, FindsARhythmWithoutBeingTold) {
  LagDistance lags(0.75F);
  float last = 1.0F;
  for (int i = 0; i < 1'000; ++i) last = lags.step(static_cast<float>(i % 300)).stretch;
  EXPECT_LT(last, 1e-20F);
}

TEST(LagDistance, IsFarOnceAtANewLevel) {
  LagDistance lags(0.5F);
  for (int i = 0; i < 500; ++i) lags.step(1.0F);
  EXPECT_GT(lags.step(9.0F).stretch, 3.0F);
  for (int i = 0; i < 40; ++i) lags.step(9.0F);
  EXPECT_LT(lags.step(9.0F).stretch, 1e-6F);
}

TEST(LagDistance, NeverKeepsDenormalNumbers) {
  // Their arithmetic would take a hundred times as long; the nearest distance shows what is kept.
  LagDistance lags(0.5F);
  lags.step(5.0F);
  for (int i = 0; i < 3'000; ++i) {
    const auto nearest = lags.step(1.0F);
    if (i > 0) {
      ASSERT_TRUE(std::isnormal(nearest.stretch)) << i;
    }
  }
}

TEST(LagDistance, StaysFiniteForTheLargestValues) {
  LagDistance lags(0.75F);
  for (int i = 0; i < 100; ++i) {
    const auto nearest = lags.step(i % 2 == 0 ? 1e31F : -1e31F);
    ASSERT_TRUE(std::isfinite(nearest.stretch));
  }
}

}  // namespace
}  // namespace grace::models
