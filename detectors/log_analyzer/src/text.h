#pragma once
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

#include "grace/core/time.h"

namespace grace::log_analyzer {

// Sentences of findings. Cold path.
[[nodiscard]] inline std::string decimal(double value, int digits) {
  if (!std::isfinite(value)) return "null";
  char buffer[64];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, digits);
  return error == std::errc{} ? std::string(buffer, end) : std::string("0");
}

// Whole percent, one digit below ten: "58%", "0.4%".
[[nodiscard]] inline std::string percent(double share) {
  return decimal(100.0 * share, share < 0.0995 && share > 0.0 ? 1 : 0) + "%";
}

// A span to the second, at least one; to the minute from two minutes up.
[[nodiscard]] inline std::string format_span(std::int64_t span_ns) {
  const std::int64_t unit =
      span_ns >= 2 * core::kNsPerMinute ? core::kNsPerMinute : core::kNsPerSecond;
  const std::int64_t count = (span_ns + unit / 2) / unit;
  return core::format_duration((count < 1 ? 1 : count) * unit);
}

}  // namespace grace::log_analyzer
