#include "grace/models/noise_scale.h"

#include <algorithm>
#include <cmath>

namespace grace::models {
namespace {

// Median and mean of |difference| of two independent normal values, in their deviations.
constexpr double kMedianOfDifference = 0.67448975019608 * 1.4142135623730951;
constexpr double kMeanOfDifference = 0.79788456080287 * 1.4142135623730951;
// A level shift touches `lag` of the differences; more than twice as many must be known.
constexpr std::size_t kDifferencesMin = 8;
std::size_t differences_needed(std::size_t lag) {
  return std::max(kDifferencesMin, 5 * lag / 2);
}

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
  return median > 0 ? median / kMedianOfDifference
                    : differences_[0].trimmed_mean() / kMeanOfDifference;
}

double NoiseScale::independence() const noexcept {
  double longer = 0.0;
  double longer_mean = 0.0;
  int known = 0;
  for (std::size_t i = 1; i < kLags.size(); ++i) {
    if (differences_[i].size() < differences_needed(kLags[i])) continue;
    longer += differences_[i].median();
    longer_mean += differences_[i].mean();
    ++known;
  }
  // Values that mostly repeat even at longer lags have no noise to correlate: steps are steps.
  if (known == 0 || !(longer > 0)) return 1.0;
  double shortest = differences_[0].median();
  if (!(shortest > 0)) {
    // Each value is held for a few: the medians say nothing of lag 1, the means do.
    shortest = differences_[0].mean();
    longer = longer_mean;
  }
  const double ratio = std::min(1.0, shortest * known / longer);
  const double rest = ratio * ratio;  // 1 - phi
  return rest / (2.0 - rest);
}

}  // namespace grace::models
