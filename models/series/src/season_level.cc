#include "grace/models/season_level.h"

#include <algorithm>

#include "numeric.h"

namespace grace::models {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kPeriodNs = 900 * kSecondNs;
constexpr auto kPeriods = static_cast<std::int64_t>(SeasonLevel::kPeriodsDay);

constexpr double kPeriodGainMin = 0.2;      // a period follows over five days
constexpr double kLevelGain = 1.0 / 120.0;  // two hours of minutes
constexpr double kSpreadGain = 1.0 / 720.0;
constexpr double kMeanGain = 1.0 / 8.0;
constexpr double kRecentGain = 1.0 / 3.0;
constexpr double kSwingGain = 1.0 / 16.0;
constexpr double kSwingSpreadMin = 0.1;    // that of sixteen independent normal steps
constexpr double kMeanSpreadMin = 0.1;     // the mean of eight independent residuals has 0.26
constexpr std::uint32_t kEarlySteps = 20;  // taken as they are
constexpr double kClip = 3.0;
constexpr double kMeanAbsToSd = 1.2533141373155001;  // sqrt(pi / 2), normal distribution
constexpr double kRelativeMin = 0.005;  // of what is expected: less noise than that is no noise
constexpr std::uint32_t kSettledSteps = 60;
// The level multiplies where the lowest part of the day is at least this part of the highest.
constexpr double kClearOfZero = 0.1;
// ... and of its noise: a value that is near nothing by chance has no size to multiply with.
constexpr double kClearOfNoise = 2.0;
constexpr double kFactorMin = 1e-3;  // of the usual level: less is as good as none

std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept {
  return a / b - (a % b < 0 ? 1 : 0);
}
std::size_t slot_of(std::int64_t period) noexcept {
  return static_cast<std::size_t>(period - floor_div(period, kPeriods) * kPeriods);
}

}  // namespace

SeasonLevel::Shape SeasonLevel::shape_at(std::int64_t time_ns) const noexcept {
  const std::int64_t period = floor_div(time_ns, kPeriodNs);
  const auto day = static_cast<std::uint8_t>(floor_div(period, kPeriods) & 0xff);
  const auto known = [&](const Period& p) {
    return p.days >= 2 || (p.days == 1 && p.last_day != day);
  };
  const Period& here = periods_[slot_of(period)];
  if (!known(here)) return {};
  // Place in the period, from its middle: a line to the middle of the neighbour.
  const double place =
      static_cast<double>(time_ns - period * kPeriodNs) / static_cast<double>(kPeriodNs) - 0.5;
  const Period& next = periods_[slot_of(place < 0 ? period - 1 : period + 1)];
  const auto mean = static_cast<double>(here.mean);
  if (next.days == 0) return {mean, true};
  return {mean + magnitude(place) * (static_cast<double>(next.mean) - mean), true};
}

double SeasonLevel::expected(const Shape& shape) const noexcept {
  if (!shape.known) return level_;
  return multiplies_ ? factor_ * shape.value : shape.value + offset_;
}

// A quarter of an hour that is over waits for the level to come to where it was then.
void SeasonLevel::open_period(std::int64_t period) noexcept {
  constexpr auto kLate = static_cast<std::int64_t>(kPeriodsLate);
  while (waiting_count_ > 0 && waiting_[0].period + kLate <= period) fold_oldest();
  if (open_.count > 0) {
    if (waiting_count_ == waiting_.size()) fold_oldest();
    waiting_[waiting_count_++] = open_;
  }
  open_ = {period, 0.0, 0};
}

void SeasonLevel::fold_oldest() noexcept {
  const Waiting oldest = waiting_[0];
  std::copy(waiting_.begin() + 1, waiting_.begin() + waiting_count_, waiting_.begin());
  --waiting_count_;
  double mean = oldest.sum / oldest.count;
  if (seasonal_ && multiplies_) {
    // A level of nothing says nothing about the day.
    if (magnitude(factor_) < kFactorMin) return;
    mean /= factor_;
  } else if (seasonal_) {
    mean -= offset_;
  }
  Period& closed = periods_[slot_of(oldest.period)];
  closed.days = static_cast<std::uint8_t>(std::min(closed.days + 1, 100));
  closed.last_day = static_cast<std::uint8_t>(floor_div(oldest.period, kPeriods) & 0xff);
  const double gain = std::max(kPeriodGainMin, 1.0 / closed.days);
  closed.mean += static_cast<float>(gain * (mean - static_cast<double>(closed.mean)));
}

// The shape came, or went: from here on other errors are made.
void SeasonLevel::begin_scale(const Shape& shape) noexcept {
  while (waiting_count_ > 0) fold_oldest();
  const double noise = spread_;
  seasonal_ = shape.known;
  steps_ = held_ = 0;
  spread_ = mean_ = mean_spread_ = 0.0;
  now_ = away_ = swing_ = swing_away_ = swing_usual_ = swing_spread_ = 0.0;
  now_tail_ = mean_tail_ = pair_tail_ = swing_tail_ = TailRate(kTailFrom);
  multiplies_ = false;
  if (!seasonal_) return;
  double low = shape.value;
  double high = shape.value;
  for (const Period& p : periods_) {
    if (p.days == 0) continue;
    low = std::min(low, static_cast<double>(p.mean));
    high = std::max(high, static_cast<double>(p.mean));
  }
  // `noise` is in units of the series: there was no shape before.
  multiplies_ = low > 0.0 && low >= kClearOfZero * high && low >= kClearOfNoise * noise;
  factor_ = 1.0;
  offset_ = 0.0;
}

