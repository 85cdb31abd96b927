#include "grace/models/season_level.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "grace/core/hash.h"

namespace grace::models {
namespace {

constexpr std::int64_t kMinuteNs = 60'000'000'000;
constexpr int kDay = 1440;

// Normal noise by the sum of twelve uniforms, the same everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  double normal() {
    double sum = -6.0;
    for (int i = 0; i < 12; ++i) {
      state_ = core::combine(state_, 1);
      sum += static_cast<double>(state_ >> 11U) * 0x1p-53;
    }
    return sum;
  }

 private:
  std::uint64_t state_;
};

// A daily wave of half the level, noise of a fiftieth, from minute to minute.
class Wave {
 public:
  explicit Wave(std::uint64_t seed, double noise = 0.02) : dice_(seed), noise_(noise) {}
  double at(int minute, double factor = 1.0) {
    const double turn = 6.283185307179586 * minute / kDay;
    return factor * 100.0 * (1.0 + 0.5 * std::cos(turn)) * (1.0 + noise_ * dice_.normal());
  }

 private:
  Dice dice_;
  double noise_;
};

SeasonLevel::Residual play(SeasonLevel& level, Wave& wave, int from, int to, double factor = 1.0) {
  SeasonLevel::Residual last;
  for (int m = from; m < to; ++m) last = level.step(m * kMinuteNs, wave.at(m, factor));
  return last;
}

TEST(SeasonLevel, FindsTheDailyWaveAndTakesItOut) {
  SeasonLevel level;
  Wave wave(1);
  play(level, wave, 0, kDay);
  double residual = 0.0;
  for (int m = kDay; m < 3 * kDay; ++m) {
    const double value = wave.at(m);
    const SeasonLevel::Residual r = level.step(m * kMinuteNs, value);
    EXPECT_TRUE(level.seasonal());
    residual += std::fabs(value - r.expected) / r.expected;
    if (r.settled) {
      EXPECT_LT(std::fabs(r.mean_z), 6.0) << m;
    }
  }
  // Mean of |normal| is 0.8 deviations of the noise; the first day's own noise adds a little.
  EXPECT_LT(residual / (2 * kDay), 1.5 * 0.8 * 0.02);
}

// What stands at nothing for good has a level of nothing, which says nothing about the day.
TEST(SeasonLevel, KeepsTheDayOverATimeAtZero) {
  SeasonLevel level;
  Wave wave(7);
  play(level, wave, 0, 4 * kDay);
  const int back = 4 * kDay + 6 * 60;
  for (int m = 4 * kDay; m < back; ++m) {
    const SeasonLevel::Residual r = level.step(m * kMinuteNs, 0.0);
    ASSERT_TRUE(std::isfinite(r.expected)) << m;
    if (m == 4 * kDay + 30) level.relearn(m * kMinuteNs, 0.0);
    if (m > 4 * kDay + 30) {
      ASSERT_EQ(r.expected, 0.0) << m;
    }
  }
  level.step(back * kMinuteNs, wave.at(back));
  level.relearn(back * kMinuteNs, wave.at(back, 1.0));
  for (int m = back + 1; m < back + 2 * kDay; ++m) {
    const SeasonLevel::Residual r = level.step(m * kMinuteNs, wave.at(m));
    ASSERT_NEAR(r.expected, wave.at(m), 0.3 * wave.at(m)) << m - back;
  }
}

TEST(SeasonLevel, AShiftIsFarOutWithinThreeBinsAndTeachesNothing) {
  SeasonLevel level;
  Wave wave(2);
  play(level, wave, 0, 3 * kDay);
  const SeasonLevel::Residual shifted = play(level, wave, 3 * kDay, 3 * kDay + 3, 1.5);
  EXPECT_GT(shifted.mean_z, 6.0);
  EXPECT_GT(shifted.departure, SeasonLevel::kHoldDeparture);
  const SeasonLevel::Residual later = play(level, wave, 3 * kDay + 3, 3 * kDay + 30, 1.5);
  EXPECT_NEAR(later.departure, 0.5, 0.1);
}

TEST(SeasonLevel, WhatHasLastedIsTheNewLevelAndLeavesNoGhostTheNextDay) {
  SeasonLevel level;
  Wave wave(3);
  play(level, wave, 0, 3 * kDay);
  const int end = 3 * kDay + 300;
  const SeasonLevel::Residual settled = play(level, wave, 3 * kDay, end, 1.5);
  EXPECT_LT(std::fabs(settled.departure), SeasonLevel::kHoldDeparture);
  play(level, wave, end, 4 * kDay);  // back, and learned again
  for (int m = 4 * kDay; m < 4 * kDay + 600; ++m) {
    const SeasonLevel::Residual r = level.step(m * kMinuteNs, wave.at(m));
    EXPECT_FALSE(std::fabs(r.mean_z) >= 6.0 && std::fabs(r.departure) >= 0.1) << m;
  }
}

TEST(SeasonLevel, ASlowChangeOfTheWholeIsFollowed) {
  SeasonLevel level;
  Wave wave(4);
  play(level, wave, 0, 3 * kDay);
  // As a weekend begins: 40% less within twelve hours.
  for (int m = 3 * kDay; m < 4 * kDay; ++m) {
    const double factor = 1.0 - 0.4 * std::min(1.0, (m - 3 * kDay) / 720.0);
    const SeasonLevel::Residual r = level.step(m * kMinuteNs, wave.at(m, factor));
    EXPECT_FALSE(std::fabs(r.mean_z) >= 6.0 && std::fabs(r.departure) >= 0.1) << m;
  }
}

