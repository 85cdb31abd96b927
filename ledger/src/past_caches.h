#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>
#define GRACE_LEDGER_STREAMS 1
#endif

// As in engine/core (platform.h, stream_copy.h, which says why); the ledger stands alone, so it has
// its own.
namespace grace::ledger::internal {

inline constexpr std::size_t kCacheLineBytes = 64;

// Whole lines, to where one begins. In no order with later stores: order_past_caches() comes before
// the store that hands them over.
inline void copy_lines_past_caches(std::byte* to, const std::byte* from, std::uint64_t bytes) {
#if defined(GRACE_LEDGER_STREAMS)
  for (std::uint64_t at = 0; at < bytes; at += sizeof(__m128i)) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + at),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at)));
  }
#else
  std::memcpy(to, from, bytes);
#endif
}

// Any bytes to anywhere: all but the first and the last line.
inline void copy_past_caches(std::byte* to, std::span<const std::byte> bytes) {
  const auto in_line = reinterpret_cast<std::uintptr_t>(to) % kCacheLineBytes;
  const std::size_t head =
      in_line == 0 ? 0 : std::min<std::size_t>(bytes.size(), kCacheLineBytes - in_line);
  const std::size_t lines = (bytes.size() - head) / kCacheLineBytes * kCacheLineBytes;
  std::memcpy(to, bytes.data(), head);
  copy_lines_past_caches(to + head, bytes.data() + head, lines);
  std::memcpy(to + head + lines, bytes.data() + head + lines, bytes.size() - head - lines);
}

inline void order_past_caches() {
#if defined(GRACE_LEDGER_STREAMS)
  _mm_sfence();
#endif
}

}  // namespace grace::ledger::internal
