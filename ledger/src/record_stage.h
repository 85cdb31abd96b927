#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "block_buffer.h"
#include "grace/ledger/format.h"

namespace grace::ledger::internal {

// Where records are composed before they go into their block's buffer: small enough for the nearest
// cache, so that framing, CRC and the copy to the buffer find them there.
//
// The copy may stream past the caches (`past_caches`), for a buffer that another core reads next.
// A line that the other core has read must be taken back from it before it can be written: 2.4 GB/s
// on two cores that share no cache, against 20 GB/s past them, with which nothing waits.
//
//   buffer: | block header | records in place ...            | not yet here
//   stage:                              origin -> | records  | the next
//
// One thread at a time.
class RecordStage {
 public:
  static constexpr std::uint64_t kBytes = 8 << 10;

  explicit RecordStage(bool past_caches) : past_caches_(past_caches) {}

  // The next record has its place at buffer[at]; what lies before it there is in place.
  void begin(BlockBuffer& buffer, std::uint64_t at);
  [[nodiscard]] bool has_room(std::uint64_t footprint) const { return end_ + footprint <= kBytes; }
  // A record with room, framed but for its CRC.
  void put(const RecordHeader& header, std::span<const std::byte> head,
           std::span<const std::byte> body);
  // One that is larger than the stage, which is empty after finish(): framed in the buffer itself,
  // with its CRC.
  void put_past(BlockBuffer& buffer, RecordHeader header, std::span<const std::byte> head,
                std::span<const std::byte> body, std::uint32_t& crc_of_crcs);
  // Gives the records since the last seal their CRCs and extends `crc_of_crcs` by them.
  void seal(std::uint32_t& crc_of_crcs);
  // Copies whole lines of what is sealed, and makes room. With seal() before, kBytes less a line.
  void move_to(BlockBuffer& buffer);
  // Copies all of it, also for other threads to see once they are handed the buffer.
  void finish(BlockBuffer& buffer);

 private:
  const bool past_caches_;
  const Lines bytes_ = allocate_lines(kBytes);
  std::uint64_t origin_ = 0;  // of bytes_[0] in the buffer, a multiple of kCacheLineBytes
  std::uint64_t sealed_ = 0;  // bytes before it have their CRCs
  std::uint64_t end_ = 0;
};

}  // namespace grace::ledger::internal
