#pragma once
#include <cstdint>
#include <string>

#include "grace/core/format.h"
#include "grace/core/time.h"

namespace grace::log_analyzer {

// Sentences of findings. Cold path.
using core::decimal;
using core::percent;

// A span to the second, at least one; to the minute from two minutes up.
[[nodiscard]] inline std::string format_span(std::int64_t span_ns) {
  const std::int64_t unit =
      span_ns >= 2 * core::kNsPerMinute ? core::kNsPerMinute : core::kNsPerSecond;
  const std::int64_t count = (span_ns + unit / 2) / unit;
  return core::format_duration((count < 1 ? 1 : count) * unit);
}

}  // namespace grace::log_analyzer
