#include "number.h"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>

#include "text_scan.h"

namespace grace::parse {
namespace {

// Powers of ten that a double holds exactly.
constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr std::size_t kExactPowerMax = 22;
constexpr std::uint64_t kExactMantissaMax = std::uint64_t{1} << 53;
constexpr std::int64_t kExponentCap = 1'000'000;

// Decimal exponent of the first significant digit, for telling overflow from underflow where
// from_chars reports both alike. Only called for numbers far outside of a double's range.
std::int64_t magnitude(const char* digits, const char* digits_end, std::int64_t exponent) {
  std::int64_t before_point = 0;
  std::int64_t leading_zeros = 0;
  bool point = false;
  bool significant = false;
  for (const char* at = digits; at < digits_end; ++at) {
    if (*at == '.') {
      point = true;
      continue;
    }
    if (!point) ++before_point;
    if (!significant) {
      if (*at == '0')
        ++leading_zeros;
      else
        significant = true;
    }
  }
  return before_point - leading_zeros + exponent;
}

// A number with exponent, or too many digits for the short way.
Number read_hard(const char* begin, const char* digits, const char* digits_end, const char* end,
                 std::int64_t exponent) {
  Number number;
  number.form = NumberForm::kFloat;
  const auto [stop, error] = std::from_chars(begin, end, number.value);
  if (error == std::errc::result_out_of_range || std::isinf(number.value)) {
    if (magnitude(digits, digits_end, exponent) > 0) {
      number.form = NumberForm::kNotFinite;
    } else {
      number.value = *begin == '-' ? -0.0 : 0.0;
    }
    return number;
  }
  if (error != std::errc() || stop != end) number.form = NumberForm::kMalformed;
  return number;
}

Number read_integer(bool negative, std::uint64_t mantissa, std::size_t digit_count,
                    const char* digits) {
  Number number;
  // 20 digits may wrap: they fit only below 2^64, which begins with 1, and then wrap not at all.
  const bool wrapped =
      digit_count > 20 ||
      (digit_count == 20 && (digits[0] != '1' || mantissa < 10'000'000'000'000'000'000ULL));
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (wrapped || (negative && mantissa > kMax + 1)) {
    number.form = NumberForm::kTooBig;
    return number;
  }
  if (!negative && mantissa > kMax) {
    number.form = NumberForm::kUnsigned;
    number.value = static_cast<double>(mantissa);
    return number;
  }
  number.form = NumberForm::kInteger;
  number.integer = static_cast<std::int64_t>(negative ? 0 - mantissa : mantissa);
  number.value = static_cast<double>(number.integer);  // an integer -0 is 0
  return number;
}

}  // namespace

Number read_number(const char* begin, const char* end) noexcept {
  Number number;
  const char* at = begin;
  const bool negative = *at == '-';
  if (negative) ++at;
  const char* const digits = at;
  std::uint64_t mantissa = 0;
  for (; is_digit(*at); ++at) mantissa = mantissa * 10 + static_cast<std::uint64_t>(*at - '0');
  auto digit_count = static_cast<std::size_t>(at - digits);
  if (digit_count == 0 || (digit_count > 1 && digits[0] == '0')) return number;
  if (at == end) return read_integer(negative, mantissa, digit_count, digits);

  std::size_t fraction_count = 0;
  if (*at == '.') {
    const char* const fraction = ++at;
    for (; is_digit(*at); ++at) mantissa = mantissa * 10 + static_cast<std::uint64_t>(*at - '0');
    fraction_count = static_cast<std::size_t>(at - fraction);
    if (fraction_count == 0) return number;
    digit_count += fraction_count;
  }
  const char* const digits_end = at;
  std::int64_t exponent = 0;
  if (*at == 'e' || *at == 'E') {
    ++at;
    const bool exponent_negative = *at == '-';
    if (*at == '-' || *at == '+') ++at;
    const char* const exponent_digits = at;
    for (; is_digit(*at); ++at) {
      if (exponent < kExponentCap) exponent = exponent * 10 + (*at - '0');
    }
    if (at == exponent_digits) return number;
    if (exponent_negative) exponent = -exponent;
  }
  if (at != end) return number;
  // 19 digits cannot wrap 64 bits. An exact mantissa times or by an exact power rounds once.
  if (exponent == 0 && digit_count <= 19 && mantissa <= kExactMantissaMax &&
      fraction_count <= kExactPowerMax) {
    number.form = NumberForm::kFloat;
    const double magnitude_value = static_cast<double>(mantissa) / kPowers[fraction_count];
    number.value = negative ? -magnitude_value : magnitude_value;
    return number;
  }
  return read_hard(begin, digits, digits_end, end, exponent);
}

}  // namespace grace::parse
