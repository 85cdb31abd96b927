#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "block.h"
#include "grace/ledger/log_config.h"

namespace grace::ledger::internal {

[[nodiscard]] inline std::int64_t wall_clock_ns(const LogConfig& config) {
  if (config.wall_clock_ns != nullptr) return config.wall_clock_ns();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The block without records that ends a segment, kSealBlockBytes of `out`; the chain moves over it.
void write_seal_block(ChainState& chain, std::int64_t wall_time_ns, std::span<std::byte> out);

// Completes a block whose records are in place at block + sizeof(BlockHeader), zeros what lies
// between them and the footer, and moves the chain over it. `crc_of_crcs`: CRC-32C of each record's
// crc field in order. `records_hash`: of the records, with kSha256.
struct OpenBlock {
  std::uint32_t flags = 0;
  std::uint32_t record_count = 0;
  std::uint64_t records_bytes = 0;
  std::uint32_t crc_of_crcs = 0;
  std::uint64_t promised_sequence = 0;
};
void close_block(ChainState& chain, const OpenBlock& open, const Hash& records_hash,
                 std::int64_t wall_time_ns, std::span<std::byte> block);

// Puts the CRC into each record of `records`, whose other bytes are in place, and extends
// `crc_of_crcs` by them.
void seal_records(std::span<std::byte> records, std::uint32_t& crc_of_crcs);

}  // namespace grace::ledger::internal
