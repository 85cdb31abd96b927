#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "block.h"
#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"
#include "segment_scanner.h"

namespace grace::ledger::internal {

// Where some blocks of a segment that has ended begin: a side file that saves reading headers and
// says nothing of its own. Whoever uses it checks the block that it points at, and does without the
// index where it is missing, damaged, or not of this segment. docs/ledger_format.md, section 15.
//
//   | IndexHeader | IndexEntry | IndexEntry | ...      one for each kIndexStride blocks
inline constexpr std::uint64_t kIndexMagic = 0x315845444e495247;  // "GRINDEX1"
inline constexpr std::uint32_t kIndexVersion = 1;
inline constexpr std::uint32_t kIndexStride = 16;

struct IndexHeader {
  std::uint64_t magic = kIndexMagic;
  std::uint32_t crc = 0;  // CRC-32C of the whole file with this field zero
  std::uint32_t version = kIndexVersion;
  LogId log_id{};
  std::uint64_t segment_number = 0;
  std::uint64_t first_block_number = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t block_count = 0;  // the seal, too
  // Of the last block: the seal, or the one that a fail-over made the last.
  std::uint64_t last_offset = 0;
  std::int64_t last_time_ns = 0;
  std::uint32_t stride = kIndexStride;
  std::uint32_t entry_count = 0;
  Hash last_chain{};  // its chain value: ties the index to the segment's content
};
static_assert(sizeof(IndexHeader) == 120);

struct IndexEntry {
  std::uint64_t first_sequence = 0;
  std::int64_t wall_time_ns = 0;
  std::uint64_t offset = 0;  // in the segment as it is uncompressed
};
static_assert(sizeof(IndexEntry) == 24);

struct SegmentIndex {
  IndexHeader header;
  std::vector<IndexEntry> entries;
};

// Walks the headers of a segment whose scanner has just been opened. kCorrupt where it has no end.
[[nodiscard]] Result<SegmentIndex> build_index(SegmentScanner& segment);
[[nodiscard]] std::vector<std::byte> to_bytes(const SegmentIndex& index);
// As a whole or not at all. Not synced: what is lost is built again.
[[nodiscard]] Result<void> store_index(FileSystem& fs, const std::string& directory,
                                       const SegmentIndex& index);
// The index of the segment, if it is there, sound and its: else nothing. `segment`: its header has
// been read. Its state is not changed.
[[nodiscard]] std::optional<SegmentIndex> load_index(const std::string& directory,
                                                     std::uint64_t number, SegmentScanner& segment);
// The same of a file's bytes.
[[nodiscard]] std::optional<SegmentIndex> parse_index(std::span<const std::byte> bytes);

// Takes a scanner that stands before its first block as far as the index knows a block for which
// `wanted` holds, which must hold for none behind one for which it does not. Without an index the
// scanner stays where it is.
void pass_by_index(SegmentScanner& segment, ChainState& chain, const std::string& directory,
                   std::uint64_t number, const std::function<bool(const IndexEntry&)>& wanted);

}  // namespace grace::ledger::internal
