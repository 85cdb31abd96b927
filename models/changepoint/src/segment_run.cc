#include "grace/models/segment_run.h"

#include <algorithm>
#include <cmath>

#include "gamma_ratio.h"
#include "grace/core/exact_math.h"

namespace grace::models {
namespace {

constexpr double kPi = 3.14159265358979323846;
// Below this share a value counts as an outlier wholly.
constexpr double kShareMin = 1e-6;
// Densities below have no logarithm here: a tiny share of outliers can make one.
constexpr double kDensityMin = 1e-300;

double cauchy(double away, double width) noexcept {
  const double z = away / width;
  return 1.0 / (kPi * width * (1.0 + z * z));
}

// Student-t density with 2 `shape` degrees of freedom; `variance` is the square of its scale.
double student(double away, double shape, double variance) noexcept {
  const double freedom = 2.0 * shape;
  const double z = away * away / (freedom * variance);
  return gamma_ratio(shape) / std::sqrt(kPi * freedom * variance) *
         core::exact_exp(-(shape + 0.5) * core::exact_log(1.0 + z));
}

}  // namespace

double SegmentRun::begin(double value, double slope_deviation, const RunScale& scale,
                         const RunConstants& constants) noexcept {
  level = value;
  slope = 0.0;
  level_variance = 1.0;
  covariance = 0.0;
  slope_variance = slope_deviation * slope_deviation;
  shape = constants.shape;
  rate = constants.shape * scale.deviation * scale.deviation;
  return core::exact_log(cauchy(value - scale.center, constants.outlier_scale * scale.deviation));
}

double SegmentRun::step(double value, const RunScale& scale,
                        const RunConstants& constants) noexcept {
  level += slope;
  level_variance += 2.0 * covariance + slope_variance;
  covariance += slope_variance;
  const double keep = 1.0 - 1.0 / constants.memory_values;
  level_variance /= keep;
  covariance /= keep;
  slope_variance /= keep;
  if (shape > 0.5 * constants.memory_values) {
    shape *= keep;
    rate *= keep;
  }

  const double away = value - level;
  const double predicted =
      (1.0 - constants.outlier_share) * student(away, shape, rate / shape * (1.0 + level_variance));
  const double outlier =
      constants.outlier_share * cauchy(away, constants.outlier_scale * scale.deviation);
  const double share = predicted / (predicted + outlier);
  if (share > kShareMin) {
    const double spread = 1.0 / share + level_variance;
    const double level_gain = level_variance / spread;
    const double slope_gain = covariance / spread;
    level += level_gain * away;
    slope += slope_gain * away;
    slope_variance -= slope_gain * covariance;
    covariance -= level_gain * covariance;
    level_variance -= level_gain * level_variance;
    rate += 0.5 * away * away / spread;
    shape += 0.5 * share;
  }
  return core::exact_log(std::max(predicted + outlier, kDensityMin));
}

}  // namespace grace::models
