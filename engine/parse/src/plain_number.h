#pragma once
#include <cstddef>
#include <cstdint>

#include "number.h"
#include "text_scan.h"

// Quick reading of the numbers that telemetry is made of. Each function either reads the whole text
// or says no; then read_number() decides. No loops over digits: their lengths vary from line to
// line, and each wrong guess of a loop's end costs more than all of the arithmetic here.
namespace grace::parse {

// Value of eight ASCII digits, first one in the lowest byte. Daniel Lemire, "Quickly parsing eight
// digits" (2018).
[[nodiscard]] inline std::uint64_t eight_digits(std::uint64_t word) noexcept {
  word -= 0x3030303030303030ULL;
  word = word * 10 + (word >> 8);
  return ((word & 0x000000FF000000FFULL) * 0x000F424000000064ULL +
          (word >> 16 & 0x000000FF000000FFULL) * 0x0000271000000001ULL) >>
         32;
}

[[nodiscard]] inline bool is_eight_digits(std::uint64_t word) noexcept {
  return ((word & 0xF0F0F0F0F0F0F0F0ULL) |
          ((word + 0x0606060606060606ULL) & 0xF0F0F0F0F0F0F0F0ULL) >> 4) == 0x3333333333333333ULL;
}

// The lowest `count` bytes of a word as digits with zeros before them; count in [1, 8].
[[nodiscard]] inline std::uint64_t zero_filled(std::uint64_t word, std::size_t count) noexcept {
  const std::size_t missing_bits = 8 * (8 - count);
  if (missing_bits == 0) return word;
  return word << missing_bits | (0x3030303030303030ULL >> (64 - missing_bits));
}

// Nanoseconds since the epoch have 19 digits from 2001 to 2286: eight, eight and three.
[[nodiscard]] inline bool read_plain_ns(const char* at, std::size_t size,
                                        std::int64_t& out) noexcept {
  if (size != 19 || at[0] < '1' || at[0] > '8') return false;  // '9': may be past int64
  const std::uint64_t first = load8(at);
  const std::uint64_t second = load8(at + 8);
  const std::uint64_t third = zero_filled(low_bytes(load8(at + 16), 3), 3);
  if (!is_eight_digits(first) || !is_eight_digits(second) || !is_eight_digits(third)) return false;
  out = static_cast<std::int64_t>(
      (eight_digits(first) * 100'000'000 + eight_digits(second)) * 1'000 + eight_digits(third));
  return true;
}

// Up to eight characters of "digits" or "digits.digits", without sign. Exact: mantissa and power of
// ten are small enough for a double, so one division rounds once. `whole`: without a point.
[[nodiscard]] inline bool read_plain_decimal(const char* at, std::size_t size, double& out,
                                             bool& whole_out) noexcept {
  if (size - 1 > 7) return false;
  const std::uint64_t word = low_bytes(load8(at), size);
  const std::uint64_t dots = word ^ 0x2E2E2E2E2E2E2E2EULL;
  const std::uint64_t zeros = (dots - 0x0101010101010101ULL) & ~dots & 0x8080808080808080ULL;
  static constexpr double kPowers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
  std::size_t whole = size;  // digits before the point
  std::uint64_t digits = word;
  std::size_t count = size;
  if (zeros != 0) {
    whole = static_cast<std::size_t>(std::countr_zero(zeros)) / 8;
    count = size - 1;
    if (whole == 0 || whole == count) return false;  // ".5", "5."
    const std::uint64_t before = low_bytes(word, whole);
    digits = before | (word >> 8 & ~low_bytes(~std::uint64_t{0}, whole));
  }
  digits = zero_filled(digits, count);
  if (!is_eight_digits(digits) || (at[0] == '0' && whole > 1)) return false;
  out = static_cast<double>(eight_digits(digits)) / kPowers[count - whole];
  whole_out = zeros == 0;
  return true;
}

// Any number, as read_number() reads it.
[[nodiscard]] inline Number read_plain_number(const char* at, std::size_t size) noexcept {
  Number number;
  bool whole = false;
  if (read_plain_decimal(at, size, number.value, whole)) {
    number.form = whole ? NumberForm::kInteger : NumberForm::kFloat;
    number.integer = whole ? static_cast<std::int64_t>(number.value) : 0;
    return number;
  }
  if (read_plain_ns(at, size, number.integer)) {
    number.form = NumberForm::kInteger;
    number.value = static_cast<double>(number.integer);
    return number;
  }
  return read_number(at, at + size);
}

// Whether [at, at + size) is a scalar other than a string, such as machines write them. A byte that
// is no digit must follow it.
[[nodiscard]] inline bool is_plain_scalar(const char* at, std::size_t size) noexcept {
  double value;
  bool whole;
  if (read_plain_decimal(at, size, value, whole)) return true;
  const std::uint64_t word = low_bytes(load8(at), size);
  if (size == 4 && (word == pack8("true") || word == pack8("null"))) return true;
  if (size == 5 && word == pack8("false")) return true;
  return size > 0 && (is_digit(at[0]) || at[0] == '-') && is_digit(at[size - 1]) &&
         read_number(at, at + size).valid();
}

}  // namespace grace::parse
