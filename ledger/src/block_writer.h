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

// The block without records that ends a segment. `out` holds kSealBlockBytes zeros; the chain moves
// over it.
void write_seal_block(ChainState& chain, std::int64_t wall_time_ns, std::span<std::byte> out);

// Completes a block whose records are in place at block + sizeof(BlockHeader), and moves the chain
// over it. The header's magic is stored last, with release order: a reader in another process sees
// either no block or all of it. `crc_of_crcs`: CRC-32C of each record's crc field in order.
struct OpenBlock {
  std::uint32_t flags = 0;
  std::uint32_t record_count = 0;
  std::uint64_t records_bytes = 0;
  std::uint32_t crc_of_crcs = 0;
  std::uint64_t promised_sequence = 0;
};
void close_block(ChainState& chain, const OpenBlock& open, std::int64_t wall_time_ns,
                 std::span<std::byte> block, Sha256& hasher);

}  // namespace grace::ledger::internal
