#pragma once
#include <array>
#include <bit>
#include <cstdint>

namespace grace::models {

// The C library's functions may differ in their last bit between processors, and a decision must
// not. So what decides is made of + - * / alone, which IEEE 754 rounds exactly; the target is
// compiled with -ffp-contract=off.

// Stands in for a spread of 0.
inline constexpr double kTiny = 1e-12;

[[nodiscard]] inline double magnitude(double x) noexcept {
  return x < 0.0 ? -x : x;
}

// Natural logarithm of a normal positive x, relative error below 1e-12: x = 2^k m with m in
// [sqrt(1/2), sqrt(2)], ln m = 2 artanh((m - 1) / (m + 1)), whose series has terms below
// 0.172^23 / 23 after eleven.
[[nodiscard]] inline double exact_log(double x) noexcept {
  constexpr double kLn2 = 0.6931471805599453;
  constexpr double kSqrt2 = 1.4142135623730951;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<std::int64_t>(bits >> 52U) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > kSqrt2) {
    m *= 0.5;
    ++exponent;
  }
  const double r = (m - 1.0) / (m + 1.0);
  const double square = r * r;
  constexpr std::array<double, 11> kInverseOdd{1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15,
                                               1.0 / 13, 1.0 / 11, 1.0 / 9,  1.0 / 7,
                                               1.0 / 5,  1.0 / 3,  1.0};
  double sum = 0.0;
  for (const double term : kInverseOdd) sum = sum * square + term;
  return static_cast<double>(exponent) * kLn2 + 2.0 * r * sum;
}

}  // namespace grace::models
