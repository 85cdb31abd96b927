#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace grace::core {

// Functions of the C library may differ in their last bit between processors (glibc picks variants
// with fused multiply-add at load time), and what decides must not. So these are made of + - * /
// alone, which IEEE 754 rounds exactly; who includes this compiles with -ffp-contract=off.

inline constexpr double kLn2High = 6.93147180369123816490e-01;  // as fdlibm splits ln 2
inline constexpr double kLn2Low = 1.90821492927058770002e-10;

// Natural logarithm with a relative error below 1e-14. x = 2^k m with m in [1/sqrt 2, sqrt 2];
// ln m = 2 artanh((m - 1) / (m + 1)), by its series. x: positive, normal, finite.
[[nodiscard]] inline double exact_log(double x) noexcept {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto k = static_cast<std::int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffULL) | (std::uint64_t{1023} << 52));
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++k;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double square = s * s;  // at most 0.0295
  double sum = 0.0;
  for (int n = 21; n >= 1; n -= 2) sum = sum * square + 1.0 / static_cast<double>(n);
  const double whole = static_cast<double>(k);
  return whole * kLn2High + (2.0 * s * sum + whole * kLn2Low);
}

// e^x with a relative error below 1e-12: x = k ln 2 + r with |r| <= ln 2 / 2, Taylor series in r.
// 0 up to -700 and for NaN; e^700 from 700 on.
[[nodiscard]] inline double exact_exp(double x) noexcept {
  if (!(x > -700.0)) return 0.0;
  x = std::min(x, 700.0);
  constexpr double kInverseLn2 = 1.4426950408889634;
  const auto k = static_cast<std::int64_t>(x * kInverseLn2 + (x < 0 ? -0.5 : 0.5));
  const double r = (x - static_cast<double>(k) * kLn2High) - static_cast<double>(k) * kLn2Low;
  constexpr std::array<double, 13> kInverse{0,        1.0,      1.0 / 2, 1.0 / 3, 1.0 / 4,
                                            1.0 / 5,  1.0 / 6,  1.0 / 7, 1.0 / 8, 1.0 / 9,
                                            1.0 / 10, 1.0 / 11, 1.0 / 12};
  double sum = 1.0;
  for (std::size_t n = 12; n >= 1; --n) sum = 1.0 + sum * r * kInverse[n];
  return sum * std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52);
}

}  // namespace grace::core
