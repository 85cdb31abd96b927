#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace grace::proactive {

// Whether and since when a series is another one than before.
struct ShiftConfirmation {
  // Posterior probability that a segment began at one place, give or take
  // ChangePointDetector::kPlaceTolerance bins, when that was decided; 0: no change was found.
  double probability = 0.0;
  std::uint32_t bins_since = 0;  // from the segment's first bin to the newest, both counted
};

// The newest residuals of a series, for which the change-point detector of `grace score
// changepoints` is asked when a departure has lasted: it costs 9 us a value, too much for each bin
// of each series, and nothing but two hours of residuals is needed to ask it then. Residuals
// have neither the daily wave nor a slow change of the level, both of which would be segments.
// 516 bytes, plain data. Thread: its partition's worker.
class RecentResiduals {
 public:
  static constexpr std::size_t kCapacity = 128;

  // In deviations, finite.
  void push(double residual) noexcept {
    ring_[count_++ % kCapacity] = static_cast<float>(residual);
  }
  // They are in other units from here on.
  void clear() noexcept { count_ = 0; }
  // The newest change within them, in the last `bins_max` bins. A millisecond when the ring is
  // full.
  [[nodiscard]] ShiftConfirmation confirm(std::uint32_t bins_max) const noexcept;

 private:
  std::array<float, kCapacity> ring_{};
  std::uint32_t count_ = 0;
};

}  // namespace grace::proactive
