#include "grace/models/season_profile.h"

#include <gtest/gtest.h>

#include <cmath>

#include "../dice.h"

namespace grace::models {
namespace {

constexpr std::int64_t kMinuteNs = 60'000'000'000;
constexpr std::int64_t kDayMinutes = 1'440;

double noise(std::int64_t i) {
  return testing::uniform_at(static_cast<std::uint64_t>(i));
}

// A bump around noon.
double daily(std::int64_t minute) {
  const std::int64_t in_day = (minute % kDayMinutes + kDayMinutes) % kDayMinutes;
  return in_day > 600 && in_day < 840 ? 50.0 : 10.0;
}

TEST(SeasonProfile, SaysNothingOnTheFirstDay) {
  SeasonProfile profile;
  for (std::int64_t minute = 0; minute < kDayMinutes; minute += 5) {
    const auto residual = profile.step(minute * kMinuteNs, daily(minute));
    ASSERT_FALSE(residual.known);
    ASSERT_EQ(residual.value, 0.0);
  }
  EXPECT_TRUE(profile.step(kDayMinutes * kMinuteNs, 10.0).known);
}

TEST(SeasonProfile, KnowsTheDayFromTheSecondOn) {
  // Times before 1970 as well: the time of day is never negative.
  for (const std::int64_t from : {0L, -20 * kDayMinutes}) {
    SeasonProfile profile;
    for (std::int64_t minute = from; minute < from + 4 * kDayMinutes; minute += 5) {
      const auto residual = profile.step(minute * kMinuteNs, daily(minute));
      // A quarter of an hour mixes both levels where they meet.
      const std::int64_t in_day = (minute % kDayMinutes + kDayMinutes) % kDayMinutes;
      if (!residual.known || in_day / 15 == 40 || in_day / 15 == 55) continue;
      ASSERT_LT(std::fabs(residual.value), 1e-3) << minute;
    }
    EXPECT_NEAR(profile.step((from + 4 * kDayMinutes + 720) * kMinuteNs, 10.0).value, -40.0, 1e-3);
  }
}

TEST(SeasonProfile, BelievesTheWeekOnceItIsBetter) {
  SeasonProfile profile;
  double worst = 0.0;
  bool weekly = false;
  for (std::int64_t minute = 0; minute < 42 * kDayMinutes; minute += 15) {
    const std::int64_t day = minute / kDayMinutes;
    const double value = day % 7 < 5 ? daily(minute) : 10.0;
    const auto residual = profile.step(minute * kMinuteNs, value + 0.1 * noise(minute));
    if (minute > 28 * kDayMinutes) {
      worst = std::max(worst, std::fabs(residual.value));
      weekly |= profile.weekly();
    }
  }
  EXPECT_TRUE(weekly);
  EXPECT_LT(worst, 1.0);
}

TEST(SeasonProfile, KeepsTheDayWhereTheWeekAddsNothing) {
  SeasonProfile profile;
  int weekly = 0;
  int steps = 0;
  for (std::int64_t minute = 0; minute < 42 * kDayMinutes; minute += 15) {
    profile.step(minute * kMinuteNs, daily(minute) + 10.0 * noise(minute));
    if (minute > 21 * kDayMinutes) {
      ++steps;
      weekly += profile.weekly() ? 1 : 0;
    }
  }
  EXPECT_LT(weekly, steps / 4);
}

TEST(SeasonProfile, OutlivesAGap) {
  SeasonProfile profile;
  for (std::int64_t minute = 0; minute < 5 * kDayMinutes; minute += 5) {
    profile.step(minute * kMinuteNs, daily(minute));
  }
  const std::int64_t noon = 12 * kDayMinutes + 720;
  EXPECT_NEAR(profile.step(noon * kMinuteNs, 50.0).value, 0.0, 1e-3);
}

TEST(SeasonProfile, ForgetsAShiftWithinDays) {
  SeasonProfile profile;
  double last = 0.0;
  for (std::int64_t minute = 0; minute < 40 * kDayMinutes; minute += 5) {
    const double shift = minute > 10 * kDayMinutes ? 100.0 : 0.0;
    last = profile.step(minute * kMinuteNs, daily(minute) + shift).value;
  }
  EXPECT_LT(std::fabs(last), 1.0);
}

TEST(HourProfile, KnowsThatABusyHourVariesMore) {
  HourProfile profile;
  const auto value = [](std::int64_t minute) {
    const bool busy = minute % kDayMinutes / 60 == 12;
    return (busy ? 20.0 : 1.0) * noise(minute);
  };
  for (std::int64_t minute = 0; minute < 20 * kDayMinutes; minute += 5) {
    profile.step(minute * kMinuteNs, value(minute));
  }
  HourProfile other = profile;
  const double busy = profile.step((20 * kDayMinutes + 725) * kMinuteNs, 20.0);
  const double quiet = other.step((20 * kDayMinutes + 125) * kMinuteNs, 20.0);
  EXPECT_LT(busy, 5.0);
  EXPECT_GT(quiet, 5.0 * busy);
}

TEST(HourProfile, IsSilentInAnHourItDoesNotKnow) {
  HourProfile profile;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(profile.step(i * kMinuteNs, i * 100.0), 0.0);
  EXPECT_GT(profile.step(3 * kMinuteNs, 1e6), 0.0);
}

}  // namespace
}  // namespace grace::models
