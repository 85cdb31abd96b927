#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "grace/ledger/sha256.h"

// The bytes on disk. docs/ledger_format.md is the authority; this header is its C++ spelling.
//
//   segment file:  | header copy A | header copy B | block | block | ... | seal block | zeros |
//                  0               4096            8192    each starts at a multiple of 4096
//
//   block:         | BlockHeader | record | record | ... | zeros | BlockFooter |
//                  0             128                             last 64 bytes
//
//   record:        | RecordHeader | payload | zeros to a multiple of 8 |
//                  0              24
namespace grace::ledger {

static_assert(std::endian::native == std::endian::little,
              "the file is little-endian and is read in place");

inline constexpr std::uint64_t kSegmentMagic = 0x31524744454c5247;  // "GRLEDGR1"
inline constexpr std::uint64_t kBlockMagic = 0x314b434f4c425247;    // "GRBLOCK1"
inline constexpr std::uint64_t kFooterMagic = 0x31544f4f46425247;   // "GRBFOOT1"
inline constexpr std::uint32_t kFormatVersion = 1;

// Blocks start at multiples of this, so that no later write touches a sector that is durable.
inline constexpr std::uint64_t kBlockAlignment = 4096;
inline constexpr std::uint64_t kSegmentHeaderBytes = 4096;  // one copy
inline constexpr std::uint64_t kFirstBlockOffset = 2 * kSegmentHeaderBytes;
inline constexpr std::uint64_t kRecordAlignment = 8;
inline constexpr std::uint64_t kBlockBytesMax = 64ULL << 20;  // a reader refuses larger ones
inline constexpr std::uint64_t kSegmentBytesMax = 4ULL << 30;

// Records carry their meaning in a stable number.
enum class RecordType : std::uint16_t {
  kJson = 1,       // one JSON object: the ledger's normal record
  kChunk = 2,      // journal: a small binary header (the engine's business) and raw input bytes
  kRecovery = 3,   // JSON: the writer cut a torn tail when it opened the log
  kNote = 4,       // UTF-8 text for a person
  kKeyChange = 6,  // a signed note: another key signs the checkpoints from here on
  // The others from 5 to 15 are reserved for the format itself.
  // From 256 on they belong to the application.
};
// Types that only the library appends.
[[nodiscard]] constexpr bool is_reserved(RecordType type) {
  const auto number = static_cast<std::uint16_t>(type);
  return number >= 5 && number <= 15;
}

// How blocks are chained. Chosen per log, the same in all its segments.
enum class Integrity : std::uint32_t {
  kSha256 = 1,  // each block holds the SHA-256 of the block before it
  kCrc32c = 2,  // each block holds the CRC-32C of the block before it: finds accidents only
};

struct SegmentHeader {
  std::uint64_t magic = kSegmentMagic;
  std::uint32_t header_crc = 0;  // CRC-32C of all 4096 bytes with this field zero
  std::uint32_t version = kFormatVersion;
  std::array<std::uint8_t, 16> log_id{};  // random, equal in every segment of a log
  std::uint64_t segment_number = 0;       // from 1, without gaps
  std::uint64_t first_sequence = 0;       // of the first record, if there is one
  std::uint64_t first_block_number = 0;   // place of the first block in the whole log, from 0
  Integrity integrity = Integrity::kSha256;
  std::uint32_t first_block_offset = static_cast<std::uint32_t>(kFirstBlockOffset);
  Hash previous_root{};  // chain value before the first block
  std::int64_t created_ns = 0;
  std::uint64_t promised_sequence = 0;  // as in BlockHeader, when this segment was begun
  std::uint32_t features = 0;           // kFeature...: a reader refuses bits it does not know
  std::uint32_t reserved = 0;
  // With kFeatureFailOver: the segment before has no seal and ends at this offset. What it holds
  // behind that stands in this segment, or in none. Without: 0.
  std::uint64_t previous_end = 0;
  // Then zeros; from kFrontierOffset on, with kSha256, the hashes of the complete subtrees that
  // make up the tree over all earlier blocks, largest first: one for each 1 bit of
  // first_block_number. Zeros again up to byte 4096. All of it is covered by the CRC.
};
static_assert(sizeof(SegmentHeader) == 128);
inline constexpr std::uint32_t kFeatureFailOver = 1;
// Earlier segments of the log may be stored compressed.
inline constexpr std::uint32_t kFeatureCompressed = 2;
inline constexpr std::uint32_t kFeaturesKnown = kFeatureFailOver | kFeatureCompressed;
inline constexpr std::uint64_t kFrontierOffset = 1024;
static_assert(kFrontierOffset + 64 * sizeof(Hash) <= kSegmentHeaderBytes);

inline constexpr std::uint32_t kBlockSeals = 1;       // flags: the last block of its segment
inline constexpr std::uint32_t kBlockRecordTree = 2;  // flags: records_hash is a tree's root

struct BlockHeader {
  std::uint64_t magic = kBlockMagic;
  // CRC-32C of the log's id, then these 128 bytes with this field zero. The id is in it so that
  // bytes inside a record cannot pass for a block of this log.
  std::uint32_t header_crc = 0;
  std::uint32_t flags = 0;
  std::uint64_t block_number = 0;    // from 0 over the whole log: the leaf index
  std::uint64_t first_sequence = 0;  // what the next record has, where this block has none
  std::uint32_t record_count = 0;
  std::uint32_t records_bytes = 0;  // after this header, a multiple of 8
  std::uint64_t block_bytes = 0;    // header to footer, a multiple of 4096
  std::int64_t wall_time_ns = 0;    // when the block was closed, since the epoch
  // Highest sequence that the writer had promised to keep when it closed this block (synced; or
  // only written, in a log without syncs). Damage at or below it is never a torn tail.
  std::uint64_t promised_sequence = 0;
  Hash previous_hash{};  // chain value of the block before
  // kSha256: SHA-256 of all records_bytes; with kBlockRecordTree the RFC 6962 root over the
  // records, each without its padding. kCrc32c: zeros.
  Hash records_hash{};
};
static_assert(sizeof(BlockHeader) == 128);

struct BlockFooter {
  std::uint64_t magic = kFooterMagic;
  std::uint32_t block_crc = 0;   // CRC-32C of each record's crc field, then the header's bytes
  std::uint32_t footer_crc = 0;  // CRC-32C of these 64 bytes with this field zero
  std::uint64_t last_sequence = 0;
  std::uint64_t block_bytes = 0;  // again, so that a reader can walk backwards
  // kSha256: SHA-256(0x00, the block's header): an RFC 6962 leaf.
  // kCrc32c: block_crc in the first four bytes, zeros after.
  Hash chain{};
};
static_assert(sizeof(BlockFooter) == 64);

struct RecordHeader {
  std::uint32_t crc = 0;     // CRC-32C of the other 20 bytes of this header and the payload
  std::uint32_t length = 0;  // of the payload, without the zeros that follow it
  std::uint64_t sequence = 0;
  RecordType type = RecordType::kJson;
  std::uint16_t flags = 0;  // none exist yet; a reader refuses others
  std::uint32_t reserved = 0;
};
static_assert(sizeof(RecordHeader) == 24);

[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}
// What a record with such a payload takes in a block.
[[nodiscard]] constexpr std::uint64_t record_footprint_bytes(std::uint64_t payload_bytes) {
  return round_up(sizeof(RecordHeader) + payload_bytes, kRecordAlignment);
}
// What a block with such records takes in a segment.
[[nodiscard]] constexpr std::uint64_t block_footprint_bytes(std::uint64_t records_bytes) {
  return round_up(sizeof(BlockHeader) + records_bytes + sizeof(BlockFooter), kBlockAlignment);
}
inline constexpr std::uint64_t kSealBlockBytes = block_footprint_bytes(0);

// A tree file, 000000000001.tree beside 000000000001.segment: what hashing that segment of a log
// with kCrc32c gave, once it was sealed. A reader may do without it.
//
//   | TreeFileHeader | frontier before | records_hash of each block | frontier after |
//   0                128               32 bytes each, to the end of the file
inline constexpr std::uint64_t kTreeFileMagic = 0x3153454552545247;  // "GRTREES1"
inline constexpr std::uint32_t kTreeFileVersion = 1;

struct TreeFileHeader {
  std::uint64_t magic = kTreeFileMagic;
  std::uint32_t file_crc = 0;  // CRC-32C of the whole file with this field zero
  std::uint32_t version = kTreeFileVersion;
  std::array<std::uint8_t, 16> log_id{};
  std::uint64_t segment_number = 0;
  std::uint64_t first_sequence = 0;  // as in the segment's header
  std::uint64_t last_sequence = 0;   // of its last record; first_sequence - 1 where it has none
  std::uint64_t first_block_number = 0;
  std::uint64_t block_count = 0;  // the seal too
  std::array<std::uint8_t, 56> reserved{};
};
static_assert(sizeof(TreeFileHeader) == 128);

}  // namespace grace::ledger
