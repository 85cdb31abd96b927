#include "grace/models/series_anomaly.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "../dice.h"
#include "grace/core/hash.h"

namespace grace::models {
namespace {

constexpr std::int64_t kStepNs = 300'000'000'000;  // five minutes
constexpr int kDaySteps = 288;

double noise(std::int64_t i, std::uint64_t seed = 1) {
  return testing::uniform_at(core::combine(seed, static_cast<std::uint64_t>(i))) - 0.5;
}

using Value = std::function<double(int)>;

std::vector<SeriesVerdict> run(int steps, const Value& value,
                               std::uint32_t members = SeriesAnomaly::kAllMembers) {
  auto model = std::make_unique<SeriesAnomaly>(members);
  std::vector<SeriesVerdict> verdicts;
  for (int i = 0; i < steps; ++i) verdicts.push_back(model->step(i * kStepNs, value(i)));
  return verdicts;
}

int alarms(const std::vector<SeriesVerdict>& verdicts, int from, int to) {
  int count = 0;
  for (int i = from; i < to; ++i) {
    count += verdicts[i].anomaly_score >= SeriesAnomaly::kScoreThreshold ? 1 : 0;
  }
  return count;
}

// A working day with noise.
double working_day(int i) {
  const int hour = i % kDaySteps / 12;
  return (hour >= 9 && hour < 18 ? 80.0 : 20.0) + 6.0 * noise(i);
}

TEST(SeriesAnomaly, IsSilentDuringItsWarmup) {
  const auto verdicts = run(static_cast<int>(SeriesAnomaly::kWarmupSteps),
                            [](int i) { return i % 40 == 39 ? 1e6 : noise(i); });
  for (const SeriesVerdict& verdict : verdicts) {
    EXPECT_EQ(verdict.anomaly_score, 0.0);
    EXPECT_EQ(verdict.tail_probability, 1.0);
  }
}

TEST(SeriesAnomaly, ScoresLieInTheirRanges) {
  const auto verdicts = run(4'000, [](int i) { return i % 700 == 0 ? 50.0 * noise(i) : noise(i); });
  for (const SeriesVerdict& verdict : verdicts) {
    EXPECT_GE(verdict.anomaly_score, 0.0);
    EXPECT_LT(verdict.anomaly_score, 1.0);
    EXPECT_GT(verdict.tail_probability, 0.0);
    EXPECT_LE(verdict.tail_probability, 1.0);
    EXPECT_GE(verdict.surprise, 0.0);
    EXPECT_EQ(verdict.member_surprise > 0.0, verdict.surprise > 0.0);
  }
}

TEST(SeriesAnomaly, TailProbabilityIsCalibratedOnNoise) {
  const auto verdicts = run(20'000, [](int i) { return noise(i) + noise(i, 2) + noise(i, 3); });
  for (const double level : {0.1, 0.03, 0.01}) {
    int at_most = 0;
    for (const SeriesVerdict& verdict : verdicts) at_most += verdict.tail_probability <= level;
    // Never more than it says, and not idle either.
    EXPECT_LE(at_most, 1.3 * level * 20'000) << level;
    EXPECT_GE(at_most, 0.2 * level * 20'000) << level;
  }
}

TEST(SeriesAnomaly, RaisesFewAlarmsOnNoiseOfAnyShape) {
  const Value uniform = [](int i) { return noise(i); };
  const Value heavy = [](int i) { return 1.0 / (noise(i) + 0.5001); };
  const Value walk = [level = 0.0](int i) mutable { return level += noise(i); };
  for (const Value& value : {uniform, heavy, walk}) {
    // Three in a thousand values at most.
    EXPECT_LE(alarms(run(10'000, value), 0, 10'000), 30);
  }
}

TEST(SeriesAnomaly, FindsASpikeAndNamesAMember) {
  const auto verdicts = run(2'000, [](int i) { return i == 1'500 ? 9.0 : noise(i); });
  EXPECT_GE(verdicts[1'500].anomaly_score, SeriesAnomaly::kScoreThreshold);
  EXPECT_LT(verdicts[1'500].tail_probability, 0.01);
  EXPECT_GT(verdicts[1'500].member_surprise, 2.0);
}

TEST(SeriesAnomaly, FindsTheBeginningOfALevelShiftOnly) {
  const auto verdicts = run(4'000, [](int i) { return noise(i) + (i >= 2'000 ? 5.0 : 0.0); });
  EXPECT_GE(alarms(verdicts, 2'000, 2'003), 1);
  EXPECT_LE(alarms(verdicts, 2'003, 4'000), 8);
  EXPECT_EQ(alarms(verdicts, 2'600, 4'000), 0) << "the new level has become usual";
}

TEST(SeriesAnomaly, FindsAMissingPeakOfADailyRhythm) {
  const int day = 10 * kDaySteps;
  const auto verdicts = run(14 * kDaySteps, [](int i) {
    return i / kDaySteps == 10 ? 20.0 + 6.0 * noise(i) : working_day(i);
  });
  EXPECT_GE(alarms(verdicts, day + 108, day + 140), 1) << "the rise at nine that did not come";
  EXPECT_LE(alarms(verdicts, 4 * kDaySteps, day), 4) << "ordinary rises and falls";
}

TEST(SeriesAnomaly, LearnsTheWeekByItself) {
  const auto verdicts = run(56 * kDaySteps, [](int i) {
    return i / kDaySteps % 7 < 5 ? working_day(i) : 20.0 + 6.0 * noise(i);
  });
  // Weekends of the last four weeks.
  int found = 0;
  for (int week = 4; week < 8; ++week) {
    found += alarms(verdicts, (week * 7 + 5) * kDaySteps, (week * 7 + 7) * kDaySteps);
  }
  EXPECT_LE(found, 2);
}

TEST(SeriesAnomaly, IsSilentOnAConstantAndFindsItsChange) {
  const auto verdicts = run(3'000, [](int i) { return i < 2'000 ? 45.0 : 46.0; });
  EXPECT_EQ(alarms(verdicts, 0, 2'000), 0);
  for (int i = 200; i < 2'000; ++i) EXPECT_EQ(verdicts[i].tail_probability, 1.0);
  EXPECT_GE(verdicts[2'000].anomaly_score, SeriesAnomaly::kScoreThreshold);
  EXPECT_EQ(alarms(verdicts, 2'600, 3'000), 0);
}

TEST(SeriesAnomaly, TakesASparseSeriesAsItIs) {
  // Zero but for a one now and then; a hundred is new.
  const auto verdicts = run(6'000, [](int i) {
    if (i == 5'000) return 100.0;
    return noise(i) > 0.48 ? 1.0 : 0.0;
  });
  EXPECT_LE(alarms(verdicts, 1'000, 5'000), 12);
  EXPECT_GE(verdicts[5'000].anomaly_score, SeriesAnomaly::kScoreThreshold);
}

TEST(SeriesAnomaly, JudgesACounterByItsIncrements) {
  auto model = std::make_unique<SeriesAnomaly>();
  std::vector<SeriesVerdict> verdicts;
  double count = 1e9;
  for (int i = 0; i < 3'000; ++i) {
    if (i == 1'500) count = 0.0;  // restart
    count += i == 2'500 ? 5'000.0 : 100.0 + 20.0 * noise(i);
    verdicts.push_back(model->step(i * kStepNs, count));
  }
  EXPECT_TRUE(model->is_counter());
  EXPECT_LE(alarms(verdicts, 0, 2'500), 4);
  EXPECT_EQ(verdicts[1'500].anomaly_score, 0.0) << "a restart is no anomaly";
  EXPECT_GE(verdicts[2'500].anomaly_score, SeriesAnomaly::kScoreThreshold);
}

TEST(SeriesAnomaly, FindsThatACounterStandsStill) {
  auto model = std::make_unique<SeriesAnomaly>();
  std::vector<SeriesVerdict> verdicts;
  double count = 0.0;
  for (int i = 0; i < 2'000; ++i) {
    if (i < 1'500) count += 100.0 + 20.0 * noise(i);
    verdicts.push_back(model->step(i * kStepNs, count));
  }
  EXPECT_GE(alarms(verdicts, 1'500, 1'510), 1);
}

TEST(SeriesAnomaly, TakesAFallingCounterForAGauge) {
  auto model = std::make_unique<SeriesAnomaly>();
  for (int i = 0; i < 200; ++i) model->step(i * kStepNs, i);
  EXPECT_TRUE(model->is_counter());
  model->step(200 * kStepNs, 190.0);  // too little of a fall for a restart
  EXPECT_FALSE(model->is_counter());
  EXPECT_EQ(model->step_count(), 1U);
  for (int i = 0; i < 300; ++i) model->step((201 + i) * kStepNs, 190.0 + i);
  EXPECT_FALSE(model->is_counter()) << "decided once";
}

TEST(SeriesAnomaly, GetsUsedToBursts) {
  // Bursts of ten values at odd times, twenty before the one that is ten times as high.
  const auto verdicts = run(6'100, [](int i) {
    const int since = (i + i / 1'000 * 37) % 260;
    const double burst = since < 10 ? 100.0 + 10.0 * noise(i, 5) : 0.0;
    return noise(i) + (i > 6'000 ? 10.0 : 1.0) * burst;
  });
  EXPECT_LE(alarms(verdicts, 2'600, 6'000), 14) << "fewer than the bursts";
  EXPECT_GE(alarms(verdicts, 6'000, 6'100), 1);
}

TEST(SeriesAnomaly, TimeMattersForTheTimeOfDayOnly) {
  // A gap of two days, every time twice, and neighbours swapped: the same values.
  std::vector<int> order;
  for (int i = 0; i < 12 * kDaySteps; ++i) {
    if (i / kDaySteps == 5 || i / kDaySteps == 6) continue;
    order.push_back(i);
    if (i % 50 == 0) order.push_back(i);
  }
  for (std::size_t at = 20; at + 1 < order.size(); at += 20) std::swap(order[at], order[at + 1]);
  auto model = std::make_unique<SeriesAnomaly>();
  int found = 0;
  for (const int i : order) {
    const double score = model->step(i * kStepNs, working_day(i)).anomaly_score;
    found += i > 4 * kDaySteps && score >= SeriesAnomaly::kScoreThreshold ? 1 : 0;
  }
  EXPECT_LE(found, 6);
  EXPECT_EQ(model->step_count(), order.size());
  const double high = model->step(12 * kDaySteps * kStepNs, 400.0).anomaly_score;
  EXPECT_GE(high, SeriesAnomaly::kScoreThreshold);
}

TEST(SeriesAnomaly, TakesTimesAtTheEndsOfTheirRange) {
  auto model = std::make_unique<SeriesAnomaly>();
  for (int i = 0; i < 200; ++i) {
    model->step(std::numeric_limits<std::int64_t>::min(), noise(i));
    model->step(std::numeric_limits<std::int64_t>::max(), noise(i, 2));
  }
  EXPECT_EQ(model->step_count(), 400U);
}

TEST(SeriesAnomaly, IgnoresWhatIsNoNumber) {
  const auto clean = run(1'000, [](int i) { return noise(i); });
  auto model = std::make_unique<SeriesAnomaly>();
  for (int i = 0; i < 1'000; ++i) {
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity(), -1e300}) {
      const SeriesVerdict verdict = model->step(i * kStepNs, bad);
      ASSERT_EQ(verdict.anomaly_score, 0.0);
      ASSERT_EQ(verdict.tail_probability, 1.0);
    }
    ASSERT_EQ(model->step(i * kStepNs, noise(i)).surprise, clean[i].surprise) << i;
  }
}

TEST(SeriesAnomaly, DoesNotDependOnTheUnit) {
  const Value value = [](int i) { return 3.0 + noise(i) + (i % 900 == 899 ? 7.0 : 0.0); };
  const auto one = run(4'000, value);
  const auto other = run(4'000, [&](int i) { return 1024.0 * value(i); });
  int differ = 0;
  for (int i = 0; i < 4'000; ++i) {
    differ += std::fabs(one[i].surprise - other[i].surprise) > 1e-6 ? 1 : 0;
  }
  EXPECT_LE(differ, 4);
}

TEST(SeriesAnomaly, IsAFunctionOfItsInputAlone) {
  const Value value = [](int i) { return working_day(i) + (i % 811 == 0 ? 70.0 : 0.0); };
  const auto one = run(3'000, value);
  const auto other = run(3'000, value);
  for (int i = 0; i < 3'000; ++i) {
    ASSERT_EQ(one[i].anomaly_score, other[i].anomaly_score);
    ASSERT_EQ(one[i].tail_probability, other[i].tail_probability);
  }
}

TEST(SeriesAnomaly, AMemberLeftOutSaysNothing) {
  const Value value = [](int i) { return i % 400 == 399 ? 9.0 : noise(i); };
  for (std::size_t member = 0; member < kSeriesMemberCount; ++member) {
    EXPECT_FALSE(name_of(static_cast<SeriesMember>(member)).empty());
    for (const SeriesVerdict& verdict :
         run(3'000, value, SeriesAnomaly::kAllMembers & ~(1U << member))) {
      if (verdict.surprise > 0.0) {
        ASSERT_NE(static_cast<std::size_t>(verdict.member), member);
      }
    }
    bool spoke = false;
    for (const SeriesVerdict& verdict : run(3'000, value, 1U << member)) {
      if (verdict.surprise > 0.0) {
        spoke = true;
        ASSERT_EQ(static_cast<std::size_t>(verdict.member), member);
      }
    }
    EXPECT_TRUE(spoke) << name_of(static_cast<SeriesMember>(member));
  }
  for (const SeriesVerdict& verdict : run(1'000, value, 0)) EXPECT_EQ(verdict.surprise, 0.0);
}

TEST(SeriesAnomaly, HasABoundedState) {
  static_assert(sizeof(SeriesAnomaly) <= 48 * 1024);
  static_assert(std::is_trivially_copyable_v<SeriesAnomaly>);
}

}  // namespace
}  // namespace grace::models