void SeasonLevel::set_level(const Shape& shape, double value) noexcept {
  // What waits was measured at the level before; what the open quarter has would be measured at
  // both.
  while (waiting_count_ > 0) fold_oldest();
  open_.sum = 0.0;
  open_.count = 0;
  level_ = value;
  if (!shape.known) return;
  offset_ = value - shape.value;
  if (multiplies_) factor_ = value / shape.value;
}

SeasonLevel::Residual SeasonLevel::step(std::int64_t time_ns, double value) noexcept {
  const std::int64_t period = floor_div(time_ns, kPeriodNs);
  if (period != open_.period) open_period(period);
  const Shape shape = shape_at(time_ns);
  if (shape.known != seasonal_) begin_scale(shape);
  if (steps_ == 0) {
    recent_ = value;
    if (!seasonal_) level_ = value;
  }
  Residual out;
  out.expected = expected(shape);
  const double size = magnitude(out.expected);
  const bool relative = seasonal_ && multiplies_;
  out.unit = std::max(relative ? spread_ * size : spread_, kRelativeMin * size) + kTiny;
  out.now = std::clamp((value - out.expected) / out.unit, -kNowMax, kNowMax);
  out.settled = steps_ > kSettledSteps;
  recent_ += kRecentGain * (value - recent_);
  out.departure = (recent_ - out.expected) / std::max(size, out.unit);
  mean_ += kMeanGain * (out.now - mean_);
  out.mean_z = mean_ / std::max(mean_spread_, kMeanSpreadMin);

  const bool one_sided = out.now * now_ > 0.0;
  out.pair = !one_sided ? 0.0 : out.now > 0.0 ? std::min(out.now, now_) : std::max(out.now, now_);
  judge_swing(value - out.expected, out);
  out.now_chance = now_tail_.chance(magnitude(out.now));
  out.mean_chance = mean_tail_.chance(magnitude(out.mean_z));
  out.pair_chance = pair_tail_.chance(magnitude(out.pair));
  out.swing_chance = swing_tail_.chance(out.swing_z);

  const bool far_out = out.settled && magnitude(out.mean_z) >= kHoldMeanZ &&
                       magnitude(out.departure) >= kHoldDeparture;
  if (!far_out) {
    held_ = 0;
    if (out.settled) learn_tails(out);
    learn(shape, value, out);
  } else if (++held_ >= kHoldMax) {
    relearn(time_ns, recent_);
  }
  return out;
}

// Variability, apart from the level: a shift is one step, a series that swings makes many. The mean
// absolute step stands for von Neumann's mean square one (1941, "Distribution of the ratio of the
// mean square successive difference to the variance").
void SeasonLevel::judge_swing(double away, Residual& out) noexcept {
  const double step = std::min(magnitude(out.now - now_), kNowMax);
  now_ = out.now;
  const bool early = steps_ <= kEarlySteps;
  const double swing_gain = std::max(kSwingGain, early ? 1.0 / (steps_ + 1) : 0.0);
  swing_ += swing_gain * (step - swing_);
  swing_away_ += swing_gain * (magnitude(away - away_) - swing_away_);
  away_ = away;
  const double more = swing_ - swing_usual_;
  out.swing_z = std::max(0.0, more / std::max(swing_spread_, kSwingSpreadMin));
  out.swing = swing_away_ / std::max(magnitude(out.expected), out.unit);
  // What is far out teaches nothing: the unit grows with it, over half a day, until it is not.
  if (out.settled && out.swing_z >= kHoldMeanZ) return;
  const double gain = std::max(kSpreadGain, 1.0 / (steps_ + 1));
  swing_usual_ += gain * more;
  swing_spread_ += gain * (kMeanAbsToSd * magnitude(more) - swing_spread_);
}

void SeasonLevel::learn_tails(const Residual& residual) noexcept {
  now_tail_.add(magnitude(residual.now));
  mean_tail_.add(magnitude(residual.mean_z));
  pair_tail_.add(magnitude(residual.pair));
  swing_tail_.add(residual.swing_z);
}

void SeasonLevel::learn(const Shape& shape, double value, const Residual& residual) noexcept {
  ++steps_;
  const bool early = steps_ <= kEarlySteps;
  const double gain = std::max(kSpreadGain, 1.0 / steps_);
  const double size = magnitude(residual.expected);
  const double away = value - residual.expected;
  const double reach = kClip * residual.unit;
  const double used = early ? away : std::clamp(away, -reach, reach);
  const bool relative = seasonal_ && multiplies_;
  const double part = relative ? magnitude(used) / (size + kTiny) : magnitude(used);
  spread_ += gain * (kMeanAbsToSd * part - spread_);
  const double mean_reach = kClip * std::max(mean_spread_, kMeanSpreadMin);
  const double mean_used = early ? mean_ : std::clamp(mean_, -mean_reach, mean_reach);
  mean_spread_ += gain * (kMeanAbsToSd * magnitude(mean_used) - mean_spread_);

  // What the shape learns is the value as far as it is believed, without the level.
  const double believed = residual.expected + used;
  if (!seasonal_) {
    level_ += std::max(kLevelGain, early ? 1.0 / steps_ : 0.0) * used;
  } else {
    if (multiplies_) {
      if (magnitude(factor_) < kFactorMin) return;
      factor_ += kLevelGain * used / (shape.value + kTiny);
    } else {
      offset_ += kLevelGain * used;
    }
    level_ += kLevelGain * (value - level_);
  }
  open_.sum += believed;
  ++open_.count;
}

void SeasonLevel::relearn(std::int64_t time_ns, double value) noexcept {
  set_level(shape_at(time_ns), value);
  mean_ = 0.0;
  held_ = 0;
}

}  // namespace grace::models
