#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "assert.h"
#include "grace/ledger/format.h"

namespace grace::ledger::internal {

using LogId = std::array<std::uint8_t, 16>;

// What the next block of a log must continue.
struct ChainState {
  LogId log_id{};
  Integrity integrity = Integrity::kSha256;
  std::uint64_t next_block_number = 0;
  std::uint64_t next_sequence = 1;
  std::uint64_t promised_sequence = 0;
  Hash root{};
};

// Why bytes are not what they must be, and how far into them.
struct Fault {
  std::uint64_t offset = 0;
  std::string reason;
  // An intact header that is out of place: no interrupted write leaves that behind.
  bool misplaced = false;
};

[[nodiscard]] Hash genesis_root(const LogId& log_id, Integrity integrity);

// The state before a segment's first block, as its header claims it.
[[nodiscard]] ChainState chain_at(const SegmentHeader& header);

// One copy of a segment header: exactly 4096 bytes.
[[nodiscard]] std::optional<Fault> check_segment_header(std::span<const std::byte> bytes,
                                                        SegmentHeader& out);
void write_segment_header(SegmentHeader header, std::span<std::byte> out);

[[nodiscard]] std::uint32_t block_header_crc(BlockHeader header, const LogId& log_id);
[[nodiscard]] std::uint32_t footer_crc(BlockFooter footer);
[[nodiscard]] std::uint32_t record_crc(const RecordHeader& header,
                                       std::span<const std::byte> payload);
// `hasher` may be null where integrity is kCrc32c.
[[nodiscard]] Hash chain_value(Integrity integrity, std::uint32_t block_crc,
                               std::span<const std::byte> before_footer, Sha256* hasher);

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
// Steps the chain over a block that passed check_block().
void advance_chain(ChainState& chain, std::span<const std::byte> block);

template <typename T>
[[nodiscard]] T load(std::span<const std::byte> bytes, std::uint64_t offset = 0) {
  GRACE_LEDGER_ASSERT(offset <= bytes.size() && bytes.size() - offset >= sizeof(T));
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}
[[nodiscard]] bool all_zero(std::span<const std::byte> bytes);

}  // namespace grace::ledger::internal
