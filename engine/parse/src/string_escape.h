#pragma once
#include <cstddef>

namespace grace::parse {

inline constexpr std::size_t kBadEscape = static_cast<std::size_t>(-1);

// A JSON string's content [at, end) with its escapes resolved, written to `out` (never longer than
// the input). Returns the bytes written; kBadEscape for what RFC 8259 does not know and for
// surrogates without their partner. With out == nullptr it only checks.
[[nodiscard]] std::size_t unescape(const char* at, const char* end, char* out) noexcept;

}  // namespace grace::parse
