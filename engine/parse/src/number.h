#pragma once
#include <cstdint>

namespace grace::parse {

enum class NumberForm : std::uint8_t {
  kMalformed = 0,  // not a number of RFC 8259
  kInteger,        // no fraction, no exponent, fits int64: both members hold it
  kUnsigned,       // the same above int64, fits uint64: `value` holds it, rounded
  kFloat,          // `value` holds it, correctly rounded
  kTooBig,         // an integer past 64 bits
  kNotFinite,      // past the range of a double
};

struct Number {
  NumberForm form = NumberForm::kMalformed;
  std::int64_t integer = 0;
  double value = 0.0;

  [[nodiscard]] bool valid() const noexcept {
    return form == NumberForm::kInteger || form == NumberForm::kUnsigned ||
           form == NumberForm::kFloat;
  }
};

// The whole of [at, end) as a number. Correctly rounded: small ones on an exact short way, all
// others by std::from_chars. [at, end) must be followed by a readable byte that is no digit.
[[nodiscard]] Number read_number(const char* at, const char* end) noexcept;

}  // namespace grace::parse
