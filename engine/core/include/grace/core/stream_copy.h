#pragma once
#include <cstddef>
#include <cstring>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define GRACE_PLAIN_STORES 1
#endif
#endif
// The sanitizer would not see streaming stores.
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__) && !defined(GRACE_PLAIN_STORES)
#include <emmintrin.h>
#define GRACE_STREAM_STORES 1
#endif

// Copies past the caches, for what another core reads next and this one does not.
//
// An ordinary store to a line that the other core has read last first takes the line back from it,
// whole, and the other core then fetches it again. A streaming store (MOVNTDQ: Intel SDM vol. 1,
// 10.4.6.2; AMD64 APM vol. 1, 4.6.3) writes a whole line to memory and waits for neither. Gain for
// 128 bytes in a ring, by how far apart the cores are: 45 to 16 ns where they share a cache, 160 to
// 16 where they do not (docs/decisions/0015).
namespace grace::core {

// Both begin on a cache line, and `bytes` are whole lines. These stores are in no order with later
// ones: stream_fence() comes before the store that hands the lines over.
inline void stream_copy(void* to, const void* from, std::size_t bytes) noexcept {
#if defined(GRACE_STREAM_STORES)
  auto* const out = static_cast<__m128i*>(to);
  const auto* const in = static_cast<const __m128i*>(from);
  for (std::size_t i = 0; i < bytes / sizeof(__m128i); ++i) {
    _mm_stream_si128(out + i, _mm_load_si128(in + i));
  }
#else
  std::memcpy(to, from, bytes);
#endif
}

// Any place and size of whole words of 8 bytes, such as records: lines that these and the words
// before and after fill leave whole, others are completed in memory.
inline void stream_words(void* to, const void* from, std::size_t bytes) noexcept {
#if defined(GRACE_STREAM_STORES) && defined(__x86_64__)
  for (std::size_t at = 0; at < bytes; at += 8) {
    long long word = 0;
    std::memcpy(&word, static_cast<const char*>(from) + at, sizeof word);
    _mm_stream_si64(reinterpret_cast<long long*>(static_cast<char*>(to) + at), word);
  }
#else
  std::memcpy(to, from, bytes);
#endif
}

inline void stream_fence() noexcept {
#if defined(GRACE_STREAM_STORES)
  _mm_sfence();
#endif
}

}  // namespace grace::core
