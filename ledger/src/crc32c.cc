#include "grace/ledger/crc32c.h"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace grace::ledger {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b]: the CRC of byte b followed by k zero bytes.
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr Tables kTables = make_tables();

std::uint64_t load_u64(const std::byte* at) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

#if defined(__x86_64__)
// What a state becomes when kStrideBytes bytes of zeros follow it: of each of its bytes alone, and
// their sum by exclusive or, as a CRC is linear.
constexpr std::size_t kStrideBytes = 2048;
class Stride {
 public:
  Stride() {
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::uint32_t value = 0; value < 256; ++value) {
        const std::uint32_t low = value & (value - 1);  // without its lowest bit
        const std::uint32_t bit = value ^ low;
        moved_[i][value] = low == 0 ? moved(bit << (8 * i)) : moved_[i][low] ^ moved_[i][bit];
      }
    }
  }
  [[nodiscard]] std::uint32_t over(std::uint64_t state) const {
    return moved_[0][state & 0xff] ^ moved_[1][(state >> 8) & 0xff] ^
           moved_[2][(state >> 16) & 0xff] ^ moved_[3][(state >> 24) & 0xff];
  }

 private:
  static std::uint32_t moved(std::uint32_t state) {
    for (std::size_t i = 0; i < kStrideBytes; ++i) state = (state >> 8) ^ kTables[0][state & 0xff];
    return state;
  }
  std::array<std::array<std::uint32_t, 256>, 4> moved_{};
};

// Three strides side by side, as an instruction waits for the one before: 27 GB/s instead of 10
// (AMD EPYC). Mark Adler, crc32c.c (2013).
__attribute__((target("sse4.2"))) std::uint64_t over_strides(std::uint64_t state,
                                                             const std::byte*& at,
                                                             std::size_t& left) {
  static const Stride stride;
  for (; left >= 3 * kStrideBytes; left -= 3 * kStrideBytes, at += 3 * kStrideBytes) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kStrideBytes; i += 8) {
      state = _mm_crc32_u64(state, load_u64(at + i));
      second = _mm_crc32_u64(second, load_u64(at + kStrideBytes + i));
      third = _mm_crc32_u64(third, load_u64(at + 2 * kStrideBytes + i));
    }
    state = stride.over(stride.over(state) ^ second) ^ third;
  }
  return state;
}

__attribute__((target("sse4.2"))) std::uint32_t extend_sse42(std::uint32_t crc,
                                                             std::span<const std::byte> bytes) {
  std::uint64_t state = crc ^ 0xffffffffU;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  if (left >= 3 * kStrideBytes) state = over_strides(state, at, left);
  for (; left >= 8; left -= 8, at += 8) state = _mm_crc32_u64(state, load_u64(at));
  auto narrow = static_cast<std::uint32_t>(state);
  if (left >= 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    narrow = _mm_crc32_u32(narrow, word);
    left -= 4;
    at += 4;
  }
  for (; left > 0; --left, ++at) narrow = _mm_crc32_u8(narrow, std::to_integer<std::uint8_t>(*at));
  return narrow ^ 0xffffffffU;
}

using Pieces = std::array<std::span<const std::byte>, 3>;

__attribute__((target("sse4.2"))) std::array<std::uint32_t, 3> of_three_sse42(
    const Pieces& pieces) {
  const std::size_t shortest = std::min({pieces[0].size(), pieces[1].size(), pieces[2].size()});
  const std::size_t common = shortest / 8 * 8;
  std::uint64_t first = 0xffffffffU;
  std::uint64_t second = 0xffffffffU;
  std::uint64_t third = 0xffffffffU;
  for (std::size_t at = 0; at < common; at += 8) {
    first = _mm_crc32_u64(first, load_u64(pieces[0].data() + at));
    second = _mm_crc32_u64(second, load_u64(pieces[1].data() + at));
    third = _mm_crc32_u64(third, load_u64(pieces[2].data() + at));
  }
  const auto rest = [&](std::uint64_t state, std::span<const std::byte> piece) {
    return extend_sse42(static_cast<std::uint32_t>(state) ^ 0xffffffffU, piece.subspan(common));
  };
  return {rest(first, pieces[0]), rest(second, pieces[1]), rest(third, pieces[2])};
}
#endif

using Extend = std::uint32_t (*)(std::uint32_t, std::span<const std::byte>);

Extend choose() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2") != 0) return &extend_sse42;
#endif
  return &crc32c_extend_portable;
}

// A function-local static: it may be needed while other translation units initialise theirs.
Extend chosen() {
  static const Extend extend = choose();
  return extend;
}

}  // namespace

std::uint32_t crc32c_extend_portable(std::uint32_t crc, std::span<const std::byte> bytes) {
  std::uint32_t state = crc ^ 0xffffffffU;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint64_t word = load_u64(at) ^ state;
    state = kTables[7][word & 0xff] ^ kTables[6][(word >> 8) & 0xff] ^
            kTables[5][(word >> 16) & 0xff] ^ kTables[4][(word >> 24) & 0xff] ^
            kTables[3][(word >> 32) & 0xff] ^ kTables[2][(word >> 40) & 0xff] ^
            kTables[1][(word >> 48) & 0xff] ^ kTables[0][word >> 56];
  }
  for (; left > 0; --left, ++at) {
    state = (state >> 8) ^ kTables[0][(state ^ std::to_integer<std::uint32_t>(*at)) & 0xff];
  }
  return state ^ 0xffffffffU;
}

std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> bytes) {
  return chosen()(crc, bytes);
}

std::array<std::uint32_t, 3> crc32c_of_three(
    const std::array<std::span<const std::byte>, 3>& pieces) {
#if defined(__x86_64__)
  if (chosen() == &extend_sse42) return of_three_sse42(pieces);
#endif
  return {crc32c(pieces[0]), crc32c(pieces[1]), crc32c(pieces[2])};
}

std::string_view crc32c_implementation() {
  return chosen() == &crc32c_extend_portable ? "portable" : "sse4.2";
}

}  // namespace grace::ledger
