#pragma once
#include <cmath>

namespace grace::models {

// Gamma(a + 1/2) / Gamma(a) for a >= 1/2 with a relative error below 2e-5: the asymptotic series
// (Abramowitz and Stegun 1964, 6.1.47 as tabulated by Tricomi and Erdelyi 1951), raised by the
// recurrence to a >= 2.5, where it holds.
[[nodiscard]] inline double gamma_ratio(double a) noexcept {
  double factor = 1.0;
  while (a < 2.5) {
    factor *= a / (a + 0.5);
    a += 1.0;
  }
  const double r = 1.0 / a;
  const double series =
      1.0 + r * (-1.0 / 8 + r * (1.0 / 128 + r * (5.0 / 1024 - r * (21.0 / 32768))));
  return factor * std::sqrt(a) * series;
}

}  // namespace grace::models
