#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "grace/core/hash.h"

// Reading texts many bytes at a time. Where nothing else is said, up to 8 bytes past the end that
// is given may be read: inside a chunk its padding covers that.
namespace grace::parse {

static_assert(std::endian::native == std::endian::little, "words are compared as they are loaded");

[[nodiscard]] inline std::uint64_t load8(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Masks for the first and the second eight of `bytes` bytes; bytes in [0, 16].
struct ByteMasks {
  std::array<std::uint64_t, 17> first{};
  std::array<std::uint64_t, 17> second{};
};
inline constexpr ByteMasks kByteMasks = [] {
  ByteMasks masks;
  for (std::size_t bytes = 0; bytes <= 16; ++bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
      (i < 8 ? masks.first : masks.second)[bytes] |= std::uint64_t{0xff} << (8 * (i % 8));
    }
  }
  return masks;
}();

// The lowest `bytes` bytes of a word, all of it for 8 and more.
[[nodiscard]] inline std::uint64_t low_bytes(std::uint64_t word, std::size_t bytes) noexcept {
  return word & kByteMasks.first[bytes < 8 ? bytes : 8];
}

// Up to eight characters of a text as load8() would give them, zeros behind.
[[nodiscard]] constexpr std::uint64_t pack8(std::string_view text, std::size_t from = 0) noexcept {
  std::uint64_t word = 0;
  for (std::size_t i = from; i < text.size() && i < from + 8; ++i) {
    word |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * (i - from));
  }
  return word;
}

// A text of up to seven bytes as one word, its size in the highest byte; 0 for longer ones. For
// switches over short words.
[[nodiscard]] constexpr std::uint64_t word7(std::string_view text) noexcept {
  return text.size() > 7 ? 0 : pack8(text) | std::uint64_t{text.size()} << 56;
}
[[nodiscard]] inline std::uint64_t word7(const char* at, std::size_t size) noexcept {
  return size > 7 ? 0 : low_bytes(load8(at), size) | std::uint64_t{size} << 56;
}

// White space of RFC 8259.
[[nodiscard]] inline bool is_space(char c) noexcept {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

[[nodiscard]] inline bool is_digit(char c) noexcept {
  return static_cast<unsigned char>(c - '0') < 10;
}

// Places of the newlines in [at, at + size), ascending; returns how many. `out` has room for `size`
// of them. May read up to 63 bytes past the end.
inline std::size_t find_newlines(const char* at, std::size_t size, std::uint32_t* out) noexcept {
  std::size_t count = 0;
#if defined(__SSE2__)
  const __m128i newline = _mm_set1_epi8('\n');
  for (std::size_t begin = 0; begin < size; begin += 64) {
    std::uint64_t found = 0;
    for (std::size_t part = 0; part < 4; ++part) {
      const auto* const bytes = reinterpret_cast<const __m128i*>(at + begin + 16 * part);
      const int mask = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(bytes), newline));
      found |= std::uint64_t{static_cast<std::uint32_t>(mask)} << (16 * part);
    }
    if (size - begin < 64) found &= (std::uint64_t{1} << (size - begin)) - 1;
    for (; found != 0; found &= found - 1) {
      out[count++] =
          static_cast<std::uint32_t>(begin) + static_cast<std::uint32_t>(std::countr_zero(found));
    }
  }
#else
  for (const char* from = at; from < at + size;) {
    const void* const found = std::memchr(from, '\n', static_cast<std::size_t>(at + size - from));
    if (found == nullptr) break;
    from = static_cast<const char*>(found) + 1;
    out[count++] = static_cast<std::uint32_t>(from - at - 1);
  }
#endif
  return count;
}

// The quote that ends the string whose content begins at `at`; null: a backslash or a control
// character comes first. Such a one, a newline for one, must stand somewhere. Reads up to 15 bytes
// past the end.
[[nodiscard]] inline const char* plain_end(const char* at) noexcept {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i control = _mm_set1_epi8(0x1F);
  for (;; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes);
    const __m128i ends = _mm_or_si128(
        low, _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const auto mask = static_cast<std::uint32_t>(_mm_movemask_epi8(ends));
    if (mask == 0) continue;
    at += std::countr_zero(mask);
    return *at == '"' ? at : nullptr;
  }
#else
  while (*at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
  return *at == '"' ? at : nullptr;
#endif
}

// The first quote, backslash, control character or byte from 0x80 on; one must stand somewhere.
// Reads up to 15 bytes past it.
[[nodiscard]] inline const char* ascii_end(const char* at) noexcept {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  for (;; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));  // from 0x80 on: negative
    const __m128i ends = _mm_or_si128(
        other, _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const auto mask = static_cast<std::uint32_t>(_mm_movemask_epi8(ends));
    if (mask != 0) return at + std::countr_zero(mask);
  }
#else
  while (*at != '"' && *at != '\\' && static_cast<signed char>(*at) >= 0x20) ++at;
  return at;
#endif
}

// Hash of a short text (a name, a label). Folds 128-bit products like wyhash: for identity of
// series inside one engine and its replays, not for storage formats. Reads up to 16 bytes past the
// end.
[[nodiscard]] inline std::uint64_t hash_short(const char* at, std::size_t size) noexcept {
  __extension__ using Wide = unsigned __int128;
  constexpr std::uint64_t kA = 0xa0761d6478bd642fULL;
  constexpr std::uint64_t kB = 0xe7037ed1a0b428dbULL;
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t state = kB ^ size;
  for (; size > 16; size -= 16, at += 16) state = fold(load8(at) ^ kA, load8(at + 8) ^ state);
  const std::uint64_t low = load8(at) & kByteMasks.first[size];
  const std::uint64_t high = load8(at + 8) & kByteMasks.second[size];
  return fold(low ^ kA, high ^ state);
}

}  // namespace grace::parse
