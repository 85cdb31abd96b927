#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace grace::models {

// What a series usually is at this time of day, and at this time of the week. Times are UTC; a
// period of the day is a quarter of an hour. Means with a gain of 1/n, at least kGainMin. The week
// is believed instead of the day once its recent error is the smaller one, so that a series with
// working days is found and not configured. Gaps leave periods as they were.
//
// About 6 KiB, no allocation. Not thread safe. Values must be finite.
class SeasonProfile {
 public:
  static constexpr std::size_t kPeriodsDay = 96;
  static constexpr std::size_t kPeriodsWeek = 7 * kPeriodsDay;

  struct Residual {
    double value = 0.0;  // value - what is usual
    bool known = false;  // false before the same time of an earlier day was seen: value is 0
  };

  // The residual against what was learned before, then learns the value.
  Residual step(std::int64_t time_ns, double value) noexcept;
  // Whether the last residual was taken from the week.
  [[nodiscard]] bool weekly() const noexcept { return weekly_; }

 private:
  struct Period {
    float mean = 0.0F;
    std::uint16_t count = 0;
    std::uint8_t days = 0;      // on how many days seen, 2 at most
    std::uint8_t last_day = 0;  // day number modulo 256
    [[nodiscard]] bool known(std::uint8_t day) const noexcept;
    void learn(std::uint8_t day, double value) noexcept;
  };

  std::array<Period, kPeriodsDay> day_{};
  std::array<Period, kPeriodsWeek> week_{};
  double day_error_ = 0.0;
  double week_error_ = 0.0;
  std::uint32_t compared_ = 0;  // steps at which both were known
  bool weekly_ = false;
};

// What a series usually is, and how much it varies, at this hour of the day: the deviation in units
// of what is usual for the hour. Unlike SeasonProfile it knows that a busy hour varies more.
// 304 bytes, no allocation.
class HourProfile {
 public:
  // >= 0; 0 before an hour was seen kKnownMin times.
  double step(std::int64_t time_ns, double value) noexcept;

 private:
  struct Hour {
    float mean = 0.0F;
    float spread = 0.0F;  // mean absolute deviation
    std::uint32_t count = 0;
  };
  std::array<Hour, 24> hours_{};
  double spread_ = 0.0;  // over all hours
  std::uint32_t count_ = 0;
};

}  // namespace grace::models
