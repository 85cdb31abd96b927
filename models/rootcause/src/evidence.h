#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "grace/models/root_cause.h"

namespace grace::models {

using Point = RootCauseModel::Point;

// How odd a window is.
struct Evidence {
  double nats = 0.0;
  std::int64_t onset_ns = 0;  // first odd sample; 0: none
};

// A series cut in two at the moment where the window begins.
struct Cut {
  std::vector<Point> baseline;  // in order of time
  std::vector<Point> window;    // likewise; ends at the moment asked about
  std::int64_t step_ns = 0;     // median pace
};

// Leaves out what is later than `at_ns`, keeps the newest history_max and cuts. `points` ascend.
[[nodiscard]] Cut cut_series(const std::vector<Point>& points, std::int64_t at_ns,
                             const RootCauseConfig& config);

// Median of a non-empty range, which is left in another order.
[[nodiscard]] double median_of(std::vector<double>& values);

// How surprising a deviation in one direction is, from a non-empty baseline.
class Surprise {
 public:
  // `sign` +1: up is odd; -1: down is odd.
  Surprise(std::span<const Point> baseline, double sign);
  // -ln P(an ordinary sample deviates at least as far); 0 for a deviation in the other direction.
  [[nodiscard]] double of(double value) const noexcept;

 private:
  double sign_;
  double median_ = 0.0;
  std::vector<double> deviations_;  // towards `sign`, ascending
  double threshold_ = 0.0;          // where the fitted tail begins
  double tail_nats_ = 0.0;          // surprise at the threshold
  double tail_index_ = 1.0;         // Hill: of the tail P(d) ~ d^(-1 / index)
};

[[nodiscard]] Evidence level_evidence(const Cut& cut, BadDirection bad,
                                      const RootCauseConfig& config);

// Likelihood ratio (half of the G statistic of homogeneity) of how often samples differ from zero
// in the window and in the baseline: with a short baseline it stays small. Directions as of
// kTemplate (both) or kErrors (only more often).
[[nodiscard]] Evidence presence_evidence(const Cut& cut, BadDirection bad);

// True when most of the baseline is zero: the series counts something rare.
[[nodiscard]] bool counts_rare(const Cut& cut);

}  // namespace grace::models
