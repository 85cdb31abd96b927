#include "block.h"

#include <cstring>

#include "assert.h"
#include "grace/ledger/crc32c.h"
#include "sha256_two.h"

namespace grace::ledger::internal {
namespace {

template <typename T>
std::span<const std::byte, sizeof(T)> bytes_of(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

Fault fault(std::uint64_t offset, const char* reason) {
  return Fault{offset, reason, false};
}
Fault misplaced(std::uint64_t offset, const char* reason) {
  return Fault{offset, reason, true};
}

// Walks the records. Reads only inside `records`, whatever the lengths in it say.
std::optional<Fault> check_records(std::span<const std::byte> records, const BlockHeader& header,
                                   std::uint32_t& crc_of_crcs) {
  std::uint64_t at = 0;
  for (std::uint32_t index = 0; index < header.record_count; ++index) {
    const std::uint64_t place = sizeof(BlockHeader) + at;
    if (records.size() - at < sizeof(RecordHeader)) return fault(place, "record leaves its block");
    const auto record = load<RecordHeader>(records, at);
    const std::uint64_t footprint = record_footprint_bytes(record.length);
    if (footprint > records.size() - at) return fault(place, "record leaves its block");
    const auto payload = records.subspan(at + sizeof(RecordHeader), record.length);
    if (record_crc(record, payload) != record.crc) return fault(place, "record CRC does not match");
    if (record.sequence != header.first_sequence + index) {
      return fault(place, "record sequence is out of order");
    }
    if (record.flags != 0 || record.reserved != 0) return fault(place, "record flags are unknown");
    const std::uint64_t used = sizeof(RecordHeader) + record.length;
    if (!all_zero(records.subspan(at + used, footprint - used))) {
      return fault(place + used, "padding after a record is not zero");
    }
    crc_of_crcs = crc32c_extend(crc_of_crcs, bytes_of(record.crc));
    at += footprint;
  }
  if (at != records.size()) {
    return fault(sizeof(BlockHeader) + at, "records are shorter than their block says");
  }
  return std::nullopt;
}

}  // namespace

bool all_zero(std::span<const std::byte> bytes) {
  // Comparing the bytes with themselves moved by one lets memcmp do the work.
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Hash genesis_root(const LogId& log_id, Integrity integrity) {
  std::string seed = "grace ledger genesis";
  seed.append(reinterpret_cast<const char*>(log_id.data()), log_id.size());
  const auto bytes = std::as_bytes(std::span(seed.data(), seed.size()));
  if (integrity == Integrity::kSha256) return sha256(bytes);
  const std::uint32_t crc = crc32c(bytes);
  Hash root{};
  std::memcpy(root.data(), &crc, sizeof(crc));
  return root;
}

ChainState chain_at(const SegmentStart& start) {
  const SegmentHeader& header = start.header;
  return ChainState{header.log_id,         header.integrity,         header.first_block_number,
                    header.first_sequence, header.promised_sequence, header.previous_root,
                    start.blocks};
}

namespace {

// The tree over earlier blocks, behind the header's fields. Checks that all the rest is zero.
std::optional<Fault> read_frontier(std::span<const std::byte> bytes, SegmentStart& out) {
  const bool sha = out.header.integrity == Integrity::kSha256;
  const std::uint64_t count =
      sha ? static_cast<std::uint64_t>(std::popcount(out.header.first_block_number)) : 0;
  const std::uint64_t used = count * sizeof(Hash);
  if (!all_zero(bytes.subspan(sizeof(SegmentHeader), kFrontierOffset - sizeof(SegmentHeader))) ||
      !all_zero(bytes.subspan(kFrontierOffset + used))) {
    return misplaced(sizeof(SegmentHeader), "reserved bytes of a segment header are not zero");
  }
  if (!sha) return std::nullopt;
  std::array<Hash, 64> hashes;
  std::memcpy(hashes.data(), bytes.data() + kFrontierOffset, used);
  auto blocks =
      Frontier::from(out.header.first_block_number, std::span<const Hash>(hashes).first(count));
  if (!blocks) {
    return misplaced(kFrontierOffset, "tree of earlier blocks does not fit their number");
  }
  out.blocks = *blocks;
  return std::nullopt;
}

}  // namespace

std::optional<Fault> check_segment_header(std::span<const std::byte> bytes, SegmentStart& out) {
  GRACE_LEDGER_ASSERT(bytes.size() == kSegmentHeaderBytes, "%zu", bytes.size());
  const auto header = load<SegmentHeader>(bytes);
  if (header.magic != kSegmentMagic) return fault(0, "segment header has no magic");
  SegmentHeader unsealed = header;
  unsealed.header_crc = 0;
  std::uint32_t crc = crc32c(bytes_of(unsealed));
  crc = crc32c_extend(crc, bytes.subspan(sizeof(SegmentHeader)));
  if (crc != header.header_crc) return fault(8, "segment header CRC does not match");
  if (header.version != kFormatVersion) return misplaced(12, "format version is unknown");
  if ((header.features & ~kFeaturesKnown) != 0) {
    return misplaced(112, "a feature of this log is unknown");
  }
  if (header.log_id == LogId{}) return misplaced(16, "the log's id is zero");
  const bool sha = header.integrity == Integrity::kSha256;
  if (!sha && header.integrity != Integrity::kCrc32c) return misplaced(56, "integrity is unknown");
  if (header.first_block_offset != kFirstBlockOffset) {
    return misplaced(60, "first block is elsewhere");
  }
  if (header.segment_number == 0 || header.first_sequence == 0 ||
      header.promised_sequence >= header.first_sequence) {
    return misplaced(32, "segment header's numbers contradict each other");
  }
  const bool fails_over = (header.features & kFeatureFailOver) != 0;
  const bool has_end =
      header.previous_end > kFirstBlockOffset && header.previous_end % kBlockAlignment == 0;
  if (fails_over ? !has_end || header.segment_number == 1 : header.previous_end != 0) {
    return misplaced(120, "the end of the segment before is impossible");
  }
  if (header.reserved != 0) {
    return misplaced(116, "reserved bytes of a segment header are not zero");
  }
  out.header = header;
  return read_frontier(bytes, out);
}

void write_segment_header(const SegmentStart& start, std::span<std::byte> out) {
  GRACE_LEDGER_ASSERT(out.size() == kSegmentHeaderBytes, "%zu", out.size());
  std::memset(out.data(), 0, out.size());
  SegmentHeader header = start.header;
  header.header_crc = 0;
  std::memcpy(out.data(), &header, sizeof(header));
  const std::span<const Hash> hashes = start.blocks.hashes();
  std::memcpy(out.data() + kFrontierOffset, hashes.data(), hashes.size_bytes());
  header.header_crc = crc32c(out);
  std::memcpy(out.data(), &header, sizeof(header));
}

std::uint32_t block_header_crc(BlockHeader header, const LogId& log_id) {
  header.header_crc = 0;
  return crc32c_extend(crc32c(std::as_bytes(std::span(log_id))), bytes_of(header));
}

std::uint32_t footer_crc(BlockFooter footer) {
  footer.footer_crc = 0;
  return crc32c(bytes_of(footer));
}

std::uint32_t record_crc(const RecordHeader& header, std::span<const std::byte> payload) {
  return crc32c_extend(crc32c(bytes_of(header).subspan<4>()), payload);
}

Hash records_hash(std::uint32_t flags, std::span<const std::byte> records, Sha256& hasher) {
  if ((flags & kBlockRecordTree) == 0) {
    hasher.update(records);
    return hasher.finish();
  }
  Frontier tree;
  for (std::uint64_t at = 0; at < records.size();) {
    const std::uint32_t length = load<RecordHeader>(records, at).length;
    tree.push(merkle_leaf_hash(records.subspan(at, sizeof(RecordHeader) + length)));
    at += record_footprint_bytes(length);
  }
  return tree.root();
}

std::array<Hash, 2> records_hash_of_two(const RecordsOfBlock& first, const RecordsOfBlock& second,
                                        Sha256& hasher) {
  if (((first.flags | second.flags) & kBlockRecordTree) == 0) {
    return sha256_of_two(first.bytes, second.bytes);
  }
  return {records_hash(first.flags, first.bytes, hasher),
          records_hash(second.flags, second.bytes, hasher)};
}

Hash block_leaf_hash(const BlockHeader& header) {
  return merkle_leaf_hash(bytes_of(header));
}

Hash chain_value(Integrity integrity, std::uint32_t block_crc, const BlockHeader& header) {
  if (integrity == Integrity::kSha256) return block_leaf_hash(header);
  Hash value{};
  std::memcpy(value.data(), &block_crc, sizeof(block_crc));
  return value;
}

bool is_header_of_log(const BlockHeader& header, const LogId& log_id) {
  return header.magic == kBlockMagic && header.header_crc == block_header_crc(header, log_id);
}

std::optional<Fault> check_block_header(const BlockHeader& header, const ChainState& chain,
                                        std::uint64_t bytes_max) {
  if (header.magic != kBlockMagic) return fault(0, "block header has no magic");
  if (header.header_crc != block_header_crc(header, chain.log_id)) {
    return fault(8, "block header CRC does not match");
  }
  const bool sha = chain.integrity == Integrity::kSha256;
  if ((header.flags & ~(kBlockSeals | (sha ? kBlockRecordTree : 0))) != 0) {
    return misplaced(12, "block flags are unknown");
  }
  if (header.block_number != chain.next_block_number) {
    return misplaced(16, "block number is out of order");
  }
  if (header.first_sequence != chain.next_sequence) {
    return misplaced(24, "first sequence of a block is out of order");
  }
  if (header.records_bytes % kRecordAlignment != 0 ||
      header.records_bytes / sizeof(RecordHeader) < header.record_count ||
      (header.record_count == 0) != (header.records_bytes == 0)) {
    return misplaced(32, "record count and bytes contradict each other");
  }
  if (header.record_count == 0 && (header.flags & kBlockSeals) == 0) {
    return misplaced(32, "a block without records does not seal its segment");
  }
  if (header.block_bytes != block_footprint_bytes(header.records_bytes) ||
      header.block_bytes > kBlockBytesMax) {
    return misplaced(40, "block length is not what its records need");
  }
  if (header.promised_sequence < chain.promised_sequence ||
      header.promised_sequence >= header.first_sequence) {
    return misplaced(56, "promised sequence is out of order");
  }
  if (header.previous_hash != chain.root)
    return misplaced(64, "block does not follow the one before");
  if (!sha && header.records_hash != Hash{}) return misplaced(96, "records hash is not zero");
  // Last: a header that contradicts the chain is no interrupted write, however much follows it.
  if (header.block_bytes > bytes_max) return fault(40, "block leaves the file");
  return std::nullopt;
}

std::optional<Fault> check_block(std::span<const std::byte> block, const ChainState& chain,
                                 Sha256* hasher) {
  const auto header = load<BlockHeader>(block);
  GRACE_LEDGER_ASSERT(block.size() == header.block_bytes, "%zu bytes", block.size());
  std::uint32_t crc_of_crcs = 0;
  const auto records = block.subspan(sizeof(BlockHeader), header.records_bytes);
  if (auto found = check_records(records, header, crc_of_crcs)) return found;
  const std::uint64_t records_end = sizeof(BlockHeader) + header.records_bytes;
  const std::uint64_t footer_at = block.size() - sizeof(BlockFooter);
  if (!all_zero(block.subspan(records_end, footer_at - records_end))) {
    return fault(records_end, "padding at the end of a block is not zero");
  }
  const auto footer = load<BlockFooter>(block, footer_at);
  if (footer.magic != kFooterMagic) return fault(footer_at, "block footer has no magic");
  if (footer.footer_crc != footer_crc(footer)) {
    return fault(footer_at + 12, "block footer CRC does not match");
  }
  const std::uint32_t block_crc = crc32c_extend(crc_of_crcs, bytes_of(header));
  if (footer.block_crc != block_crc) return fault(footer_at + 8, "block CRC does not match");
  if (footer.block_bytes != header.block_bytes ||
      footer.last_sequence != header.first_sequence + header.record_count - 1) {
    return fault(footer_at + 16, "block footer contradicts its header");
  }
  if (footer.chain != chain_value(chain.integrity, block_crc, header)) {
    return fault(footer_at + 32, "chain value of a block does not match");
  }
  if (chain.integrity == Integrity::kSha256 && hasher != nullptr &&
      header.records_hash != records_hash(header.flags, records, *hasher)) {
    return fault(96, "hash of a block's records does not match");
  }
  return std::nullopt;
}

void advance_chain(ChainState& chain, const BlockHeader& header, const Hash& value) {
  chain.next_block_number = header.block_number + 1;
  chain.next_sequence = header.first_sequence + header.record_count;
  chain.promised_sequence = header.promised_sequence;
  chain.root = value;
  if (chain.integrity == Integrity::kSha256) chain.blocks.push(chain.root);
}

}  // namespace grace::ledger::internal
