#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace grace::proactive {

// Functions of the C library may differ in their last bit between processors (glibc picks variants
// with fused multiply-add at load time), and a decision must not. So what decides is made of
// + - * / alone, which IEEE 754 rounds exactly; the target is compiled with -ffp-contract=off.

// e^x with a relative error below 1e-12: x = k ln 2 + r with |r| <= ln 2 / 2, Taylor series in r.
[[nodiscard]] inline double exact_exp(double x) noexcept {
  if (!(x > -700.0)) return 0.0;
  x = std::min(x, 700.0);
  constexpr double kInverseLn2 = 1.4426950408889634;
  constexpr double kLn2High = 6.93147180369123816490e-01;  // as fdlibm splits ln 2
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  const auto k = static_cast<std::int64_t>(x * kInverseLn2 + (x < 0 ? -0.5 : 0.5));
  const double r = (x - static_cast<double>(k) * kLn2High) - static_cast<double>(k) * kLn2Low;
  constexpr std::array<double, 13> kInverse{0,        1.0,      1.0 / 2, 1.0 / 3, 1.0 / 4,
                                            1.0 / 5,  1.0 / 6,  1.0 / 7, 1.0 / 8, 1.0 / 9,
                                            1.0 / 10, 1.0 / 11, 1.0 / 12};
  double sum = 1.0;
  for (std::size_t n = 12; n >= 1; --n) sum = 1.0 + sum * r * kInverse[n];
  return sum * std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52);
}

// Normal distribution function, absolute error below 7.5e-8: Abramowitz and Stegun, Handbook of
// Mathematical Functions (1964), 26.2.17.
[[nodiscard]] inline double normal_cdf(double x) noexcept {
  const double z = x < 0 ? -x : x;
  const double t = 1.0 / (1.0 + 0.2316419 * z);
  const double tail =
      0.3989422804014327 * exact_exp(-0.5 * z * z) * t *
      (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x < 0 ? tail : 1.0 - tail;
}

[[nodiscard]] inline double logistic(double x) noexcept {
  return 1.0 / (1.0 + exact_exp(-x));
}

[[nodiscard]] inline double odds(double p) noexcept {
  return p / std::max(1.0 - p, 1e-9);
}

// Laplace's rule of succession: the probability that what happened in each of the last `runs` steps
// happens in the next one too.
[[nodiscard]] inline double succession(std::uint32_t runs) noexcept {
  return (static_cast<double>(runs) + 1.0) / (static_cast<double>(runs) + 2.0);
}

inline constexpr double kNormal90 = 1.6448536269514722;     // half width of a 90% interval
inline constexpr double kMeanAbsToSd = 1.2533141373155001;  // sqrt(pi / 2), normal distribution

}  // namespace grace::proactive
