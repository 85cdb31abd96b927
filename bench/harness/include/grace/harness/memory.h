#pragma once
#include <cstddef>
#include <vector>

#include "grace/core/error.h"

namespace grace::harness {

struct MemorySample {
  double at_s = 0.0;   // since the begin, rising
  double bytes = 0.0;  // resident
};

// Whether memory grows over the second half of a run; the first is left out, in which tables fill.
// Theil 1950 and Sen 1968 slope with Sen's interval, which a step or a peak does not bend, of at
// most 64 means of equal numbers of samples: neighbours depend on each other, means of many less
// so. What grows less than the bound is not told from what does not grow.
struct MemoryTrend {
  double level_bytes = 0.0;  // median of the second half
  double slope_per_s = 0.0;  // bytes
  // 90% of all such intervals hold the slope: one in twenty of them lies below it.
  double slope_low = 0.0, slope_high = 0.0;
  double growth_high = 0.0;  // slope_high over the second half, as a share of the level
  bool flat = false;         // growth_high is at most what was allowed
};
// `growth_max` as a share. kInvalidArgument: less than kHalfSamplesMin samples in the second half.
inline constexpr std::size_t kHalfSamplesMin = 16;
[[nodiscard]] core::Result<MemoryTrend> memory_trend(const std::vector<MemorySample>& samples,
                                                     double growth_max);

}  // namespace grace::harness
