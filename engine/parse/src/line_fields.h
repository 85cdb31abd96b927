#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fields.h"
#include "number.h"

namespace grace::parse {

// A JSON value's bytes, as offsets into the window: strings with their quotes.
struct Span {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

// Members of a payload that say to whom an event belongs, by preference.
inline constexpr std::array<std::string_view, 3> kSessionKeys{"trace_id", "session_id", "session"};

// What a walk over one line found. `present` and `escaped` are reset for each line; a span means
// something only where its bit is set.
struct LineFields {
  std::uint32_t present = 0;                // bit per Field; null is absent
  std::uint32_t escaped = 0;                // bit per Field: a string with a backslash in it
  std::array<Span, kFieldCount + 1> spans;  // that of kUnknown means nothing
  Number ts;                                // where its text is a number
  Number value;
  Number duration_ms;
  // labels: sum over pairs, so that their order does not matter.
  std::uint64_t labels_hash = 0;
  bool labels_nested = false;  // a label that is an object or array
  static constexpr std::size_t kSessionKeyCount = kSessionKeys.size();
  std::array<Span, kSessionKeyCount> session;
  std::uint32_t session_present = 0;
  std::uint32_t session_escaped = 0;

  [[nodiscard]] static constexpr std::uint32_t bit(Field field) noexcept {
    return std::uint32_t{1} << static_cast<unsigned>(field);
  }
  [[nodiscard]] bool has(Field field) const noexcept { return (present & bit(field)) != 0; }
  [[nodiscard]] Span span(Field field) const noexcept {
    return spans[static_cast<std::size_t>(field)];
  }
};

}  // namespace grace::parse
