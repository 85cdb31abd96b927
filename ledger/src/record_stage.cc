#include "record_stage.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "assert.h"
#include "block_writer.h"
#include "grace/ledger/crc32c.h"
#include "past_caches.h"

namespace grace::ledger::internal {

void RecordStage::begin(BlockBuffer& buffer, std::uint64_t at) {
  origin_ = at / kCacheLineBytes * kCacheLineBytes;
  end_ = at - origin_;
  sealed_ = end_;
  if (end_ > 0) std::memcpy(bytes_.get(), buffer.data() + origin_, end_);
}

void RecordStage::put(const RecordHeader& header, std::span<const std::byte> head,
                      std::span<const std::byte> body) {
  std::byte* const at = bytes_.get() + end_;
  const std::uint64_t footprint = record_footprint_bytes(header.length);
  // First the zeros that may follow the payload, then what lies over them.
  constexpr std::uint64_t kZero = 0;
  std::memcpy(at + footprint - sizeof(kZero), &kZero, sizeof(kZero));
  std::memcpy(at, &header, sizeof(header));
  if (!head.empty()) std::memcpy(at + sizeof(header), head.data(), head.size());
  if (!body.empty()) std::memcpy(at + sizeof(header) + head.size(), body.data(), body.size());
  end_ += footprint;
}

// Piece by piece, so that the copy finds in the nearest cache what the CRC has just read.
void RecordStage::put_past(BlockBuffer& buffer, RecordHeader header,
                           std::span<const std::byte> head, std::span<const std::byte> body,
                           std::uint32_t& crc_of_crcs) {
  constexpr std::size_t kPieceBytes = 12 << 10;
  const std::uint64_t place = origin_ + end_;
  const std::uint64_t end = place + record_footprint_bytes(header.length);
  GRACE_LEDGER_ASSERT(end <= buffer.capacity());
  constexpr std::uint64_t kZero = 0;
  std::memcpy(buffer.data() + end - sizeof(kZero), &kZero, sizeof(kZero));
  std::byte* at = buffer.data() + place + sizeof(header);
  std::uint32_t crc = crc32c(std::as_bytes(std::span(&header, 1)).subspan(sizeof(header.crc)));
  for (const std::span<const std::byte> part : {head, body}) {
    for (std::size_t done = 0; done < part.size();) {
      const auto piece = part.subspan(done, std::min(kPieceBytes, part.size() - done));
      crc = crc32c_extend(crc, piece);
      if (past_caches_) {
        copy_past_caches(at, piece);
      } else {
        std::memcpy(at, piece.data(), piece.size());
      }
      at += piece.size();
      done += piece.size();
    }
  }
  header.crc = crc;
  std::memcpy(buffer.data() + place, &header, sizeof(header));
  crc_of_crcs = crc32c_extend(crc_of_crcs, std::as_bytes(std::span(&crc, 1)));
  begin(buffer, end);
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
