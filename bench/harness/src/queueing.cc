#include "grace/harness/queueing.h"

#include <cmath>
#include <vector>

#include "grace/core/assert.h"

namespace grace::harness {
namespace {

// Stationary probabilities of the number in an M/D/1 system at most n, n = 0, 1, ...: Crommelin's
// embedded chain, p(n) = (p(0) + p(1)) a(n) + sum over k of p(k + 1) a(n - k), where a(j) is the
// Poisson probability of j arrivals during one service.
class Md1 {
 public:
  explicit Md1(double utilization) : utilization_(utilization) {
    probability_.push_back(1.0 - utilization);
    below_.push_back(1.0 - utilization);
  }

  // P(wait <= t). With t = k D - u, 0 <= u < D (D = 1): those who arrived before me and are not
  // through are k - 1 or fewer services of work once what comes in u has come: Franx, with one
  // server: sum over j < k of P(queue <= k - 1 - j) Poisson(j; utilization u), where "queue" counts
  // those that wait, so P(queue <= m) = P(in system <= m + 1).
  double wait_at_most(double t) {
    const double k = std::floor(t) + 1.0;
    const double mean = utilization_ * (k - t);
    double poisson = std::exp(-mean);
    double sum = 0.0;
    for (int j = 0; j < int(k); ++j) {
      sum += at_most(std::size_t(k) - std::size_t(j)) * poisson;
      poisson *= mean / double(j + 1);
    }
    return sum;
  }

 private:
  double arrivals(std::size_t j) const {
    return std::exp(double(j) * std::log(utilization_) - utilization_ - std::lgamma(double(j) + 1));
  }
  double at_most(std::size_t n) {
    while (below_.size() <= n) {
      const std::size_t m = probability_.size() - 1;  // p(m + 1) from the balance of state m
      double p = probability_[m] - (probability_[0]) * arrivals(m);
      for (std::size_t k = 1; k <= m; ++k) p -= probability_[k] * arrivals(m - k + 1);
      p /= arrivals(0);
      probability_.push_back(p > 0.0 ? p : 0.0);
      below_.push_back(below_.back() + probability_.back());
    }
    return below_[n];
  }

  double utilization_;
  std::vector<double> probability_;  // of n in the system
  std::vector<double> below_;        // of at most n
};

}  // namespace

double mm1_response_quantile(double utilization, double share) {
  return -std::log(1.0 - share) / (1.0 - utilization);
}

double md1_response_quantile(double utilization, double share) {
  GRACE_ASSERT(utilization > 0.0 && utilization < 1.0 && share > 0.0 && share < 1.0);
  Md1 model(utilization);
  if (model.wait_at_most(0.0) >= share) return 1.0;
  double low = 0.0;
  double high = 1.0;
  while (model.wait_at_most(high) < share) high *= 2.0;
  while (high - low > 1e-9 * high) {
    const double middle = (low + high) / 2.0;
    (model.wait_at_most(middle) < share ? low : high) = middle;
  }
  return 1.0 + high;
}

}  // namespace grace::harness
