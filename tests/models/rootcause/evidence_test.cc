#include "evidence.h"

#include <gtest/gtest.h>

#include <cmath>

#include "grace/core/time.h"

namespace grace::models {
namespace {

using core::kNsPerMinute;

// A sample a minute, the last at `at`.
std::vector<Point> minutes(const std::vector<double>& values, std::int64_t at) {
  std::vector<Point> points;
  for (std::size_t i = 0; i < values.size(); ++i) {
    points.push_back(
        {at - static_cast<std::int64_t>(values.size() - 1 - i) * kNsPerMinute, values[i]});
  }
  return points;
}

constexpr std::int64_t kAt = 1'000'000 * kNsPerMinute;

std::vector<double> noisy(std::size_t count) {
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(100.0 + static_cast<double>((i * 7919) % 21) - 10.0);
  }
  return values;
}

TEST(Cut, TheWindowIsTheLongerOfThreeMinutesAndFiveSamples) {
  const RootCauseConfig config;
  EXPECT_EQ(cut_series(minutes(noisy(50), kAt), kAt, config).window.size(), 5U);
  std::vector<Point> quick = minutes(noisy(50), kAt);
  for (Point& point : quick) point.ts_ns = kAt - (kAt - point.ts_ns) / 6;  // every 10 s
  const Cut cut = cut_series(quick, kAt, config);
  EXPECT_EQ(cut.window.size(), 18U);
  EXPECT_EQ(cut.baseline.size(), 32U);
  EXPECT_EQ(cut.step_ns, 10 * core::kNsPerSecond);
}

TEST(Cut, WhatIsLaterThanTheMomentIsLeftOut) {
  const RootCauseConfig config;
  const Cut cut = cut_series(minutes(noisy(50), kAt), kAt - 10 * kNsPerMinute, config);
  EXPECT_EQ(cut.window.back().ts_ns, kAt - 10 * kNsPerMinute);
  EXPECT_EQ(cut.window.size() + cut.baseline.size(), 40U);
}

TEST(Cut, TimesAtTheEndsOfTheirRangeDoNotOverflow) {
  const RootCauseConfig config;
  const Cut cut = cut_series({{INT64_MIN, 1}, {0, 2}, {INT64_MAX, 3}}, INT64_MAX, config);
  EXPECT_EQ(cut.window.size() + cut.baseline.size(), 3U);
}

TEST(LevelEvidence, BeginsWithTheFirstSampleThatIsFarOut) {
  std::vector<double> values = noisy(60);
  for (const double value : {101.0, 500.0, 505.0, 502.0, 510.0}) values.push_back(value);
  const RootCauseConfig config;
  const Evidence evidence =
      level_evidence(cut_series(minutes(values, kAt), kAt, config), BadDirection::kUp, config);
  EXPECT_EQ(evidence.onset_ns, kAt - 3 * kNsPerMinute) << "not where it was the farthest out";
}

TEST(Surprise, GrowsWithTheDeviationAndOnlyInItsDirection) {
  const std::vector<Point> points = minutes(noisy(200), kAt);
  const Surprise up(points, 1.0);
  EXPECT_EQ(up.of(90.0), 0.0);
  EXPECT_LT(up.of(101.0), 1.5);
  EXPECT_LT(up.of(110.0), up.of(130.0));
  EXPECT_LT(up.of(130.0), up.of(300.0));
  EXPECT_GT(up.of(300.0), 6.0);
  EXPECT_GT(Surprise(points, -1.0).of(0.0), 6.0);
}

TEST(Surprise, ASeriesThatSpikesByHabitSurprisesLess) {
  std::vector<double> spiky = noisy(200);
  for (std::size_t i = 0; i < spiky.size(); i += 15) spiky[i] = 100.0 + 40.0 * double(i);
  const Surprise calm(minutes(noisy(200), kAt), 1.0);
  const Surprise wild(minutes(spiky, kAt), 1.0);
  EXPECT_GT(calm.of(2000.0), 2.0 * wild.of(2000.0));
}

TEST(Surprise, AConstantSeriesMovesByAHundredthOfItsLevelAtLeast) {
  const Surprise surprise(minutes(std::vector<double>(100, 50.0), kAt), 1.0);
  EXPECT_EQ(surprise.of(50.0), 0.0);
  EXPECT_TRUE(std::isfinite(surprise.of(51.0)));
  EXPECT_TRUE(std::isfinite(surprise.of(1e140)));
  EXPECT_LT(surprise.of(50.6), surprise.of(60.0));
}

TEST(Level, NeedsTwoSamplesThatAgree) {
  const RootCauseConfig config;
  std::vector<double> once = noisy(100), twice = noisy(100);
  once[98] = twice[98] = 500.0;
  twice[97] = 400.0;
  const Cut cut_once = cut_series(minutes(once, kAt), kAt, config);
  const Cut cut_twice = cut_series(minutes(twice, kAt), kAt, config);
  EXPECT_LT(level_evidence(cut_once, BadDirection::kUp, config).nats, 3.0);
  const Evidence evidence = level_evidence(cut_twice, BadDirection::kUp, config);
  EXPECT_GT(evidence.nats, 6.0);
  EXPECT_EQ(evidence.onset_ns, kAt - 2 * kNsPerMinute);
  EXPECT_LT(level_evidence(cut_twice, BadDirection::kDown, config).nats, 3.0);
}

TEST(Level, WithoutABaselineThereIsNoEvidence) {
  const RootCauseConfig config;
  const Cut cut = cut_series(minutes({1, 2, 500, 500, 500}, kAt), kAt, config);
  EXPECT_EQ(level_evidence(cut, BadDirection::kUp, config).nats, 0.0);
  EXPECT_EQ(level_evidence({}, BadDirection::kUp, config).nats, 0.0);
}

TEST(Presence, ANewLineAndALineThatFallsSilentAreEvidence) {
  const RootCauseConfig config;
  std::vector<double> appears(100, 0.0), vanishes(100, 1.0), same(100, 0.0);
  for (std::size_t i = 95; i < 100; ++i) {
    appears[i] = 1.0;
    vanishes[i] = 0.0;
  }
  for (std::size_t i = 0; i < 100; i += 5) same[i] = 1.0;
  const auto of = [&](const std::vector<double>& values, BadDirection bad) {
    return presence_evidence(cut_series(minutes(values, kAt), kAt, config), bad);
  };
  EXPECT_GT(of(appears, BadDirection::kBoth).nats, 15.0);
  EXPECT_EQ(of(appears, BadDirection::kBoth).onset_ns, kAt - 4 * kNsPerMinute);
  EXPECT_GT(of(vanishes, BadDirection::kBoth).nats, 15.0);
  EXPECT_EQ(of(vanishes, BadDirection::kUp).nats, 0.0);
  EXPECT_LT(of(same, BadDirection::kBoth).nats, 0.5);
  EXPECT_EQ(presence_evidence({}, BadDirection::kBoth).nats, 0.0);
}

}  // namespace
}  // namespace grace::models
