// The detector on series whose truth is known, and on what is no series at all.
#include "grace/models/change_points.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include "../dice.h"
#include "gamma_ratio.h"

namespace grace::models {
namespace {

using testing::Dice;
using Series = std::vector<double>;

Series make(std::size_t size, const std::function<double(std::size_t)>& value) {
  Series series(size);
  for (std::size_t i = 0; i < size; ++i) series[i] = value(i);
  return series;
}

Series white(std::size_t size, std::uint64_t seed) {
  Dice noise(seed);
  return make(size, [&](std::size_t) { return noise.normal(); });
}

std::vector<ChangePoint> changes_of(const Series& series, const ChangePointConfig& config = {}) {
  ChangePointDetector detector(config);
  std::vector<ChangePoint> changes;
  const auto take = [&](std::span<const ChangePoint> found) {
    changes.insert(changes.end(), found.begin(), found.end());
  };
  for (const double value : series) take(detector.push(value));
  take(detector.finish());
  return changes;
}

void expect_one_near(const std::vector<ChangePoint>& changes, std::uint64_t index,
                     std::uint64_t delay_max) {
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_NEAR(static_cast<double>(changes[0].index), static_cast<double>(index), 5.0);
  EXPECT_GE(changes[0].probability, 0.5);
  EXPECT_LE(changes[0].probability, 1.0);
  EXPECT_LE(changes[0].decided_at, index + delay_max);
}

TEST(GammaRatio, AgreesWithTheLibrary) {
  for (double a = 0.5; a < 300.0; a *= 1.1) {
    EXPECT_NEAR(gamma_ratio(a) / std::exp(std::lgamma(a + 0.5) - std::lgamma(a)), 1.0, 2e-5) << a;
  }
}

TEST(ChangePoints, ConstantSeriesHasNone) {
  for (const double level : {0.0, 1.0, -3.5e200, 1e-300}) {
    EXPECT_TRUE(changes_of(Series(1000, level)).empty()) << level;
  }
}

TEST(ChangePoints, NoiseHasHardlyAny) {
  std::size_t found = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) found += changes_of(white(500, seed)).size();
  EXPECT_LE(found, 4U);  // in 50,000 values
}

TEST(ChangePoints, SpikesAreNone) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
    Series series = white(600, seed);
    for (const std::size_t at : {100U, 101U, 250U, 400U, 500U, 501U}) series[at] += 25.0;
    EXPECT_TRUE(changes_of(series).empty()) << seed;
  }
}

TEST(ChangePoints, LevelShiftIsFoundInPlaceAndSoon) {
  for (const double size : {3.0, -3.0, 8.0, 1000.0, -1e6}) {
    Series series = white(300, 1);
    for (std::size_t i = 150; i < series.size(); ++i) series[i] += size;
    SCOPED_TRACE(size);
    expect_one_near(changes_of(series), 150, std::fabs(size) < 8.0 ? 15 : 8);
  }
}

TEST(ChangePoints, ShiftOfAConstantSeriesIsFound) {
  for (const std::size_t at : {20U, 100U, 5000U}) {
    SCOPED_TRACE(at);
    expect_one_near(changes_of(make(at + 100, [&](std::size_t i) { return i < at ? 5.0 : 7.0; })),
                    at, 15);
  }
}

TEST(ChangePoints, ShiftDuringTheWarmUpIsFoundAfterwards) {
  Series series = white(200, 3);
  for (std::size_t i = 15; i < series.size(); ++i) series[i] += 20.0;
  expect_one_near(changes_of(series), 15, 30);
}

TEST(ChangePoints, TwoShiftsAreTwoChanges) {
  Series series = white(400, 5);
  for (std::size_t i = 120; i < 250; ++i) series[i] += 6.0;
  const auto changes = changes_of(series);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_NEAR(static_cast<double>(changes[0].index), 120, 5);
  EXPECT_NEAR(static_cast<double>(changes[1].index), 250, 5);
}

TEST(ChangePoints, OneCallReportsAllChangesOfTheWarmUp) {
  // Ten levels of three values; the last is too new to be judged.
  ChangePointConfig config;
  config.segment_values_min = 2;
  config.hazard = 0.5;
  Dice noise(1);
  ChangePointDetector detector(config);
  const std::size_t before_last = ChangePointDetector::kWarmUpValues - 1;
  const auto value = [&](std::size_t i) {
    return static_cast<double>(i / 3 * 1000) + noise.normal();
  };
  for (std::size_t i = 0; i < before_last; ++i) ASSERT_TRUE(detector.push(value(i)).empty());
  EXPECT_GE(detector.push(value(before_last)).size(), 8U);
}

