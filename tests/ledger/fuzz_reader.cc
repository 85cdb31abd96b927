// Feeds any bytes to the reader as a segment file. Besides not crashing it must keep its word: what
// it calls sound stays inside the file, in order, and a record it gives is where it says.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "block.h"
#include "grace/ledger/crc32c.h"
#include "grace/ledger/reader.h"

namespace {

using grace::ledger::BlockFooter;
using grace::ledger::BlockHeader;
using grace::ledger::RecordHeader;
using grace::ledger::RecordView;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(std::span<const std::byte> file) {
  std::uint64_t last = 0;
  std::uint64_t records = 0;
  const auto report = grace::ledger::verify_segment_bytes(file, [&](const RecordView& record) {
    require(last == 0 || record.sequence == last + 1);
    require(record.offset + sizeof(RecordHeader) + record.payload.size() <= file.size());
    require(std::memcmp(file.data() + record.offset + sizeof(RecordHeader), record.payload.data(),
                        record.payload.size()) == 0 ||
            record.payload.empty());
    last = record.sequence;
    ++records;
  });
  require(report.records == records);
  require(report.bytes <= file.size() + grace::ledger::kFirstBlockOffset);
  require(!report.ok || report.fault_count == 0);
}

// Repairs the CRCs that random bytes would never get right, so that the checks behind them are
// reached: the fuzzer then plays with lengths, counts, numbers and flags.
void repair(std::vector<std::byte>& file) {
  using namespace grace::ledger;
  if (file.size() < kFirstBlockOffset + sizeof(BlockHeader)) return;
  SegmentHeader segment;
  std::memcpy(&segment, file.data(), sizeof(segment));
  segment.magic = kSegmentMagic;
  segment.version = kFormatVersion;
  segment.first_block_offset = static_cast<std::uint32_t>(kFirstBlockOffset);
  segment.features = 0;
  segment.reserved = 0;
  segment.log_id[0] |= 1;  // not zero
  internal::SegmentStart start{segment, {}};
  if (segment.integrity == Integrity::kSha256) {
    const std::vector<Hash> trees(
        static_cast<std::size_t>(std::popcount(segment.first_block_number)));
    start.blocks = *Frontier::from(segment.first_block_number, trees);
  }
  internal::write_segment_header(start, std::span(file).first(kSegmentHeaderBytes));
  std::memcpy(file.data() + kSegmentHeaderBytes, file.data(), kSegmentHeaderBytes);
  std::uint64_t at = kFirstBlockOffset;
  while (at + sizeof(BlockHeader) + sizeof(BlockFooter) <= file.size()) {
    BlockHeader header;
    std::memcpy(&header, file.data() + at, sizeof(header));
    header.magic = kBlockMagic;
    header.header_crc = internal::block_header_crc(header, segment.log_id);
    std::memcpy(file.data() + at, &header, sizeof(header));
    std::uint64_t record_at = at + sizeof(BlockHeader);
    for (std::uint32_t index = 0; index < header.record_count; ++index) {
      if (record_at + sizeof(RecordHeader) > file.size()) break;
      RecordHeader record;
      std::memcpy(&record, file.data() + record_at, sizeof(record));
      const std::uint64_t left = file.size() - record_at - sizeof(RecordHeader);
      if (record.length > left) break;
      const auto payload =
          std::span<const std::byte>(file).subspan(record_at + sizeof(RecordHeader), record.length);
      record.crc = internal::record_crc(record, payload);
      std::memcpy(file.data() + record_at, &record, sizeof(record));
      if (record_footprint_bytes(record.length) > file.size() - record_at) break;
      record_at += record_footprint_bytes(record.length);
    }
    if (header.block_bytes < kBlockAlignment || header.block_bytes % kBlockAlignment != 0 ||
        header.block_bytes > file.size() - at) {
      break;
    }
    at += header.block_bytes;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(std::as_bytes(std::span(data, size)));
  // A short input stands for a file whose headers are mostly zeros.
  std::vector<std::byte> file(grace::ledger::kFirstBlockOffset + size, std::byte{0});
  const std::size_t head = std::min<std::size_t>(size, sizeof(grace::ledger::SegmentHeader));
  if (head > 0) std::memcpy(file.data(), data, head);
  if (size > head) {
    std::memcpy(file.data() + grace::ledger::kFirstBlockOffset, data + head, size - head);
  }
  repair(file);
  check(file);
  return 0;
}
