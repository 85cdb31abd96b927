#pragma once
#include <string>
#include <string_view>

#include "grace/core/finding.h"

namespace grace::proactive {

// Words and numbers of reasoning sentences. Cold: used when something is reported.

// "1450", "31.2", "0.0123": as many digits as a person needs.
[[nodiscard]] std::string number_text(double value);
// "31.0%" of 0.31.
[[nodiscard]] std::string percent_text(double fraction);
// Unit by the metric's last word: "latency_ms" -> "ms", "requests_rps" -> "req/s", "disk_percent"
// -> "%"; else empty.
[[nodiscard]] std::string_view unit_of(std::string_view metric);
// The metric's last word ("rps"), by which demand and capacity are matched; empty when it has one.
[[nodiscard]] std::string_view suffix_of(std::string_view metric);
// "255 ms", "91%".
[[nodiscard]] std::string quantity_text(double value, std::string_view metric);
// "Latency", "Error level" ...; the metric's own name when it has no role.
[[nodiscard]] std::string subject_of(core::MetricRole role, std::string_view metric);
// True for metrics in percent of something that can be full.
[[nodiscard]] bool is_percent(std::string_view metric);
// JSON number with at most six significant digits.
[[nodiscard]] std::string json_number(double value);

}  // namespace grace::proactive
