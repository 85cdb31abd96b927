#pragma once
#include <algorithm>
#include <cstdint>

#include "grace/core/exact_math.h"

namespace grace::proactive {

// What decides is made of + - * / alone: see grace/core/exact_math.h.
using core::exact_exp;

// Normal distribution function, absolute error below 7.5e-8: Abramowitz and Stegun, Handbook of
// Mathematical Functions (1964), 26.2.17.
[[nodiscard]] inline double normal_cdf(double x) noexcept {
  const double z = x < 0 ? -x : x;
  const double t = 1.0 / (1.0 + 0.2316419 * z);
  const double tail =
      0.3989422804014327 * exact_exp(-0.5 * z * z) * t *
      (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x < 0 ? tail : 1.0 - tail;
}

[[nodiscard]] inline double logistic(double x) noexcept {
  return 1.0 / (1.0 + exact_exp(-x));
}

[[nodiscard]] inline double odds(double p) noexcept {
  return p / std::max(1.0 - p, 1e-9);
}

// Laplace's rule of succession: the probability that what happened in each of the last `runs` steps
// happens in the next one too.
[[nodiscard]] inline double succession(std::uint32_t runs) noexcept {
  return (static_cast<double>(runs) + 1.0) / (static_cast<double>(runs) + 2.0);
}

// Probability that what happens is no chance, when it comes by chance in a part `chance` of all
// bins: Bayes' rule, where a failing series always shows it (the local false discovery rate of
// Efron 2004, "Large-scale simultaneous hypothesis testing"). A series is taken to begin to fail
// once in thirty days.
[[nodiscard]] inline double no_chance(double chance, std::int64_t bin_ns) noexcept {
  constexpr double kThirtyDaysNs = 30.0 * 86'400e9;
  const double prior = static_cast<double>(bin_ns) / kThirtyDaysNs;
  return std::min(prior / (prior + chance), 0.99);
}

inline constexpr double kNormal90 = 1.6448536269514722;     // half width of a 90% interval
inline constexpr double kMeanAbsToSd = 1.2533141373155001;  // sqrt(pi / 2), normal distribution

}  // namespace grace::proactive
