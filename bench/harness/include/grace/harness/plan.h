#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "grace/core/error.h"

namespace grace::harness {

// What so many workers sustained, once for each repetition; events a second.
struct CapacityPoint {
  unsigned workers = 1;
  std::vector<double> rates;
};

// The Universal Scalability Law (Gunther, Guerrilla Capacity Planning, 2007):
//   X(n) = lambda n / (1 + sigma (n - 1) + kappa n (n - 1))
// lambda: what one does alone; sigma: the share that waits for its turn; kappa: what each pair
// costs to agree. A coefficient that would come out negative is 0: more than linear speed-up is not
// in the model.
struct Scalability {
  double lambda = 0.0, sigma = 0.0, kappa = 0.0;
  [[nodiscard]] double rate(double workers) const noexcept;
};
struct Band {
  double low = 0.0, high = 0.0;
};

// Least squares of the relative errors, and a band from resampled measurements (Efron's bootstrap,
// 1979, 1000 times, fixed seed). Fewer different numbers of workers than three do not show kappa,
// fewer than two not sigma: those are then 0, and identified says how many are fitted.
class ScalabilityFit {
 public:
  // kInvalidArgument: no point, a point without workers or with a rate that is not above 0.
  [[nodiscard]] static core::Result<ScalabilityFit> of(const std::vector<CapacityPoint>& points);
  [[nodiscard]] const Scalability& best() const noexcept { return best_; }
  [[nodiscard]] int identified() const noexcept { return identified_; }
  // 90% of the resampled fits are within it. Empty: too few measurements to resample.
  [[nodiscard]] std::optional<Band> band(double workers) const;
  // Largest relative distance between the fit and a point's median.
  [[nodiscard]] double error_max() const noexcept { return error_max_; }

 private:
  Scalability best_;
  int identified_ = 0;
  double error_max_ = 0.0;
  std::vector<Scalability> resampled_;
};

struct PlanRequest {
  double rate = 0.0;         // events a second that must be held
  double headroom = 0.0;     // share of the capacity that is to stay free, [0, 1)
  unsigned workers_max = 1;  // a machine's; beyond what was measured the law extrapolates
};
struct Plan {
  double rate_needed = 0.0;    // rate / (1 - headroom)
  unsigned workers = 0;        // of each machine
  double machine_rate = 0.0;   // what one sustains with them
  std::uint64_t machines = 0;  // at most 1e18
  // The same at the ends of the band; empty where there is none.
  std::optional<Band> machine_rate_band;
  std::optional<std::uint64_t> machines_if_low, machines_if_high;
  bool extrapolated = false;  // more workers than were measured
};
// One machine with as few workers as do it, else as many machines as it takes with the number of
// workers that carries most. kInvalidArgument: a rate that is not above 0, headroom outside [0, 1).
[[nodiscard]] core::Result<Plan> make_plan(const std::vector<CapacityPoint>& points,
                                           const ScalabilityFit& fit, const PlanRequest& request);

}  // namespace grace::harness
