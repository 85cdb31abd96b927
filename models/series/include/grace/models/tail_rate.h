#pragma once
#include <algorithm>
#include <cstdint>

#include "grace/core/exact_math.h"

namespace grace::models {

// How often does a number get as large as this by chance? The share of the numbers beyond a
// threshold is counted, and how far they go beyond it on average; farther out the tail is taken to
// be exponential: peaks over threshold (Pickands 1975, "Statistical inference using extreme order
// statistics"; on streams: Siffer et al. 2017, "Anomaly detection in streams with extreme value
// theory") with the shape 0. Unlike TailHistogram it says something about what was never seen.
//
// Numbers: finite, >= 0. Both means fade (over a day of minutes; over 32 numbers beyond). Before
// anything was seen beyond, the tail is that of a normal deviate about three deviations out.
// 24 bytes, no allocation. Not thread safe.
class TailRate {
 public:
  explicit TailRate(double from) noexcept : from_(from) {}

  // P(a number >= x), in [0, 1]. Bounded below by what a finite past can say about its threshold.
  [[nodiscard]] double chance(double x) const noexcept {
    const double share = std::max(static_cast<double>(share_), kShareMin);
    if (x <= from_) return 1.0;
    return share * core::exact_exp((from_ - x) / static_cast<double>(excess_));
  }
  void add(double x) noexcept {
    if (count_ < UINT32_MAX) ++count_;
    const bool ended = peak_ > 0.0F && x <= from_;
    const double gain = std::max(kShareGain, 1.0 / (static_cast<double>(count_) + kShareWeight));
    share_ += static_cast<float>(gain * ((ended ? 1.0 : 0.0) - static_cast<double>(share_)));
    if (ended) {
      excess_ += static_cast<float>(kExcessGain) * (peak_ - excess_);
      peak_ = 0.0F;
    } else if (x > from_) {
      peak_ = std::max(peak_, static_cast<float>(x - from_));
    }
  }

 private:
  static constexpr double kShareGain = 1.0 / 1440.0;
  static constexpr double kShareWeight = 100.0;  // numbers that the start counts as
  static constexpr double kShareMin = 1e-4;
  static constexpr double kExcessGain = 1.0 / 8.0;

  double from_;
  float share_ = 0.0027F;  // P(|normal| > 3)
  float excess_ = 0.5F;    // of a normal deviate it is 0.28: a tail a little heavier
  float peak_ = 0.0F;      // of the cluster that lasts; 0: none
  std::uint32_t count_ = 0;
};

}  // namespace grace::models
