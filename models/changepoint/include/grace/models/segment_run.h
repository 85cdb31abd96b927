#pragma once
#include <cstdint>

namespace grace::models {

// What a run is judged by, the same for all runs at one value. In units of the series.
struct RunScale {
  double center = 0.0;     // of the values seen lately
  double deviation = 1.0;  // of the noise; over 0
};

struct RunConstants {
  double shape = 1.0;           // prior weight of `deviation`, in half values
  double outlier_share = 0.01;  // of the values
  double outlier_scale = 10.0;  // deviations; half width of the Cauchy density that covers them
  double memory_values = 500.0;
};

// One hypothesis of where the current segment began: values = level + slope * age + noise of
// unknown variance, with a share of outliers. 72 bytes, plain data.
//
// Conjugate normal-inverse-gamma regression in its recursive form (West and Harrison 1997,
// "Bayesian Forecasting and Dynamic Models", chapter 4), with a discount after `memory_values`. The
// evidence for a value is a mixture of the Student-t prediction and a Cauchy density; the value
// then counts by the share that the prediction has in it, so that an outlier moves nothing (the
// outlier state of Fearnhead and Clifford 2003, "On-line inference for hidden Markov models via
// particle filters", section 5, with the mixture collapsed to one component).
//
// The first value sets the level. It is scored by the Cauchy density around the centre, so that a
// huge shift is not less likely to be one than a large shift is.
struct SegmentRun {
  std::uint64_t start = 0;  // index of its first value
  double weight = 0.0;      // posterior probability
  double level = 0.0;       // at the newest value
  double slope = 0.0;       // change of level in one value
  // Covariance of level and slope, in units of the noise variance.
  double level_variance = 1.0;
  double covariance = 0.0;
  double slope_variance = 0.0;  // 0: a level segment, which has no slope
  // Inverse gamma distribution of the noise variance.
  double shape = 1.0;
  double rate = 1.0;

  // `slope_deviation`: prior of the slope in deviations a value; 0 for a level segment. Returns the
  // logarithm of the density of the value.
  double begin(double value, double slope_deviation, const RunScale& scale,
               const RunConstants& constants) noexcept;
  double step(double value, const RunScale& scale, const RunConstants& constants) noexcept;
};
static_assert(sizeof(SegmentRun) == 72);

}  // namespace grace::models
