#include "record_stage.h"

#include <cstring>

#include "assert.h"
#include "block_writer.h"
#include "past_caches.h"

namespace grace::ledger::internal {

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
  if (past_caches_) {
    copy_lines_past_caches(buffer.data() + origin_, bytes_.get(), whole);
  } else {
    std::memcpy(buffer.data() + origin_, bytes_.get(), whole);
  }
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
  if (past_caches_) order_past_caches();
}

}  // namespace grace::ledger::internal
