#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "grace/models/tail_rate.h"

namespace grace::models {

// What a series should be now: the shape of its day, learned online, times (or plus) a level that
// follows over two hours. What is left, the residual, has neither the daily wave nor a slow change
// of the whole, such as a weekend: it is what shifts and drifts are to be judged on.
//
// The shape is the mean of each quarter of an hour, learned when the quarter is over and without
// the level, so that a lasting shift does not come back as its own ghost a day later. Between
// quarters it is a line. The level multiplies where the shape keeps clear of 0 (traffic, latency),
// and is added elsewhere. Until the same time of an earlier day was seen the shape is flat. Huber's
// psi (Huber 1964, "Robust estimation of a location parameter") bounds what one value may teach.
//
// The residual is given in deviations of its own, and so is its mean over the last values, whose
// deviation is learned separately because noise with a memory does not average out as white noise.
// While that mean is far out (kHoldMeanZ and kHoldDeparture) nothing is learned, so that a fault
// does not become usual; what has lasted for kHoldMax values is the new level.
//
// About 1.2 KiB, no allocation. Not thread safe. Values must be finite; times are UTC nanoseconds
// that do not fall. Deterministic on all processors.
class SeasonLevel {
 public:
  static constexpr std::size_t kPeriodsDay = 96;

  struct Residual {
    double expected = 0.0;  // before the value was learned
    double unit = 0.0;      // deviation of the residual, over 0, in units of the series
    double now = 0.0;       // the residual in deviations, within +-kNowMax
    double mean_z = 0.0;    // mean of the last ones, fading over eight, in deviations of such means
    double departure = 0.0;  // of the last three values from `expected`, relative to its size
    // The smaller one of the last two residuals; 0 when they have not one sign.
    double pair = 0.0;
    // Mean step from residual to residual, fading over sixteen, in deviations of such means from
    // what it usually is; and the step itself, relative to the size of `expected`.
    double swing_z = 0.0;
    double swing = 0.0;
    // How often |now|, |mean_z|, |pair| and swing_z are as large or larger by chance: see TailRate.
    double now_chance = 1.0;
    double mean_chance = 1.0;
    double pair_chance = 1.0;
    double swing_chance = 1.0;
    bool settled = false;  // the deviations may be used
  };
  static constexpr double kNowMax = 10.0;
  static constexpr double kHoldMeanZ = 4.0;
  static constexpr double kHoldDeparture = 0.1;
  static constexpr std::uint32_t kHoldMax = 60;
  static constexpr double kTailFrom = 3.0;  // deviations beyond which tails are learned

  Residual step(std::int64_t time_ns, double value) noexcept;
  // The level moves so that `value` is what is expected at `time_ns`.
  void relearn(std::int64_t time_ns, double value) noexcept;
  // Whether the shape of the day was known at the last step.
  [[nodiscard]] bool seasonal() const noexcept { return seasonal_; }

 private:
  struct Period {
    float mean = 0.0F;
    std::uint8_t days = 0;
    std::uint8_t last_day = 0;  // day number modulo 256
  };
  struct Waiting {             // a quarter of an hour that the shape has not learned yet
    std::int64_t period = -1;  // since the epoch; -1: none
    double sum = 0.0;          // of values as far as they are believed
    std::uint32_t count = 0;
  };
  static constexpr std::size_t kPeriodsLate = 8;  // as the level: two hours
  struct Shape {
    double value = 0.0;
    bool known = false;
  };

  [[nodiscard]] Shape shape_at(std::int64_t time_ns) const noexcept;
  [[nodiscard]] double expected(const Shape& shape) const noexcept;
  void open_period(std::int64_t period) noexcept;
  void fold_oldest() noexcept;
  void begin_scale(const Shape& shape) noexcept;
  void learn(const Shape& shape, double value, const Residual& residual) noexcept;
  void set_level(const Shape& shape, double value) noexcept;
  void judge_swing(double away, Residual& out) noexcept;
  void learn_tails(const Residual& residual) noexcept;

  std::array<Period, kPeriodsDay> periods_{};
  Waiting open_;
  std::array<Waiting, kPeriodsLate> waiting_{};  // oldest first
  std::size_t waiting_count_ = 0;
  std::uint32_t steps_ = 0;  // since the scale began anew
  std::uint32_t held_ = 0;   // values in a row that taught nothing
  bool seasonal_ = false;
  bool multiplies_ = false;
  double recent_ = 0.0;  // mean of the last three values
  double level_ = 0.0;   // of the values; expected while no shape is known
  double factor_ = 1.0;  // of the shape
  double offset_ = 0.0;  // from the shape
  double spread_ = 0.0;  // of residuals; relative to what is expected where the level multiplies
  double mean_ = 0.0;
  double mean_spread_ = 0.0;
  double now_ = 0.0;   // the last residual
  double away_ = 0.0;  // the same in units of the series
  double swing_ = 0.0;
  double swing_away_ = 0.0;
  double swing_usual_ = 0.0;
  double swing_spread_ = 0.0;
  TailRate now_tail_{kTailFrom};
  TailRate mean_tail_{kTailFrom};
  TailRate pair_tail_{kTailFrom};
  TailRate swing_tail_{kTailFrom};
};

}  // namespace grace::models
