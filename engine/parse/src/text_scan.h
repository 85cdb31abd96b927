#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

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

// White space of RFC 8259.
[[nodiscard]] inline bool is_space(char c) noexcept {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

[[nodiscard]] inline bool is_digit(char c) noexcept {
  return static_cast<unsigned char>(c - '0') < 10;
}

// Newlines in a text: the independent count behind ParseCounters::lines. Inner blocks are short
// enough for byte-wide sums, which compilers turn into vector code on every target.
[[nodiscard]] inline std::uint64_t count_newlines(const char* at, std::size_t size) noexcept {
  constexpr std::size_t kLanes = 64;
  constexpr std::size_t kRoundsMax = 255;
  std::uint64_t count = 0;
  while (size >= kLanes) {
    std::uint8_t sums[kLanes] = {};
    std::size_t rounds = size / kLanes;
    if (rounds > kRoundsMax) rounds = kRoundsMax;
    for (std::size_t round = 0; round < rounds; ++round, at += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        sums[lane] = static_cast<std::uint8_t>(sums[lane] + (at[lane] == '\n' ? 1 : 0));
      }
    }
    size -= rounds * kLanes;
    for (const std::uint8_t sum : sums) count += sum;
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
