#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>

namespace grace::models {

// Functions of the C library may differ in their last bit between processors, and a ranking must
// not. So what decides is made of + - * / alone, which IEEE 754 rounds exactly; the target is
// compiled with -ffp-contract=off.

// Natural logarithm of a positive, finite, normal x, relative error below 1e-14. x = m 2^k with m
// in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m + 1)) by its series.
[[nodiscard]] inline double exact_log(double x) noexcept {
  constexpr double kLn2 = 0.6931471805599453;
  constexpr double kSqrt2 = 1.4142135623730951;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto k = static_cast<std::int64_t>((bits >> 52) & 0x7ff) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m >= kSqrt2) {
    m *= 0.5;
    ++k;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double square = s * s;  // at most 0.0295
  double sum = 0.0;
  for (int n = 21; n >= 1; n -= 2) sum = sum * square + 1.0 / n;
  return static_cast<double>(k) * kLn2 + 2.0 * s * sum;
}

// e^x, relative error below 1e-12: x = k ln 2 + r with |r| <= ln 2 / 2, Taylor series in r.
[[nodiscard]] inline double exact_exp(double x) noexcept {
  if (!(x > -700.0)) return 0.0;
  x = std::min(x, 700.0);
  constexpr double kInverseLn2 = 1.4426950408889634;
  constexpr double kLn2High = 6.93147180369123816490e-01;  // as fdlibm splits ln 2
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  const auto k = static_cast<std::int64_t>(x * kInverseLn2 + (x < 0 ? -0.5 : 0.5));
  const double r = (x - static_cast<double>(k) * kLn2High) - static_cast<double>(k) * kLn2Low;
  double sum = 1.0;
  for (int n = 12; n >= 1; --n) sum = 1.0 + sum * r / n;
  return sum * std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52);
}

}  // namespace grace::models
