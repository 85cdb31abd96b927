#include "grace/models/season_profile.h"

#include <algorithm>

#include "numeric.h"

namespace grace::models {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kDayNs = 86'400 * kSecondNs;

// A period follows over ten days or weeks.
constexpr double kGainMin = 0.1;
// Errors of day and week are compared over about two days of quarters of an hour, from one on.
constexpr double kErrorGain = 0.005;
constexpr std::uint32_t kComparedMin = 96;

// An hour is known after three samples and follows over fifty.
constexpr std::uint32_t kKnownMin = 3;
constexpr double kHourGainMin = 0.02;
// The series' own spread is mixed in, so that an hour that never moved is not infinitely strict.
constexpr double kSpreadShare = 0.3;
constexpr double kSpreadGainMin = 0.001;

struct Clock {
  std::int64_t day;
  std::int64_t in_day_ns;
};

Clock clock_of(std::int64_t time_ns) noexcept {
  std::int64_t day = time_ns / kDayNs;
  std::int64_t rest = time_ns % kDayNs;
  if (rest < 0) {
    rest += kDayNs;
    --day;
  }
  return {day, rest};
}

}  // namespace

bool SeasonProfile::Period::known(std::uint8_t day) const noexcept {
  return days >= 2 || (days == 1 && last_day != day);
}

void SeasonProfile::Period::learn(std::uint8_t day, double value) noexcept {
  if (days == 0 || last_day != day) {
    days = static_cast<std::uint8_t>(std::min(days + 1, 2));
    last_day = day;
  }
  if (count < UINT16_MAX) ++count;
  const double gain = std::max(kGainMin, 1.0 / count);
  mean += static_cast<float>(gain * (value - static_cast<double>(mean)));
}

SeasonProfile::Residual SeasonProfile::step(std::int64_t time_ns, double value) noexcept {
  const Clock clock = clock_of(time_ns);
  const auto day = static_cast<std::uint8_t>(clock.day & 0xff);
  const auto period =
      static_cast<std::size_t>(clock.in_day_ns / (kDayNs / std::int64_t{kPeriodsDay}));
  const auto weekday = static_cast<std::size_t>(((clock.day + 3) % 7 + 7) % 7);
  Period& daily = day_[period];
  Period& weekly = week_[weekday * kPeriodsDay + period];
  Residual residual;
  weekly_ = false;
  if (daily.known(day)) {
    residual.known = true;
    residual.value = value - static_cast<double>(daily.mean);
    if (weekly.known(day)) {
      const double of_week = value - static_cast<double>(weekly.mean);
      weekly_ = compared_ >= kComparedMin && week_error_ < day_error_;
      if (compared_ < UINT32_MAX) ++compared_;
      const double gain = std::max(kErrorGain, 1.0 / compared_);
      day_error_ += gain * (magnitude(residual.value) - day_error_);
      week_error_ += gain * (magnitude(of_week) - week_error_);
      if (weekly_) residual.value = of_week;
    }
  }
  daily.learn(day, value);
  weekly.learn(day, value);
  return residual;
}

double HourProfile::step(std::int64_t time_ns, double value) noexcept {
  Hour& hour = hours_[static_cast<std::size_t>(clock_of(time_ns).in_day_ns / (kDayNs / 24))];
  double residual = 0.0;
  double deviation = 0.0;
  if (hour.count >= kKnownMin) {
    residual = magnitude(value - static_cast<double>(hour.mean));
    deviation = residual / (static_cast<double>(hour.spread) + kSpreadShare * spread_ + kTiny);
  }
  if (hour.count < UINT32_MAX) ++hour.count;
  if (count_ < UINT32_MAX) ++count_;
  const double gain = std::max(kHourGainMin, 1.0 / hour.count);
  hour.mean += static_cast<float>(gain * (value - static_cast<double>(hour.mean)));
  hour.spread += static_cast<float>(gain * (residual - static_cast<double>(hour.spread)));
  spread_ += std::max(kSpreadGainMin, 1.0 / count_) * (residual - spread_);
  return deviation;
}

}  // namespace grace::models
