#pragma once
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

namespace grace::agentic_spine {

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

// "knowledge" is Knowledge, "ml" is ML.
[[nodiscard]] inline std::string domain_title(std::string_view domain) {
  std::string title(domain);
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
  const std::size_t count = title.size() <= 2 ? title.size() : 1;
  for (std::size_t i = 0; i < count; ++i) title[i] = upper(title[i]);
  return title;
}

}  // namespace grace::agentic_spine
