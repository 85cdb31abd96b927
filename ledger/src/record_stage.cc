#include "record_stage.h"

#include <cstring>

#include "assert.h"
#include "block_writer.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace grace::ledger::internal {
namespace {

// Whole lines, from and to where one begins.
void copy_lines(std::byte* to, const std::byte* from, std::uint64_t bytes, bool past_caches) {
#if defined(__x86_64__)
  if (past_caches) {
    for (std::uint64_t at = 0; at < bytes; at += sizeof(__m128i)) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + at),
                       _mm_load_si128(reinterpret_cast<const __m128i*>(from + at)));
    }
    return;
  }
#else
  (void)past_caches;
#endif
  std::memcpy(to, from, bytes);
}

// Streamed stores are in no order with others, releases neither.
void order_streamed() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

}  // namespace

void RecordStage::begin(BlockBuffer& buffer, std::uint64_t at) {
  origin_ = at / kCacheLineBytes * kCacheLineBytes;
  end_ = at - origin_;
  sealed_ = end_;
  if (end_ > 0) std::memcpy(bytes_.get(), buffer.data() + origin_, end_);
}

void RecordStage::seal(std::uint32_t& crc_of_crcs) {
  seal_records(std::span(bytes_.get() + sealed_, end_ - sealed_), crc_of_crcs);
  sealed_ = end_;
}

void RecordStage::move_to(BlockBuffer& buffer) {
  const std::uint64_t whole = sealed_ / kCacheLineBytes * kCacheLineBytes;
  GRACE_LEDGER_ASSERT(origin_ + whole <= buffer.capacity());
  copy_lines(buffer.data() + origin_, bytes_.get(), whole, past_caches_);
  if (end_ > whole) std::memmove(bytes_.get(), bytes_.get() + whole, end_ - whole);
  origin_ += whole;
  sealed_ -= whole;
  end_ -= whole;
}

void RecordStage::finish(BlockBuffer& buffer) {
  GRACE_LEDGER_ASSERT(sealed_ == end_);
  move_to(buffer);
  GRACE_LEDGER_ASSERT(origin_ + end_ <= buffer.capacity());
  if (end_ > 0) std::memcpy(buffer.data() + origin_, bytes_.get(), end_);
  if (past_caches_) order_streamed();
}

}  // namespace grace::ledger::internal
