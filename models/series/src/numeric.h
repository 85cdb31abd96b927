#pragma once

namespace grace::models {

// Stands in for a spread of 0.
inline constexpr double kTiny = 1e-12;

[[nodiscard]] inline double magnitude(double x) noexcept {
  return x < 0.0 ? -x : x;
}

}  // namespace grace::models
