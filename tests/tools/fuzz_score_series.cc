// Any bytes as a series: refused with a sentence that names the line, or scored, a row for a row.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "series_scores.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream input(std::string(reinterpret_cast<const char*>(data), size));
  std::ostringstream output;
  const auto rows = grace::tools::score_series({input, "fuzz"}, {}, output);
  if (!rows) {
    if (!rows.error().message.starts_with("fuzz:")) std::abort();
    return 0;
  }
  const std::string text = output.str();
  const auto lines = std::count(text.begin(), text.end(), '\n');
  if (static_cast<std::uint64_t>(lines) != *rows + 1) std::abort();
  return 0;
}
