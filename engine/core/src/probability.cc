#include "grace/core/probability.h"

#include <algorithm>
#include <cmath>

#include "grace/core/assert.h"
#include "grace/core/evidence.h"

namespace grace::core {
namespace {

constexpr double kProbabilityMin = 1e-6;

// The continued fraction of the incomplete beta function (NIST DLMF 8.17.22), evaluated by
// Lentz's method as modified by Thompson and Barnett (1986). Converges fast for
// x < (a + 1) / (a + b + 2).
double beta_fraction(double x, double a, double b) noexcept {
  constexpr int kTermsMax = 300;
  constexpr double kPrecision = 1e-14;
  constexpr double kTiny = 1e-300;  // stands in for a zero denominator
  const auto guarded = [](double value) { return std::fabs(value) < kTiny ? kTiny : value; };
  double c = 1.0;
  double d = 1.0 / guarded(1.0 - (a + b) * x / (a + 1.0));
  double result = d;
  for (int i = 1; i <= kTermsMax; ++i) {
    const double m = i;
    const double even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
    d = 1.0 / guarded(1.0 + even * d);
    c = guarded(1.0 + even / c);
    result *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
    d = 1.0 / guarded(1.0 + odd * d);
    c = guarded(1.0 + odd / c);
    const double step = d * c;
    result *= step;
    if (std::fabs(step - 1.0) < kPrecision) break;
  }
  return result;
}

}  // namespace

double logit(double p) noexcept {
  const double bounded = std::clamp(p, kProbabilityMin, 1.0 - kProbabilityMin);
  return std::log(bounded / (1.0 - bounded));
}

double logistic(double log_odds) noexcept {
  return 1.0 / (1.0 + std::exp(-log_odds));
}

double extremising_factor(double n) noexcept {
  GRACE_ASSERT(n >= 1.0, "n = %f", n);
  return 3.0 * n / (std::sqrt(3.0 * n * n - 3.0 * n + 1.0) + 2.0);
}

double beta_cdf(double x, double a, double b) noexcept {
  GRACE_ASSERT(a > 0.0 && b > 0.0, "a = %f, b = %f", a, b);
  if (x <= 0.0) return 0.0;
  if (x >= 1.0) return 1.0;
  const double front = std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) +
                                b * std::log1p(-x));
  if (x < (a + 1.0) / (a + b + 2.0)) return front * beta_fraction(x, a, b) / a;
  return 1.0 - front * beta_fraction(1.0 - x, b, a) / b;
}

double beta_quantile(double p, double a, double b) noexcept {
  double low = 0.0;
  double high = 1.0;
  while (high - low > 1e-9) {
    const double middle = 0.5 * (low + high);
    (beta_cdf(middle, a, b) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace grace::core
