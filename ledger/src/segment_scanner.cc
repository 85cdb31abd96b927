#include "segment_scanner.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "directory.h"

namespace grace::ledger::internal {

SegmentScanner::SegmentScanner(std::unique_ptr<ByteSource> source, bool check_hashes)
    : source_(std::move(source)), buffer_(kFirstBlockOffset) {
  if (check_hashes) hasher_.emplace();
}

Result<std::unique_ptr<SegmentScanner>> SegmentScanner::open(const std::string& directory,
                                                             std::uint64_t number,
                                                             bool check_hashes) {
  auto source = open_segment(directory, number);
  if (!source) return tl::unexpected<Error>(source.error());
  auto scanner = std::make_unique<SegmentScanner>(std::move(*source), check_hashes);
  scanner->directory_ = directory;
  scanner->number_ = number;
  scanner->look_again();
  return scanner;
}

// One intact copy of the next header is enough to say it.
void SegmentScanner::look_again() {
  if (directory_.empty()) return;
  struct stat info {};
  if (::stat(segment_path(directory_, number_).c_str(), &info) == 0) {
    replaced_ = source_->identity() != 0 && source_->identity() != info.st_ino;
  }
  auto next = open_segment(directory_, number_ + 1);
  if (!next) return;
  SegmentScanner scanner(std::move(*next), /*check_hashes=*/false);
  const auto header = scanner.read_header();
  if (header && header->segment_number == number_ + 1) fail_over_end_ = header->previous_end;
}

SegmentScanner::Step SegmentScanner::invalid(Fault fault) {
  fault_ = std::move(fault);
  return Step::kInvalid;
}

SegmentScanner::Step SegmentScanner::io(Error error) {
  // Only what was durable is ever compressed, so this is no torn tail.
  if (error.code == ErrorCode::kCorrupt) {
    return invalid({error.offset, std::move(error.message), true});
  }
  error_ = std::move(error);
  return Step::kIo;
}

Result<SegmentHeader> SegmentScanner::read_header() {
  const std::span<std::byte> both = std::span(buffer_).first(kFirstBlockOffset);
  std::fill(both.begin(), both.end(), std::byte{0});
  const auto got = source_->read(0, both);
  if (!got) {
    header_misplaced_ = got.error().code == ErrorCode::kCorrupt;
    return tl::unexpected<Error>(got.error());
  }
  SegmentStart first;
  SegmentStart second;
  auto first_fault = check_segment_header(both.first(kSegmentHeaderBytes), first);
  auto second_fault = check_segment_header(both.last(kSegmentHeaderBytes), second);
  if (second_fault) second_fault->offset += kSegmentHeaderBytes;
  // What was not read is zero in the buffer, which may be what belongs there.
  if (*got < kSegmentHeaderBytes) first_fault = {*got, "file ends inside its first header", false};
  if (*got < both.size()) second_fault = {*got, "file ends inside its second header", false};
  // An intact copy that is wrong counts more than a sound one beside it: they would differ.
  const bool second_is_worse =
      second_fault && second_fault->misplaced && !(first_fault && first_fault->misplaced);
  const std::optional<Fault>& worst = first_fault && !second_is_worse ? first_fault : second_fault;
  header_misplaced_ = worst && worst->misplaced;
  if (header_misplaced_ || (first_fault && second_fault)) {
    const std::uint64_t field = worst->offset % kSegmentHeaderBytes;
    const bool newer = header_misplaced_ && (field == 12 || field == 112);
    return make_error(newer ? ErrorCode::kUnsupported : ErrorCode::kCorrupt, worst->reason, 0, 0,
                      worst->offset);
  }
  if (!first_fault && !second_fault &&
      std::memcmp(both.data(), both.data() + kSegmentHeaderBytes, kSegmentHeaderBytes) != 0) {
    header_misplaced_ = true;
    return make_error(ErrorCode::kCorrupt, "the two copies of a segment header differ");
  }
  header_fault_ = first_fault ? first_fault : second_fault;
  start_ = first_fault ? second : first;
  return start_.header;
}

SegmentScanner::Step SegmentScanner::read_block_header(const ChainState& chain) {
  if (ended()) return Step::kEnd;
  ++headers_read_;
  const auto size = source_->size();
  if (!size) return io(size.error());
  const std::uint64_t end = fail_over_end_ > 0 ? std::min(*size, fail_over_end_) : *size;
  if (end <= offset_) return Step::kEnd;
  const std::uint64_t left = end - offset_;
  const std::span<std::byte> bytes = std::span(buffer_).first(sizeof(BlockHeader));
  std::fill(bytes.begin(), bytes.end(), std::byte{0});
  const auto got = source_->read(offset_, bytes);
  if (!got) return io(got.error());
  // The writer stores the magic last: without it there is no block yet, whatever else is there.
  if (load<std::uint64_t>(bytes) == 0) return Step::kEnd;
  // Read again: what the first read saw beside the magic may be older than the magic.
  const auto again = source_->read(offset_, bytes);
  if (!again) return io(again.error());
  header_ = load<BlockHeader>(bytes);
  if (auto found = check_block_header(header_, chain, left)) {
    found->offset += offset_;
    return invalid(std::move(*found));
  }
  return Step::kBlock;
}

SegmentScanner::Step SegmentScanner::next(ChainState& chain) {
  if (const Step step = read_block_header(chain); step != Step::kBlock) return step;
  // At most kBlockBytesMax, and not beyond the file: check_block_header() saw to it.
  if (buffer_.size() < header_.block_bytes) buffer_.resize(header_.block_bytes);
  const std::span<std::byte> bytes = std::span(buffer_).first(header_.block_bytes);
  const auto got = source_->read(offset_, bytes);
  if (!got) return io(got.error());
  if (*got != bytes.size())
    return invalid({offset_, "file was cut short while it was read", false});
  if (std::memcmp(bytes.data(), &header_, sizeof(header_)) != 0) {
    return invalid({offset_, "block header changed while it was read", false});
  }
  if (auto found = check_block(bytes, chain, hasher_ ? &*hasher_ : nullptr)) {
    found->offset += offset_;
    return invalid(std::move(*found));
  }
  block_ = bytes;
  block_offset_ = offset_;
  offset_ += bytes.size();
  sealed_ = (header_.flags & kBlockSeals) != 0;
  advance_chain(chain, header_, load<BlockFooter>(bytes, bytes.size() - sizeof(BlockFooter)).chain);
  return Step::kBlock;
}

SegmentScanner::Step SegmentScanner::skip(ChainState& chain) {
  if (const Step step = read_block_header(chain); step != Step::kBlock) return step;
  const std::span<std::byte> bytes = std::span(buffer_).first(sizeof(BlockFooter));
  const std::uint64_t footer_at = offset_ + header_.block_bytes - sizeof(BlockFooter);
  const auto got = source_->read(footer_at, bytes);
  if (!got) return io(got.error());
  if (*got != bytes.size())
    return invalid({offset_, "file was cut short while it was read", false});
  const auto footer = load<BlockFooter>(bytes);
  if (footer.magic != kFooterMagic || footer.footer_crc != footer_crc(footer)) {
    return invalid({footer_at, "block footer CRC does not match", false});
  }
  if (chain.integrity == Integrity::kSha256 && footer.chain != block_leaf_hash(header_)) {
    return invalid({footer_at + 32, "chain value of a block does not match", false});
  }
  block_ = {};
  block_offset_ = offset_;
  offset_ += header_.block_bytes;
  sealed_ = (header_.flags & kBlockSeals) != 0;
  advance_chain(chain, header_, footer.chain);
  return Step::kBlock;
}

bool SegmentScanner::jump(ChainState& chain, std::uint64_t offset, std::uint64_t sequence) {
  if (offset < offset_ || offset % kBlockAlignment != 0) return false;
  const std::span<std::byte> bytes = std::span(buffer_).first(sizeof(BlockHeader));
  const auto got = source_->read(offset, bytes);
  if (!got || *got != bytes.size()) return false;
  const auto header = load<BlockHeader>(bytes);
  if (header.magic != kBlockMagic || !is_header_of_log(header, chain.log_id)) return false;
  // At most one block for each 4096 bytes that are passed over.
  const std::uint64_t blocks_max = (offset - offset_) / kBlockAlignment;
  if (header.first_sequence != sequence || sequence < chain.next_sequence ||
      header.block_number < chain.next_block_number ||
      header.block_number - chain.next_block_number > blocks_max ||
      header.promised_sequence < chain.promised_sequence) {
    return false;
  }
  chain.next_block_number = header.block_number;
  chain.next_sequence = header.first_sequence;
  chain.promised_sequence = header.promised_sequence;
  chain.root = header.previous_hash;
  offset_ = offset;
  return true;
}

bool is_stray(const SegmentScanner& segment, const Result<SegmentHeader>& header,
              std::uint64_t number, const LogId& log_id) {
  if (!header) return segment.header_misplaced();
  return header->segment_number != number || (log_id != LogId{} && header->log_id != log_id);
}

Result<TailReport> inspect_tail(ByteSource& source, std::uint64_t offset, const LogId& log_id,
                                std::uint64_t expected_sequence) {
  TailReport report;
  const bool id_known = log_id != LogId{};
  std::vector<std::byte> buffer(32 << 10);
  for (std::uint64_t at = offset;; at += buffer.size()) {
    const auto got = source.read(at, buffer);
    if (!got && got.error().code == ErrorCode::kCorrupt) {
      // Only what was durable is ever compressed. Whatever the rest is, it was promised.
      report.promised = true;
      return report;
    }
    if (!got) return tl::unexpected<Error>(got.error());
    const std::span<const std::byte> bytes(buffer.data(), *got);
    if (bytes.empty()) return report;
    if (!all_zero(bytes)) {
      std::uint64_t used = bytes.size();
      while (bytes[used - 1] == std::byte{0}) --used;
      report.used_bytes = at + used - offset;
      for (std::uint64_t page = 0; page + sizeof(BlockHeader) <= bytes.size();
           page += kBlockAlignment) {
        const auto header = load<BlockHeader>(bytes, page);
        if (header.magic == kBlockMagic && (!id_known || is_header_of_log(header, log_id)) &&
            header.promised_sequence >= expected_sequence) {
          report.promised = true;
        }
      }
    }
    if (bytes.size() < buffer.size()) return report;
  }
}

}  // namespace grace::ledger::internal
