#include "label_memo.h"

#include <cstring>

#include "line_fields.h"

#if GRACE_HAS_WIDE
#include "wide_intrinsics.h"
#endif

namespace grace::parse {

LabelMemo::LabelMemo(FlatLine& flat, bool used) : flat_(flat), known_(used ? kKnown : 0) {}

bool LabelMemo::read_new(const char* at, std::size_t size, Known* known,
                         std::uint64_t& hash) noexcept {
  LineFields fields;
  if (flat_.labels(at, fields) != at + size) return false;
  hash = fields.labels_hash;
  if (known == nullptr) return true;
  std::memcpy(known->text.data(), at, size);
  known->hash = hash;
  known->size_bytes = size;
  return true;
}

#if GRACE_HAS_WIDE
GRACE_WIDE bool LabelMemo::read(const char* at, std::size_t size, std::uint64_t& hash) noexcept {
  if (size > Known::kBytesMax) return read_new(at, size, nullptr, hash);
  const auto bytes = static_cast<std::uint32_t>(size);
  const __mmask64 first = _bzhi_u64(~std::uint64_t{0}, bytes);
  const __mmask64 second = bytes > 64 ? _bzhi_u64(~std::uint64_t{0}, bytes - 64) : 0;
  const __m512i head = _mm512_maskz_loadu_epi8(first, at);
  const __m512i tail = _mm512_maskz_loadu_epi8(second, at + 64);
  const __m512i mixed = _mm512_aesenc_epi128(head, tail);
  const __m256i half =
      _mm256_xor_si256(_mm512_castsi512_si256(mixed), _mm512_extracti64x4_epi64(mixed, 1));
  const __m128i quarter =
      _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const auto low = static_cast<std::uint64_t>(_mm_cvtsi128_si64(quarter));
  const auto high = static_cast<std::uint64_t>(_mm_extract_epi64(quarter, 1));
  const std::uint64_t place = low * 0xa0761d6478bd642fULL + high * 0xe7037ed1a0b428dbULL;
  Known& known = known_[(place >> 32) % kKnown];
  const __mmask64 differs =
      _mm512_mask_cmpneq_epi8_mask(first, head, _mm512_load_si512(&known)) |
      _mm512_mask_cmpneq_epi8_mask(second, tail, _mm512_load_si512(known.text.data() + 64));
  if (differs == 0 && known.size_bytes == size) [[likely]] {
    hash = known.hash;
    return true;
  }
  return read_new(at, size, &known, hash);
}
#else
bool LabelMemo::read(const char* at, std::size_t size, std::uint64_t& hash) noexcept {
  return read_new(at, size, nullptr, hash);
}
#endif

}  // namespace grace::parse