TEST(ChangePoints, VarianceChangeIsFound) {
  Series series = white(400, 6);
  for (std::size_t i = 200; i < series.size(); ++i) series[i] *= 6.0;
  const auto changes = changes_of(series);
  ASSERT_GE(changes.size(), 1U);
  EXPECT_NEAR(static_cast<double>(changes[0].index), 200, 8);
}

TEST(ChangePoints, TrendIsNoStairs) {
  for (const double slope : {0.02, 0.1}) {
    Series series = white(500, 7);
    for (std::size_t i = 0; i < series.size(); ++i) series[i] += slope * static_cast<double>(i);
    EXPECT_TRUE(changes_of(series).empty()) << slope;
    ChangePointConfig level_only;
    level_only.trend_share = 0.0;
    EXPECT_FALSE(changes_of(series, level_only).empty()) << slope;
  }
}

TEST(ChangePoints, ShortSeasonHasNone) {
  Dice noise(8);
  ChangePointConfig plain;
  plain.tempered = false;
  std::size_t untempered = 0;
  for (const double length : {8.0, 12.0, 16.0, 24.0}) {
    const Series series = make(600, [&](std::size_t i) {
      const double turn = static_cast<double>(i) / length;
      return 4.0 * std::sin(2.0 * std::numbers::pi * turn) + noise.normal();
    });
    EXPECT_TRUE(changes_of(series).empty()) << length;
    untempered = changes_of(series, plain).size();
  }
  EXPECT_GE(untempered, 10U);
}

TEST(ChangePoints, UnitAndOffsetDoNotMatter) {
  Series series = white(400, 9);
  for (std::size_t i = 170; i < series.size(); ++i) series[i] += 4.0;
  const auto plain = changes_of(series);
  ASSERT_EQ(plain.size(), 1U);
  for (const auto& [factor, offset] : {std::pair{1e-6, 0.0},
                                       {1e6, 0.0},
                                       {1e6, -3e7},
                                       {-1e-6, 1e-3},
                                       {1e200, 0.0},
                                       {1e-200, 0.0}}) {
    const auto scaled =
        changes_of(make(series.size(), [&](std::size_t i) { return series[i] * factor + offset; }));
    ASSERT_EQ(scaled.size(), 1U) << factor << " " << offset;
    EXPECT_EQ(scaled[0].index, plain[0].index);
    EXPECT_EQ(scaled[0].decided_at, plain[0].decided_at);
    EXPECT_NEAR(scaled[0].probability, plain[0].probability, 1e-6);
  }
}

TEST(ChangePoints, SameInputSameBits) {
  Series series = white(500, 10);
  for (std::size_t i = 200; i < series.size(); ++i) series[i] += 2.0;
  ChangePointDetector one;
  ChangePointDetector other;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const auto left = one.push(series[i]);
    const auto right = other.push(series[i]);
    ASSERT_EQ(left.size(), right.size());
    for (std::size_t k = 0; k < left.size(); ++k) {
      EXPECT_EQ(left[k].probability, right[k].probability);
      EXPECT_EQ(left[k].index, right[k].index);
    }
    ASSERT_EQ(one.start_probability(i / 2), other.start_probability(i / 2));
  }
}

TEST(ChangePoints, MissingValuesKeepTheirPlaces) {
  Series series = white(300, 12);
  for (std::size_t i = 150; i < series.size(); ++i) series[i] += 8.0;
  series[0] = series[1] = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = 0; i < series.size(); i += 7) {
    series[i] = i % 2 == 0 ? std::numeric_limits<double>::infinity()
                           : std::numeric_limits<double>::quiet_NaN();
  }
  expect_one_near(changes_of(series), 150, 20);
  // All missing: nothing, not even a start.
  EXPECT_TRUE(changes_of(Series(100, std::numeric_limits<double>::quiet_NaN())).empty());
}

