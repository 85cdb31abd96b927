#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "grace/core/hash.h"

// Reading short texts eight bytes at a time. All of it may read up to 8 bytes past the end it is
// given: inside a chunk that is covered by its padding.
namespace grace::parse {

static_assert(std::endian::native == std::endian::little, "words are compared as they are loaded");

[[nodiscard]] inline std::uint64_t load8(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// The lowest `bytes` bytes of a word; bytes in [0, 8].
[[nodiscard]] inline std::uint64_t low_bytes(std::uint64_t word, std::size_t bytes) noexcept {
  return bytes >= 8 ? word : word & ((std::uint64_t{1} << (8 * bytes)) - 1);
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

// Newlines in a text: the independent count behind ParseCounters::lines. 64 bytes a round in
// vectors that every target has or the compiler emulates; byte-wide sums are folded before they can
// wrap.
[[nodiscard]] inline std::uint64_t count_newlines(const char* at, std::size_t size) noexcept {
  using Vector = std::int8_t __attribute__((vector_size(16)));
  constexpr std::size_t kVectors = 4;
  constexpr std::size_t kRoundsMax = 127;
  const Vector newline = Vector{} + '\n';
  std::uint64_t count = 0;
  while (size >= sizeof(Vector) * kVectors) {
    Vector sums[kVectors] = {};
    std::size_t rounds = size / (sizeof(Vector) * kVectors);
    if (rounds > kRoundsMax) rounds = kRoundsMax;
    for (std::size_t round = 0; round < rounds; ++round) {
      for (Vector& sum : sums) {
        Vector bytes;
        std::memcpy(&bytes, at, sizeof bytes);
        sum -= bytes == newline;  // equal lanes are -1
        at += sizeof bytes;
      }
    }
    size -= rounds * sizeof(Vector) * kVectors;
    for (const Vector& sum : sums) {
      for (std::size_t lane = 0; lane < sizeof(Vector); ++lane) {
        count += static_cast<std::uint8_t>(sum[lane]);
      }
    }
  }
  for (std::size_t i = 0; i < size; ++i) count += at[i] == '\n' ? 1 : 0;
  return count;
}

// Hash of a short text (a name, a label). Folds 128-bit products like wyhash: for identity of
// series inside one engine and its replays, not for storage formats.
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
  const std::uint64_t low = low_bytes(load8(at), size);
  const std::uint64_t high = size > 8 ? low_bytes(load8(at + 8), size - 8) : 0;
  return fold(low ^ kA, high ^ state);
}

}  // namespace grace::parse
