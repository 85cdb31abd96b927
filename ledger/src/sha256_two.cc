#include "sha256_two.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace grace::ledger::internal {
namespace {

std::array<Hash, 2> of_two_openssl(std::span<const std::byte> first,
                                   std::span<const std::byte> second) {
  return {sha256(first), sha256(second)};
}

#if defined(__x86_64__)

constexpr std::size_t kChunkBytes = 64;  // what one compression takes

// FIPS 180-4 section 5.3.3 and 4.2.2.
constexpr std::array<std::uint32_t, 8> kInitial{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
alignas(64) constexpr std::array<std::uint32_t, 64> kRoundConstants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

struct Message {
  std::array<std::uint32_t, 8> state = kInitial;
  const std::byte* next = nullptr;
};

__m128i load_words(const void* at) {
  return _mm_loadu_si128(static_cast<const __m128i*>(at));
}

// Loops over rounds and messages have to be unrolled, so that all of it stays in registers.
#if defined(__clang__)
#define GRACE_LEDGER_UNROLL _Pragma("unroll")
#else
#define GRACE_LEDGER_UNROLL _Pragma("GCC unroll 16")
#endif

// `chunks` compressions of each of kCount messages, a step of all before the next step of any. The
// instructions keep the state as two registers, (a b e f) and (c d g h), four rounds take two of
// them, and the message schedule moves through four registers (Intel, SHA Extensions, 2013).
template <std::size_t kCount>
__attribute__((target("sha,sse4.1"))) void compress(Message* messages, std::size_t chunks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef[kCount];
  __m128i cdgh[kCount];
  GRACE_LEDGER_UNROLL
  for (std::size_t i = 0; i < kCount; ++i) {
    const __m128i cdab = _mm_shuffle_epi32(load_words(&messages[i].state[0]), 0xb1);
    const __m128i hgfe = _mm_shuffle_epi32(load_words(&messages[i].state[4]), 0x1b);
    abef[i] = _mm_alignr_epi8(cdab, hgfe, 8);
    cdgh[i] = _mm_blend_epi16(hgfe, cdab, 0xf0);
  }
  for (; chunks > 0; --chunks) {
    __m128i abef_before[kCount];
    __m128i cdgh_before[kCount];
    __m128i words[kCount][4];
    GRACE_LEDGER_UNROLL
    for (std::size_t i = 0; i < kCount; ++i) {
      abef_before[i] = abef[i];
      cdgh_before[i] = cdgh[i];
      GRACE_LEDGER_UNROLL
      for (std::size_t j = 0; j < 4; ++j) {
        words[i][j] = _mm_shuffle_epi8(load_words(messages[i].next + 16 * j), big_endian);
      }
      messages[i].next += kChunkBytes;
    }
    GRACE_LEDGER_UNROLL
    for (std::size_t four = 0; four < 16; ++four) {
      GRACE_LEDGER_UNROLL
      for (std::size_t i = 0; i < kCount; ++i) {
        __m128i& word = words[i][four & 3];
        if (four >= 4) {
          const __m128i last = words[i][(four + 3) & 3];
          const __m128i ahead = _mm_alignr_epi8(last, words[i][(four + 2) & 3], 4);
          word = _mm_add_epi32(_mm_sha256msg1_epu32(word, words[i][(four + 1) & 3]), ahead);
          word = _mm_sha256msg2_epu32(word, last);
        }
        const __m128i added = _mm_add_epi32(word, load_words(&kRoundConstants[4 * four]));
        cdgh[i] = _mm_sha256rnds2_epu32(cdgh[i], abef[i], added);
        abef[i] = _mm_sha256rnds2_epu32(abef[i], cdgh[i], _mm_shuffle_epi32(added, 0x0e));
      }
    }
    GRACE_LEDGER_UNROLL
    for (std::size_t i = 0; i < kCount; ++i) {
      abef[i] = _mm_add_epi32(abef[i], abef_before[i]);
      cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);
    }
  }
  GRACE_LEDGER_UNROLL
  for (std::size_t i = 0; i < kCount; ++i) {
    const __m128i feba = _mm_shuffle_epi32(abef[i], 0x1b);
    const __m128i dchg = _mm_shuffle_epi32(cdgh[i], 0xb1);
    auto* const out = reinterpret_cast<__m128i*>(messages[i].state.data());
    _mm_storeu_si128(out, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(out + 1, _mm_alignr_epi8(dchg, feba, 8));
  }
}

// What is left of a message, shorter than a chunk, with its padding (section 5.1.1).
Hash finish(Message& message, std::span<const std::byte> rest, std::uint64_t message_bytes) {
  constexpr std::size_t kLengthBytes = sizeof(std::uint64_t);
  std::array<std::byte, 2 * kChunkBytes> last{};
  if (!rest.empty()) std::memcpy(last.data(), rest.data(), rest.size());
  last[rest.size()] = std::byte{0x80};
  const std::size_t chunks = rest.size() + 1 + kLengthBytes <= kChunkBytes ? 1 : 2;
  const std::uint64_t bits = __builtin_bswap64(message_bytes * 8);
  std::memcpy(last.data() + chunks * kChunkBytes - kLengthBytes, &bits, kLengthBytes);
  message.next = last.data();
  compress<1>(&message, chunks);
  Hash hash;
  for (std::size_t i = 0; i < message.state.size(); ++i) {
    const std::uint32_t word = __builtin_bswap32(message.state[i]);
    std::memcpy(hash.data() + sizeof(word) * i, &word, sizeof(word));
  }
  return hash;
}

std::array<Hash, 2> of_two_sha_ni(std::span<const std::byte> first,
                                  std::span<const std::byte> second) {
  std::array<std::span<const std::byte>, 2> texts{first, second};
  std::array<Message, 2> messages;
  const std::size_t both = std::min(first.size(), second.size()) / kChunkBytes;
  for (std::size_t i = 0; i < 2; ++i) messages[i].next = texts[i].data();
  compress<2>(messages.data(), both);
  std::array<Hash, 2> hashes;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t chunks = texts[i].size() / kChunkBytes;
    compress<1>(&messages[i], chunks - both);
    hashes[i] = finish(messages[i], texts[i].subspan(chunks * kChunkBytes), texts[i].size());
  }
  return hashes;
}

// Compilers of these days have no name for SHA in __builtin_cpu_supports().
bool has_sha_ni() {
  __builtin_cpu_init();
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __builtin_cpu_supports("sse4.1") != 0 &&
         __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & bit_SHA) != 0;
}
#endif

using OfTwo = std::array<Hash, 2> (*)(std::span<const std::byte>, std::span<const std::byte>);

OfTwo choose() {
#if defined(__x86_64__)
  if (has_sha_ni()) return &of_two_sha_ni;
#endif
  return &of_two_openssl;
}

// A function-local static: it may be needed while other translation units initialise theirs.
OfTwo chosen() {
  static const OfTwo of_two = choose();
  return of_two;
}

}  // namespace

std::array<Hash, 2> sha256_of_two(std::span<const std::byte> first,
                                  std::span<const std::byte> second) {
  return chosen()(first, second);
}

std::string_view sha256_of_two_implementation() {
  return chosen() == &of_two_openssl ? "openssl" : "sha-ni";
}

}  // namespace grace::ledger::internal
