#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "assert.h"
#include "grace/ledger/format.h"
#include "grace/ledger/merkle_tree.h"

namespace grace::ledger::internal {

using LogId = std::array<std::uint8_t, 16>;

// What the next block of a log must continue.
struct ChainState {
  LogId log_id{};
  Integrity integrity = Integrity::kSha256;
  std::uint64_t next_block_number = 0;
  std::uint64_t next_sequence = 1;
  std::uint64_t promised_sequence = 0;
  Hash root{};      // chain value of the last block
  Frontier blocks;  // the tree over all blocks so far; stays empty with kCrc32c
};

// Why bytes are not what they must be, and how far into them.
struct Fault {
  std::uint64_t offset = 0;
  std::string reason;
  // An intact header that is out of place: no interrupted write leaves that behind.
  bool misplaced = false;
};

[[nodiscard]] Hash genesis_root(const LogId& log_id, Integrity integrity);

// What a segment's first 4096 bytes say.
struct SegmentStart {
  SegmentHeader header;
  Frontier blocks;  // empty with kCrc32c
};

// The state before a segment's first block, as its header claims it.
[[nodiscard]] ChainState chain_at(const SegmentStart& start);

// One copy of a segment header: exactly 4096 bytes.
[[nodiscard]] std::optional<Fault> check_segment_header(std::span<const std::byte> bytes,
                                                        SegmentStart& out);
void write_segment_header(const SegmentStart& start, std::span<std::byte> out);

[[nodiscard]] std::uint32_t block_header_crc(BlockHeader header, const LogId& log_id);
[[nodiscard]] std::uint32_t footer_crc(BlockFooter footer);
[[nodiscard]] std::uint32_t record_crc(const RecordHeader& header,
                                       std::span<const std::byte> payload);
// BlockHeader::records_hash of intact records, with kSha256.
[[nodiscard]] Hash records_hash(std::uint32_t flags, std::span<const std::byte> records,
                                Sha256& hasher);
// Of two blocks, side by side where the processor can do that.
struct RecordsOfBlock {
  std::uint32_t flags = 0;
  std::span<const std::byte> bytes;
};
[[nodiscard]] std::array<Hash, 2> records_hash_of_two(const RecordsOfBlock& first,
                                                      const RecordsOfBlock& second, Sha256& hasher);
// The leaf of a block in the log's tree.
[[nodiscard]] Hash block_leaf_hash(const BlockHeader& header);
// What the footer holds and the next header repeats.
[[nodiscard]] Hash chain_value(Integrity integrity, std::uint32_t block_crc,
                               const BlockHeader& header);

// A header that is intact and of this log, whatever it continues.
[[nodiscard]] bool is_header_of_log(const BlockHeader& header, const LogId& log_id);

// Everything a header must satisfy by itself and to continue `chain`. `bytes_max`: room from the
// header to the end of the file.
[[nodiscard]] std::optional<Fault> check_block_header(const BlockHeader& header,
                                                      const ChainState& chain,
                                                      std::uint64_t bytes_max);
// The whole block; its header has passed check_block_header() and `block` is as long as it says.
[[nodiscard]] std::optional<Fault> check_block(std::span<const std::byte> block,
                                               const ChainState& chain, Sha256* hasher);
// Steps the chain over a block that passed check_block(); `value`: its chain value.
void advance_chain(ChainState& chain, const BlockHeader& header, const Hash& value);

template <typename T>
[[nodiscard]] T load(std::span<const std::byte> bytes, std::uint64_t offset = 0) {
  GRACE_LEDGER_ASSERT(offset <= bytes.size() && bytes.size() - offset >= sizeof(T));
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}
[[nodiscard]] bool all_zero(std::span<const std::byte> bytes);

}  // namespace grace::ledger::internal