// The level is two hours late. What it had not followed yet must not be taken for the day's shape:
// the way back at the same hours would be that much farther from what is expected.
TEST(SeasonLevel, ASlowChangeLeavesNoGhostTheNextDay) {
  SeasonLevel level;
  Wave wave(4, 0.0);
  play(level, wave, 0, kDay);
  const auto way = [](int since) { return 0.4 * std::clamp(since / 720.0, 0.0, 1.0); };
  for (int m = 0; m < kDay; ++m) {
    level.step((kDay + m) * kMinuteNs, wave.at(kDay + m, 1.0 - way(m)));
  }
  double farthest = 0.0;
  for (int m = 0; m < kDay; ++m) {
    const double value = wave.at(2 * kDay + m, 0.6 + way(m));
    farthest = std::max(farthest, value / level.step((2 * kDay + m) * kMinuteNs, value).expected);
  }
  EXPECT_GT(farthest, 1.05);  // two hours late it is
  EXPECT_LT(farthest, 1.0 + SeasonLevel::kHoldDeparture);
}

// Errors near nothing: what is low at night by chance is no size that noise is to be measured in.
TEST(SeasonLevel, NoiseThatReachesZeroHasNoSizeToMultiplyWith) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SeasonLevel level;
    Dice dice(seed);
    double wander = 0.0;
    for (int m = 0; m < 5 * kDay; ++m) {
      wander = 0.7 * wander + 0.714 * dice.normal();
      const SeasonLevel::Residual r =
          level.step(m * kMinuteNs, std::max(0.0, 0.0012 + 0.001 * wander));
      ASSERT_FALSE(r.settled && std::fabs(r.mean_z) >= 6.0 && r.mean_chance < 1e-5)
          << "seed " << seed << ", minute " << m;
    }
  }
}

TEST(SeasonLevel, TwoFarValuesOfOneSideAreAPairAndOneIsNone) {
  SeasonLevel level;
  Wave wave(7);
  play(level, wave, 0, 3 * kDay);
  const SeasonLevel::Residual lone = play(level, wave, 3 * kDay, 3 * kDay + 1, 1.5);
  EXPECT_LT(lone.pair, 3.0);
  EXPECT_EQ(lone.pair_chance, 1.0);
  const SeasonLevel::Residual both = play(level, wave, 3 * kDay + 1, 3 * kDay + 2, 1.5);
  EXPECT_GE(both.pair, 6.0);
  EXPECT_LT(both.pair_chance, 1e-6);
}

TEST(SeasonLevel, SwingingIsToldFromAShift) {
  SeasonLevel level;
  Wave wave(8);
  double usual = 0.0;
  for (int m = 0; m < 3 * kDay; ++m) {
    const SeasonLevel::Residual r = level.step(m * kMinuteNs, wave.at(m));
    if (r.settled) usual = std::max(usual, r.swing_z);
  }
  EXPECT_LT(usual, 6.0);
  SeasonLevel shifting = level;
  for (int m = 3 * kDay; m < 3 * kDay + 30; ++m) {
    EXPECT_LT(shifting.step(m * kMinuteNs, wave.at(m, 1.5)).swing_z, 6.0) << m;
  }
  SeasonLevel::Residual r;
  for (int m = 3 * kDay; m < 3 * kDay + 18; ++m) {
    r = level.step(m * kMinuteNs, wave.at(m, m / 3 % 2 == 0 ? 1.3 : 0.7));
  }
  EXPECT_GE(r.swing_z, 6.0);
  EXPECT_LT(r.swing_chance, 1e-5);
  EXPECT_GT(r.swing, 0.1);
}

TEST(SeasonLevel, RelearnMovesTheLevelAtOnce) {
  SeasonLevel level;
  Wave wave(5);
  play(level, wave, 0, 2 * kDay);
  level.relearn(2 * kDay * kMinuteNs, 600.0);  // four times the 150 that is usual then
  const SeasonLevel::Residual r = level.step((2 * kDay + 1) * kMinuteNs, 600.0);
  EXPECT_NEAR(r.expected, 600.0, 10.0);
  EXPECT_LT(std::fabs(r.mean_z), 3.0);
}

TEST(SeasonLevel, WhatCrossesZeroHasAnAddedLevel) {
  SeasonLevel level;
  Dice dice(6);
  SeasonLevel::Residual r;
  for (int m = 0; m < 3 * kDay; ++m) {
    const double wave = 10.0 * std::sin(6.283185307179586 * m / kDay);
    r = level.step(m * kMinuteNs, wave + 0.5 * dice.normal());
    if (level.seasonal() && r.settled) {
      EXPECT_LT(std::fabs(r.mean_z), 6.5) << m;
    }
  }
  EXPECT_NEAR(r.unit, 0.55, 0.2);
}

TEST(SeasonLevel, ConstantsZerosAndGapsStayFinite) {
  for (const double constant : {0.0, 1e-20, 5.0, -3.0, 1e20}) {
    SeasonLevel level;
    for (int m = 0; m < 3 * kDay; m += 1 + m % 7) {
      const SeasonLevel::Residual r = level.step(m * kMinuteNs, constant);
      ASSERT_TRUE(std::isfinite(r.expected) && std::isfinite(r.mean_z) && r.unit > 0.0);
      ASSERT_NEAR(r.now, 0.0, 1e-3);  // the shape is kept in floats
    }
    const SeasonLevel::Residual r = level.step(90LL * kDay * kMinuteNs, constant + 1.0);
    ASSERT_TRUE(std::isfinite(r.now) && std::isfinite(r.departure));
  }
}

static_assert(sizeof(SeasonLevel) <= 1280, "what the header promises");

}  // namespace
}  // namespace grace::models
