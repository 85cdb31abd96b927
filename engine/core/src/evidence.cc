#include "grace/core/evidence.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace grace::core {
namespace {

double log_beta(double a, double b) {
  return log_gamma(a) + log_gamma(b) - log_gamma(a + b);
}

double log_choose(double n, double k) {
  return log_gamma(n + 1.0) - log_gamma(k + 1.0) - log_gamma(n - k + 1.0);
}

}  // namespace

double log_gamma(double x) {
  // Stirling's series from 10 up; below, by the recurrence.
  double shift = 0.0;
  while (x < 10.0) {
    shift -= std::log(x);
    x += 1.0;
  }
  const double r = 1.0 / (x * x);
  const double series =
      (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0)))) / x;
  return shift + (x - 0.5) * std::log(x) - x + 0.5 * std::log(2.0 * std::numbers::pi) + series;
}

double log_bayes_share_rise(ShareBelief belief, double hits, double trials) {
  if (trials <= 0.0) return 0.0;
  const double same = log_choose(trials, hits) +
                      log_beta(belief.hits + hits, belief.misses + trials - hits) -
                      log_beta(belief.hits, belief.misses);
  const double evidence = -std::log(trials + 1.0) - same;
  const double believed = belief.hits / (belief.hits + belief.misses);
  return hits / trials > believed ? evidence : std::min(evidence, 0.0);
}

double log_bayes_rate_rise(RateBelief belief, double count, double exposure, double rise_mean_min) {
  if (exposure <= 0.0) return 0.0;
  const double q = exposure / (belief.exposure + exposure);
  const double same = log_gamma(belief.count + count) - log_gamma(belief.count) -
                      log_gamma(count + 1.0) + belief.count * std::log1p(-q) + count * std::log(q);
  const double expected = belief.count / belief.exposure * exposure;
  const double mean = std::max(rise_mean_min, 5.0 * expected);
  const double risen = -std::log1p(mean) + count * (std::log(mean) - std::log1p(mean));
  const double evidence = risen - same;
  return count > expected ? evidence : std::min(evidence, 0.0);
}

double log_bayes_from_p(double p) {
  if (p >= 1.0 / std::numbers::e) return 0.0;
  const double floored = std::max(p, 1e-300);
  return -1.0 - std::log(floored) - std::log(-std::log(floored));
}

double upper_tail_of_deviation(double z) {
  // Closed form of Student's t with 5 degrees of freedom.
  const double root5 = std::sqrt(5.0);
  const double theta = std::atan(std::fabs(z) / root5);
  const double cosine = std::cos(theta);
  const double inside = theta + std::sin(theta) * (cosine + 2.0 / 3.0 * cosine * cosine * cosine);
  const double tail = std::max(0.0, 0.5 - inside / std::numbers::pi);
  return z >= 0.0 ? tail : 1.0 - tail;
}

double upper_tail_of_normal(double z) {
  return 0.5 * std::erfc(z / std::numbers::sqrt2);
}

}  // namespace grace::core
