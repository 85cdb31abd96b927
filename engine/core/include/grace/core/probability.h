#pragma once
#include <cstddef>

namespace grace::core {

// Small, allocation-free, deterministic pieces of probability that several modules share.

// ln(p / (1 - p)). `p` is first clamped to [1e-6, 1 - 1e-6], so that nobody is infinitely sure.
[[nodiscard]] double logit(double p) noexcept;
// Inverse of logit.
[[nodiscard]] double logistic(double log_odds) noexcept;

// By how much a mean of n independent log-odds is pushed away from even odds: the sources know
// different things, so their mean is too timid. n(sqrt(3n^2-3n+1)-2)/(n^2-n-1) is the factor that
// is worst-case optimal for substitutable signals (Neyman and Roughgarden, "Are You Smarter Than a
// Random Expert? The Robust Aggregation of Substitutable Signals", EC 2022; that extremising the
// mean log-odds helps at all: Satopaa et al., "Combining multiple probability predictions using a
// simple logit model", International Journal of Forecasting 30, 2014). It is 1 at n = 1, 1.29 at
// n = 2 and tends to sqrt(3). Takes real n >= 1: computed as 3n/(sqrt(3n^2-3n+1)+2), the same
// function without the removable singularity at the golden ratio.
[[nodiscard]] double extremising_factor(double n) noexcept;

// P(X <= x) for X ~ Beta(a, b); a, b > 0.
[[nodiscard]] double beta_cdf(double x, double a, double b) noexcept;
// The x with P(X <= x) = p, to 1e-9, by bisection.
[[nodiscard]] double beta_quantile(double p, double a, double b) noexcept;

}  // namespace grace::core