TEST(ChangePoints, GapMovesTheIndex) {
  const Series series = white(200, 12);
  ChangePointDetector detector;
  std::vector<ChangePoint> changes;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (i == 100) detector.skip(1000);
    const auto found = detector.push(series[i] + (i >= 100 ? 9.0 : 0.0));
    changes.insert(changes.end(), found.begin(), found.end());
  }
  expect_one_near(changes, 1100, 15);
  EXPECT_EQ(detector.next_index(), 1200U);
}

TEST(ChangePoints, LateFirstValueIsNoChange) {
  Series series(500, std::numeric_limits<double>::quiet_NaN());
  const Series known = white(300, 1);
  std::copy(known.begin(), known.end(), series.begin() + 200);
  EXPECT_TRUE(changes_of(series).empty());
}

TEST(ChangePoints, ExtremeValuesStayFinite) {
  const double huge = std::numeric_limits<double>::max();
  const double tiny = std::numeric_limits<double>::denorm_min();
  Dice noise(13);
  const Series series = make(3000, [&](std::size_t i) {
    switch (i % 5) {
      case 0:
        return noise.uniform() < 0.5 ? huge : -huge;
      case 1:
        return tiny;
      case 2:
        return 0.0;
      default:
        return noise.normal() * std::pow(10.0, 300.0 * noise.uniform() - 150.0);
    }
  });
  for (const std::size_t skipped : {0U, 1U, 2U, 40U}) {
    ChangePointDetector detector;
    for (std::size_t i = skipped; i < series.size(); ++i) {
      for (const ChangePoint& change : detector.push(series[i])) {
        ASSERT_TRUE(change.probability >= 0.5 && change.probability <= 1.0);
      }
      double sum = 0.0;
      for (std::size_t back = 0; back <= i; ++back) sum += detector.start_probability(back);
      ASSERT_TRUE(sum <= 1.0 + 1e-9);
      ASSERT_LE(detector.run_count(), ChangePointDetector::kRunsMax);
    }
  }
}

TEST(ChangePoints, ShortSeriesIsJudgedAtItsEnd) {
  Series series = white(24, 14);
  for (std::size_t i = 12; i < series.size(); ++i) series[i] += 50.0;
  ChangePointDetector detector;
  for (const double value : series) EXPECT_TRUE(detector.push(value).empty());
  EXPECT_FALSE(detector.started());
  const auto found = detector.finish();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NEAR(static_cast<double>(found[0].index), 12, 2);

  EXPECT_TRUE(changes_of({}).empty());
  EXPECT_TRUE(changes_of({1.0}).empty());
  EXPECT_TRUE(changes_of({1.0, 9.0, 1.0, 9.0}).empty());
}

TEST(ChangePoints, RunsStayBoundedOnALongSeries) {
  Dice noise(15);
  ChangePointDetector detector;
  for (int i = 0; i < 20000; ++i) {
    detector.push(noise.normal() + (i / 700 % 2 == 0 ? 0.0 : 1.0));
    ASSERT_LE(detector.run_count(), ChangePointDetector::kRunsMax);
  }
  EXPECT_LE(sizeof(ChangePointDetector), 16U * 1024U);
}

TEST(ChangePointConfig, NamesTheFieldOutsideItsRange) {
  EXPECT_TRUE(validated({}).has_value());
  const auto refused = [](const char* field, const std::function<void(ChangePointConfig&)>& set) {
    ChangePointConfig config;
    set(config);
    const auto result = validated(config);
    ASSERT_FALSE(result.has_value()) << field;
    EXPECT_NE(result.error().message.find(field), std::string::npos) << result.error().message;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {-1.0, 1e9, nan}) {
    refused("hazard", [&](ChangePointConfig& c) { c.hazard = bad; });
    refused("trend_share", [&](ChangePointConfig& c) { c.trend_share = bad; });
    refused("trend_slope", [&](ChangePointConfig& c) { c.trend_slope = bad; });
    refused("shape", [&](ChangePointConfig& c) { c.run.shape = bad; });
    refused("outlier_share", [&](ChangePointConfig& c) { c.run.outlier_share = bad; });
    refused("outlier_scale", [&](ChangePointConfig& c) { c.run.outlier_scale = bad; });
    refused("memory_values", [&](ChangePointConfig& c) { c.run.memory_values = bad; });
  }
  refused("segment_values_min", [](ChangePointConfig& c) { c.segment_values_min = 1; });
  refused("segment_values_min", [](ChangePointConfig& c) { c.segment_values_min = 17; });
}

}  // namespace
}  // namespace grace::models
