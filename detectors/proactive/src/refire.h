#pragma once
#include <cstdint>

#include "series_table.h"

namespace grace::proactive {

struct RefireRule {
  double factor = 4.0;
  std::int64_t quiet_ns = 0;
};

// The condition does not hold at `ts_ns`. After quiet_ns of that, the next time is a new one.
inline void note_absent(FireState& state, std::int64_t ts_ns, const RefireRule& rule) noexcept {
  state.held_bins = 0;
  if (state.fired_size > 0 && ts_ns - state.held_ts_ns >= rule.quiet_ns) state.fired_size = 0;
}

// The condition holds with `size`. True when it is to be reported now: it has held `confirm` times
// in a row, and is new, or has grown by the factor since the last report.
[[nodiscard]] inline bool note_present(FireState& state, double size, std::int64_t ts_ns,
                                       std::uint32_t confirm, const RefireRule& rule) noexcept {
  if (state.fired_size > 0 && ts_ns - state.held_ts_ns >= rule.quiet_ns) state.fired_size = 0;
  state.held_ts_ns = ts_ns;
  if (state.held_bins < 0xffff) ++state.held_bins;
  if (state.held_bins < confirm) return false;
  if (state.fired_size > 0 && size < static_cast<double>(state.fired_size) * rule.factor) {
    return false;
  }
  state.fired_size = static_cast<float>(size);
  state.fired_ts_ns = ts_ns;
  return true;
}

}  // namespace grace::proactive
