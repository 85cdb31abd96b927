#include "block_writer.h"

#include <array>
#include <cstring>

#include "assert.h"
#include "grace/ledger/crc32c.h"

namespace grace::ledger::internal {

void close_block(ChainState& chain, const OpenBlock& open, const Hash& records_hash,
                 std::int64_t wall_time_ns, std::span<std::byte> block) {
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
  if (chain.integrity == Integrity::kSha256) header.records_hash = records_hash;
  header.header_crc = block_header_crc(header, chain.log_id);

  const std::uint64_t records_end = sizeof(BlockHeader) + open.records_bytes;
  const std::uint64_t footer_at = block.size() - sizeof(BlockFooter);
  BlockFooter footer;
  footer.block_crc =
      crc32c_extend(open.crc_of_crcs, std::as_bytes(std::span<const BlockHeader, 1>(&header, 1)));
  footer.last_sequence = header.first_sequence + header.record_count - 1;
  footer.block_bytes = block.size();
  footer.chain = chain_value(chain.integrity, footer.block_crc, header);
  footer.footer_crc = footer_crc(footer);
  std::memcpy(block.data(), &header, sizeof(header));
  std::memset(block.data() + records_end, 0, footer_at - records_end);
  std::memcpy(block.data() + footer_at, &footer, sizeof(footer));

  advance_chain(chain, header, footer.chain);
}

void write_seal_block(ChainState& chain, std::int64_t wall_time_ns, std::span<std::byte> out) {
  OpenBlock open;
  open.flags = kBlockSeals;
  open.promised_sequence = chain.promised_sequence;
  close_block(chain, open, sha256({}), wall_time_ns, out);
}

// Three records at a time: a CRC waits for its own result three cycles at each step, in which two
// others have room.
void seal_records(std::span<std::byte> records, std::uint32_t& crc_of_crcs) {
  constexpr std::size_t kAtOnce = 3;
  std::array<std::uint64_t, kAtOnce> places{};
  std::array<std::span<const std::byte>, kAtOnce> covered;
  std::size_t gathered = 0;
  const auto flush = [&] {
    const std::array<std::uint32_t, kAtOnce> crcs = crc32c_of_three(covered);
    for (std::size_t i = 0; i < gathered; ++i) {
      std::memcpy(records.data() + places[i], &crcs[i], sizeof(crcs[i]));
    }
    crc_of_crcs = crc32c_extend(crc_of_crcs, std::as_bytes(std::span(crcs).first(gathered)));
    covered = {};
    gathered = 0;
  };
  for (std::uint64_t at = 0; at < records.size();) {
    const std::uint32_t length = load<RecordHeader>(records, at).length;
    places[gathered] = at;
    covered[gathered] =
        records.subspan(at, sizeof(RecordHeader) + length).subspan(sizeof(RecordHeader::crc));
    at += record_footprint_bytes(length);
    if (++gathered == kAtOnce) flush();
  }
  if (gathered > 0) flush();
}

}  // namespace grace::ledger::internal
