#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "grace/core/error.h"

namespace grace::harness {

// Quantities as people write them, read strictly: the whole text, a known unit, a finite number
// above 0. Errors are kInvalidArgument and quote the text and the rule.

// "250", "250k", "3M", "0.5G": a second.
[[nodiscard]] core::Result<double> parse_rate(std::string_view text);
// "30%": as a share, 0 to below 100%.
[[nodiscard]] core::Result<double> parse_share(std::string_view text);
// "800ns", "200us", "5ms", "2s", "1m", "1h": the unit is needed.
[[nodiscard]] core::Result<std::int64_t> parse_span_ns(std::string_view text);

// "p99.9=5ms": this share of all response times is at most that.
struct Objective {
  double share = 0.999;  // above 0, below 1
  std::int64_t limit_ns = 5'000'000;
};
[[nodiscard]] core::Result<Objective> parse_objective(std::string_view text);

// 3 significant digits and a unit: "2.31M", "840k"; "5.12 ms".
[[nodiscard]] std::string format_rate(double rate);
[[nodiscard]] std::string format_span(double span_ns);
[[nodiscard]] std::string format_objective(const Objective& objective);

}  // namespace grace::harness
