#pragma once
#include <bit>
#include <cstdint>

namespace grace::core {

// Natural logarithm with a relative error below 1e-14, of + - * / alone, so that it is the same on
// every processor (the C library's may differ in its last bit). x = 2^k m with m in
// [1/sqrt 2, sqrt 2); ln m = 2 artanh((m - 1) / (m + 1)), by its series. x: positive, normal.
[[nodiscard]] inline double exact_log(double x) noexcept {
  constexpr double kLn2High = 6.93147180369123816490e-01;  // as fdlibm splits ln 2
  constexpr double kLn2Low = 1.90821492927058770002e-10;
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

}  // namespace grace::core
