#include "block_writer.h"

#include <atomic>
#include <cstring>

#include "assert.h"
#include "grace/ledger/crc32c.h"

namespace grace::ledger::internal {

void close_block(ChainState& chain, const OpenBlock& open, std::int64_t wall_time_ns,
                 std::span<std::byte> block, Sha256& hasher) {
  GRACE_LEDGER_ASSERT(block.size() == block_footprint_bytes(open.records_bytes), "%zu %lu",
                      block.size(), static_cast<unsigned long>(open.records_bytes));
  GRACE_LEDGER_ASSERT(open.promised_sequence >= chain.promised_sequence &&
                      open.promised_sequence < chain.next_sequence);
  BlockHeader header;
  header.flags = open.flags;
  header.block_number = chain.next_block_number;
  header.first_sequence = chain.next_sequence;
  header.record_count = open.record_count;
  header.records_bytes = static_cast<std::uint32_t>(open.records_bytes);
  header.block_bytes = block.size();
  header.wall_time_ns = wall_time_ns;
  header.promised_sequence = open.promised_sequence;
  header.previous_hash = chain.root;
  if (chain.integrity == Integrity::kSha256) {
    header.records_hash =
        records_hash(open.flags, block.subspan(sizeof(BlockHeader), open.records_bytes), hasher);
  }
  header.header_crc = block_header_crc(header, chain.log_id);

  const std::uint64_t footer_at = block.size() - sizeof(BlockFooter);
  BlockFooter footer;
  footer.block_crc =
      crc32c_extend(open.crc_of_crcs, std::as_bytes(std::span<const BlockHeader, 1>(&header, 1)));
  footer.last_sequence = header.first_sequence + header.record_count - 1;
  footer.block_bytes = block.size();
  footer.chain = chain_value(chain.integrity, footer.block_crc, header);
  footer.footer_crc = footer_crc(footer);
  std::memcpy(block.data() + footer_at, &footer, sizeof(footer));
  std::memcpy(block.data() + sizeof(header.magic),
              reinterpret_cast<const std::byte*>(&header) + sizeof(header.magic),
              sizeof(header) - sizeof(header.magic));
  // [BLOCK] release: everything of the block is in the mapping before its magic. Pairs with the
  // reader's second read, after it has seen the magic (SegmentScanner::read_block_header).
  std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(block.data()))
      .store(header.magic, std::memory_order_release);

  advance_chain(chain, header, footer.chain);
}

void write_seal_block(ChainState& chain, std::int64_t wall_time_ns, std::span<std::byte> out) {
  Sha256 hasher;
  OpenBlock open;
  open.flags = kBlockSeals;
  open.promised_sequence = chain.promised_sequence;
  close_block(chain, open, wall_time_ns, out, hasher);
}

}  // namespace grace::ledger::internal
