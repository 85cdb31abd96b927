#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace grace::models {

// Functions of the C library may differ in their last bit between processors, and a decision must
// not. So these are made of + - * / and sqrt, which IEEE 754 rounds exactly.

inline constexpr double kLn2High = 6.93147180369123816490e-01;  // as fdlibm splits ln 2
inline constexpr double kLn2Low = 1.90821492927058770002e-10;

// e^x with a relative error below 1e-12: x = k ln 2 + r with |r| <= ln 2 / 2, Taylor series in r.
// 0 below -700.
[[nodiscard]] inline double exact_exp(double x) noexcept {
  if (!(x > -700.0)) return 0.0;
  x = std::min(x, 700.0);
  constexpr double kInverseLn2 = 1.4426950408889634;
  const auto k = static_cast<std::int64_t>(x * kInverseLn2 + (x < 0 ? -0.5 : 0.5));
  const double r = (x - static_cast<double>(k) * kLn2High) - static_cast<double>(k) * kLn2Low;
  constexpr std::array<double, 11> kInverse{0,       1.0,     1.0 / 2, 1.0 / 3, 1.0 / 4, 1.0 / 5,
                                            1.0 / 6, 1.0 / 7, 1.0 / 8, 1.0 / 9, 1.0 / 10};
  double sum = 1.0;
  for (std::size_t n = kInverse.size() - 1; n >= 1; --n) sum = 1.0 + sum * r * kInverse[n];
  return sum * std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52);
}

// Natural logarithm with a relative error below 1e-12 (absolute around 1); x is raised to 1e-300.
// x = 2^k m with m within sqrt(1/2) .. sqrt(2); ln m = 2 artanh((m - 1) / (m + 1)).
[[nodiscard]] inline double exact_log(double x) noexcept {
  const auto bits = std::bit_cast<std::uint64_t>(std::max(x, 1e-300));
  auto k = static_cast<std::int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++k;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double s2 = s * s;
  constexpr std::array<double, 8> kOdd{1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9,
                                       1.0 / 7,  1.0 / 5,  1.0 / 3,  1.0};
  double sum = 0.0;
  for (const double inverse : kOdd) sum = sum * s2 + inverse;
  const auto exponent = static_cast<double>(k);
  return exponent * kLn2High + (2.0 * s * sum + exponent * kLn2Low);
}

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
