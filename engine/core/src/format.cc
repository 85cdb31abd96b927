#include "grace/core/format.h"

#include <charconv>
#include <cmath>

namespace grace::core {

std::string decimal(double value, int digits) {
  if (!std::isfinite(value)) return "null";
  char buffer[64];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, digits);
  return error == std::errc{} ? std::string(buffer, end) : std::string("0");
}

std::string percent(double share) {
  return decimal(100.0 * share, share < 0.0995 && share > 0.0 ? 1 : 0) + "%";
}

}  // namespace grace::core
