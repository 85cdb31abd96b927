#pragma once
#include <string>
#include <string_view>

#include "grace/core/format.h"

namespace grace::agentic_spine {

// Sentences of findings. Cold path.
using core::decimal;
using core::percent;

// "knowledge" is Knowledge, "ml" is ML.
[[nodiscard]] inline std::string domain_title(std::string_view domain) {
  std::string title(domain);
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
  const std::size_t count = title.size() <= 2 ? title.size() : 1;
  for (std::size_t i = 0; i < count; ++i) title[i] = upper(title[i]);
  return title;
}

}  // namespace grace::agentic_spine
