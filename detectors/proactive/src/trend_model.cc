#include "trend_model.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "numeric.h"

namespace grace::proactive {
namespace {

// Smoothing of level and trend: follows a ramp within about five bins, and a forecast 15 bins ahead
// on white noise stays within 2.6 deviations. Damping 0.98 is the upper end of what Hyndman et al.
// recommend (0.8 to 0.98): short horizons, and a ramp must not be forecast too low.
constexpr double kLevelGain = 0.4;
constexpr double kTrendGain = 0.04;
constexpr int kTrendBelief = 4;  // errors of one sign raise the trend's gain up to this many times
constexpr double kDamping = 0.98;
constexpr double kScaleGain = 0.05;  // of the error scale: half-life 14 bins
constexpr double kClip = 2.5;        // deviations; Huber's psi, efficiency 0.98 at the normal
constexpr double kTrendClip = 10.0;
constexpr int kShiftRun = 3;
// A jump: a level shift must not read as a trend.
constexpr double kJump = 8.0;  // deviations
constexpr int kJumpRun = 2;
constexpr double kJumpLevelGain = 0.8;
constexpr double kLeap = 20.0;  // deviations; what a jump would leave of it would still be far
constexpr double kJumpTrendGain = 0.3;
// Bins of one direction that count as evidence that it goes on: 8/9 at most. However long a
// movement has lasted, what ends it (people, restarts, saturation) is not in the series.
constexpr std::uint32_t kRunBelieved = 7;
// Where noise may be, and how long it may go one way: movements within are none, those a deviation
// or a run beyond are surely some.
constexpr double kUsualDeviations = 2.0;
constexpr double kUsualRun = 7.0;
constexpr std::int64_t kGapMax = 60;  // bins; past it the trend is forgotten
constexpr std::uint32_t kSettledSteps = 8;

struct Tables {
  std::array<double, kHorizonBinsMax + 1> damped_sum{};  // phi + ... + phi^h
  std::array<double, kHorizonBinsMax + 1> variance{};    // of the error h bins ahead, sigma = 1
};
constexpr Tables make_tables() {
  Tables t;
  double power = 1.0;
  double sum = 0.0;
  double variance = 1.0;
  for (std::uint32_t h = 1; h <= kHorizonBinsMax; ++h) {
    power *= kDamping;
    sum += power;
    t.damped_sum[h] = sum;
    t.variance[h] = variance;
    const double gain = kLevelGain + kTrendGain * sum;
    variance += gain * gain;
  }
  return t;
}
constexpr Tables kTables = make_tables();

constexpr double kCenterGainMin = 1.0 / 720.0;
constexpr double kBaselineClip = 3.0;
constexpr double kQuantile = 0.995;
constexpr double kQuantileGain = 0.2;  // of one deviation
constexpr double kRelativeScaleMin = 0.01;
constexpr double kAbsoluteScaleMin = 1e-6;
constexpr double kDeviationMax = 99.0;

std::uint16_t grown(std::uint16_t run) {
  return run < 1000 ? static_cast<std::uint16_t>(run + 1) : run;
}

}  // namespace

double TrendModel::scale() const noexcept {
  return std::max({sigma, 1e-3 * std::fabs(level), 1e-9});
}

void TrendModel::step(double value, std::int64_t gap) noexcept {
  if (steps == 0) {
    level = value;
    steps = 1;
    return;
  }
  if (gap > kGapMax) {
    trend = 0.0;
    run_up = run_down = 0;
    sign_run = 0;
  } else if (gap > 0) {
    const double held = trend;
    level += held * kTables.damped_sum[static_cast<std::size_t>(gap)];
    for (std::int64_t i = 0; i < gap; ++i) trend *= kDamping;
  }
  const double level_before = level;
  const double predicted = level + kDamping * trend;
  const double error = value - predicted;
  const double s = scale();

  if (error > s) {
    sign_run = static_cast<std::int16_t>(sign_run > 0 ? std::min(sign_run + 1, 100) : 1);
  } else if (error < -s) {
    sign_run = static_cast<std::int16_t>(sign_run < 0 ? std::max(sign_run - 1, -100) : -1);
  } else {
    sign_run = 0;
  }
  const int believed = std::abs(static_cast<int>(sign_run));
  const bool settled = steps >= kSettledSteps;
  // The first bins have no trend worth following; the level is their mean.
  const double early = 1.0 / static_cast<double>(steps + 1);
  double level_gain = std::max(kLevelGain, early);
  double trend_gain = kTrendGain * static_cast<double>(std::clamp(believed, 1, kTrendBelief));
  double used = error;
  double used_for_trend = std::clamp(error, -kTrendClip * s, kTrendClip * s);
  if (!settled) {
    trend_gain = 0.0;
  } else if (believed >= kJumpRun && std::fabs(error) > kJump * s) {
    // The second far error of one sign: the level jumps there. If that was all, the next error is
    // small and no trend was learned from the jump; if not, it is a steep ramp.
    level_gain = std::fabs(error) > kLeap * s ? 1.0 : kJumpLevelGain;
    trend_gain = kJumpTrendGain;
    if (believed == kJumpRun) used_for_trend = std::clamp(error, -s, s);
  } else if (believed <= kShiftRun) {
    const double limit = kClip * s * static_cast<double>(std::max(believed, 1));
    used = std::clamp(error, -limit, limit);
    used_for_trend = used;
  }
  level = predicted + level_gain * used;
  trend = kDamping * trend + trend_gain * used_for_trend;

  double size = kMeanAbsToSd * std::fabs(error);
  if (settled) {
    // Bounded, but a scale that is far too small for what lasts must grow out of it quickly.
    const double bound = believed > kShiftRun ? std::max(4.0 * s, 0.25 * size) : 4.0 * s;
    size = std::min(size, bound);
  }
  sigma += std::max(kScaleGain, early) * (size - sigma);

  count_runs(value - level_before);
  if (steps < 0xffffffffU) ++steps;
}

void TrendModel::count_runs(double moved) noexcept {
  if (moved > 0) {
    run_up = grown(run_up);
    run_down = static_cast<std::uint16_t>(run_down / 2);
  } else if (moved < 0) {
    run_down = grown(run_down);
    run_up = static_cast<std::uint16_t>(run_up / 2);
  } else {
    run_up = static_cast<std::uint16_t>(run_up / 2);
    run_down = static_cast<std::uint16_t>(run_down / 2);
  }
}

Prediction TrendModel::forecast(std::uint32_t bins) const noexcept {
  return {level + trend * kTables.damped_sum[bins], scale() * std::sqrt(kTables.variance[bins])};
}

Prediction TrendModel::stay(std::uint32_t bins) const noexcept {
  return {level, scale() * std::sqrt(kTables.variance[bins])};
}

double TrendModel::persistence(bool up, double deviation) const noexcept {
  const std::uint32_t run = up ? run_up : run_down;
  const double by_place = deviation - kUsualDeviations;
  const double by_run = (static_cast<double>(run) - kUsualRun) / kUsualRun;
  const double real = std::clamp(std::max(by_place, by_run), 0.0, 1.0);
  return real * succession(std::min(run, kRunBelieved));
}

double Baseline::scale() const noexcept {
  return std::max({spread, kRelativeScaleMin * std::fabs(center), kAbsoluteScaleMin});
}

double Baseline::deviation(double value) const noexcept {
  return std::clamp((value - center) / scale(), -kDeviationMax, kDeviationMax);
}

void Baseline::step(double value, std::uint32_t warmup) noexcept {
  if (steps == 0) {
    center = low = high = value;
    steps = 1;
    return;
  }
  const bool warm = steps >= warmup;
  const double gain = std::max(kCenterGainMin, 1.0 / static_cast<double>(steps + 1));
  const double s = scale();
  double distance = value - center;
  if (warm) {
    distance = std::clamp(distance, -kBaselineClip * s, kBaselineClip * s);
    low -= kQuantileGain * s * ((value < low ? 1.0 : 0.0) - (1.0 - kQuantile));
    high += kQuantileGain * s * ((value > high ? 1.0 : 0.0) - (1.0 - kQuantile));
    if (low > high) low = high = center;
  } else {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  center += gain * distance;
  spread += gain * (kMeanAbsToSd * std::fabs(distance) - spread);
  if (steps < 0xffffffffU) ++steps;
}

void Baseline::relearn(double mean, double from, double to, std::uint32_t steps_to) noexcept {
  center = mean;
  low = std::min(from, mean);
  high = std::max(to, mean);
  steps = steps_to;
}

}  // namespace grace::proactive
