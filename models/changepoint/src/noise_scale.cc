#include "grace/models/noise_scale.h"

#include <algorithm>
#include <cmath>

namespace grace::models {
namespace {

// Median and mean of |difference| of two independent normal values, in their deviations.
constexpr double kMedianOfDifference = 0.67448975019608 * 1.4142135623730951;
constexpr double kMeanOfDifference = 0.79788456080287 * 1.4142135623730951;
constexpr std::size_t kDifferencesMin = 8;

}  // namespace

void NoiseScale::push(double value) noexcept {
  for (std::size_t i = 0; i < kLags.size(); ++i) {
    if (count_ < kLags[i]) continue;
    differences_[i].push(std::fabs(value - recent_[(count_ - kLags[i]) % kLagMax]));
  }
  recent_[count_ % kLagMax] = value;
  ++count_;
  values_.push(value);
}

double NoiseScale::deviation() const noexcept {
  const double median = differences_[0].median();
  return median > 0 ? median / kMedianOfDifference : differences_[0].mean() / kMeanOfDifference;
}

double NoiseScale::independence() const noexcept {
  double shortest = differences_[0].median();
  const bool by_mean = !(shortest > 0);
  if (by_mean) shortest = differences_[0].mean();
  double sum = 0.0;
  int known = 0;
  for (std::size_t i = 1; i < kLags.size(); ++i) {
    if (differences_[i].size() < kDifferencesMin) continue;
    sum += by_mean ? differences_[i].mean() : differences_[i].median();
    ++known;
  }
  if (known == 0 || !(sum > 0)) return 1.0;
  const double ratio = std::min(1.0, shortest * known / sum);
  const double rest = ratio * ratio;  // 1 - phi
  return rest / (2.0 - rest);
}

}  // namespace grace::models
