#include <algorithm>

#include "carried_key_changes.h"
#include "directory.h"
#include "grace/ledger/reader.h"
#include "hash_aside.h"
#include "segment_scanner.h"
#include "tree_check.h"

namespace grace::ledger {
namespace {

using internal::ChainState;
using internal::Fault;
using internal::MemorySource;
using internal::SegmentScanner;
using internal::TailReport;
using Step = SegmentScanner::Step;
using Visit = std::function<void(const RecordView&)>;

void add_fault(VerifyReport& report, VerifyFault fault) {
  ++report.fault_count;
  if (!report.first_fault) report.first_fault = std::move(fault);
}

void visit_records(const SegmentScanner& segment, std::uint64_t number, const Visit& visit) {
  std::uint64_t at = sizeof(BlockHeader);
  for (std::uint32_t index = 0; index < segment.header().record_count; ++index) {
    const auto header = internal::load<RecordHeader>(segment.block(), at);
    RecordView record;
    record.sequence = header.sequence;
    record.type = header.type;
    record.payload = segment.block().subspan(at + sizeof(RecordHeader), header.length);
    record.block_time_ns = segment.header().wall_time_ns;
    record.segment = number;
    record.offset = segment.block_offset() + at;
    visit(record);
    at += record_footprint_bytes(header.length);
  }
}

// True: a key change is among its records.
bool count_block(const SegmentScanner& segment, VerifyReport& report) {
  const BlockHeader& header = segment.header();
  report.blocks += 1;
  report.records += header.record_count;
  report.bytes += header.block_bytes;
  std::uint64_t at = sizeof(BlockHeader);
  bool changes_key = false;
  for (std::uint32_t index = 0; index < header.record_count; ++index) {
    const auto record = internal::load<RecordHeader>(segment.block(), at);
    report.payload_bytes += record.length;
    at += record_footprint_bytes(record.length);
    changes_key = changes_key || record.type == RecordType::kKeyChange;
  }
  return changes_key;
}

bool begins_log(const ChainState& chain) {
  return chain.next_sequence == 1 && chain.next_block_number == 0 &&
         chain.root == internal::genesis_root(chain.log_id, chain.integrity);
}

// The walk over a directory. What it finds goes into the report; an error is a failed system call.
class Verification {
 public:
  // `aside`: hashes the blocks' records elsewhere; its word is the caller's to ask for. Null: they
  // are hashed here.
  Verification(const std::string& directory, const VerifyProgress& progress,
               internal::HashAside* aside)
      : directory_(directory), progress_(progress), aside_(aside), trees_(directory) {}

  Result<VerifyReport> run();

 private:
  void enter(const SegmentScanner& segment, const SegmentHeader& header, std::uint64_t number);
  Result<bool> verify_segment(std::size_t index);
  void check_key_changes(const SegmentScanner& segment, std::uint64_t number,
                         const Frontier& before);
  Result<void> begin_tree(std::uint64_t number);
  void check_hash(SegmentScanner& segment, std::uint64_t number);
  Result<bool> pass_gap(std::size_t index);
  Result<bool> end_of_valid(std::size_t index, SegmentScanner& segment, std::uint64_t offset,
                            Fault fault);
  Result<bool> judge(std::uint64_t number, std::uint64_t offset, Fault fault, TailReport rest,
                     std::size_t later);
  Result<TailReport> inspect_later(std::size_t from);
  // Whether it is one of the oldest, and retention took it while we read.
  [[nodiscard]] bool was_removed(std::uint64_t number) const {
    const auto now = internal::list_segments(directory_);
    return now && !now->empty() && now->front() > number;
  }
  void fault_at(std::uint64_t segment, std::uint64_t offset, std::string reason) {
    add_fault(report_,
              {ErrorCode::kCorrupt, segment, offset, chain_.next_sequence, std::move(reason)});
  }
  bool report_progress() {
    stopped_ = progress_ && !progress_(report_.bytes, bytes_total_);
    return !stopped_;
  }

  const std::string& directory_;
  const VerifyProgress& progress_;
  internal::HashAside* const aside_;
  internal::TreeCheck trees_;
  std::vector<std::uint64_t> numbers_;
  std::uint64_t bytes_total_ = 0;
  VerifyReport report_;
  ChainState chain_;
  bool linked_ = false;  // the chain reaches the next segment unbroken
  bool stopped_ = false;
};

Result<VerifyReport> Verification::run() {
  auto listed = internal::segments_of_log(directory_);
  if (!listed) return tl::unexpected<Error>(listed.error());
  numbers_ = std::move(*listed);
  // Asked before reading: a writer that ends meanwhile leaves more behind, not less.
  report_.writer_active = internal::is_locked(directory_);
  for (const std::uint64_t number : numbers_) {
    const auto source = internal::open_segment(directory_, number);
    const auto size = source ? (*source)->size() : Result<std::uint64_t>(0);
    bytes_total_ += size.value_or(0);
  }
  report_.first_segment = numbers_.front();
  bool is_torn = false;
  for (std::size_t index = 0; index < numbers_.size() && !stopped_ && !is_torn; ++index) {
    auto go_on = pass_gap(index);
    if (go_on && *go_on) {
      const std::uint64_t records = report_.records;
      const std::uint64_t bytes = report_.bytes;
      go_on = verify_segment(index);
      if (report_.integrity == Integrity::kCrc32c) {
        trees_.count(report_.hashing, numbers_[index], report_.records - records,
                     report_.bytes - bytes, chain_.next_sequence);
      }
    }
    if (!go_on) return tl::unexpected<Error>(go_on.error());
    is_torn = !*go_on;
  }
  if (report_.integrity == Integrity::kCrc32c && !stopped_) {
    auto cut = trees_.end_log(numbers_.back(), is_torn);
    if (cut) fault_at(numbers_.back(), 0, std::move(*cut));
  }
  const bool torn = report_.torn_tail_bytes > 0 && !report_.writer_active;
  report_.ok = report_.fault_count == 0 && !torn && !stopped_;
  report_.last_sequence = chain_.next_sequence - 1;
  report_.root_hex = to_hex(chain_.root);
  return std::move(report_);
}

// A segment whose header is right by itself: is it the one that belongs here?
void Verification::enter(const SegmentScanner& segment, const SegmentHeader& header,
                         std::uint64_t number) {
  const ChainState claimed = segment.chain();
  if (!linked_) chain_ = claimed;  // faults below name the record expected
  if (segment.header_fault()) {
    fault_at(number, segment.header_fault()->offset,
             segment.header_fault()->reason + " (the other copy is intact)");
  }
  if (report_.segments == 0) {
    report_.log_id_hex = to_hex(claimed.log_id);
    report_.integrity = claimed.integrity;
    report_.first_sequence = claimed.next_sequence;
  }
  if (header.segment_number != number) {
    fault_at(number, 32, "the file's name and its header's number differ");
  } else if (number == 1 && !begins_log(claimed)) {
    fault_at(number, 40, "the first segment does not begin its log");
  } else if (linked_ && (claimed.log_id != chain_.log_id || claimed.root != chain_.root ||
                         claimed.integrity != chain_.integrity ||
                         claimed.next_sequence != chain_.next_sequence ||
                         claimed.next_block_number != chain_.next_block_number ||
                         claimed.blocks != chain_.blocks ||
                         claimed.promised_sequence < chain_.promised_sequence)) {
    fault_at(number, 0, "segment does not follow the one before");
  }
  chain_ = claimed;
  linked_ = true;
}

// True: the walk may go on with the next segment.
Result<bool> Verification::verify_segment(std::size_t index) {
  const std::uint64_t number = numbers_[index];
  auto opened = SegmentScanner::open(directory_, number, /*check_hashes=*/aside_ == nullptr);
  if (!opened && internal::is_absent(opened.error()) && was_removed(number)) {
    if (report_.first_segment == number) report_.first_segment = number + 1;
    linked_ = false;
    return true;
  }
  if (!opened) return tl::unexpected<Error>(opened.error());
  SegmentScanner& segment = **opened;
  report_.sealed = false;
  const auto header = segment.read_header();
  if (!header && header.error().code == ErrorCode::kIo) {
    return tl::unexpected<Error>(header.error());
  }
  if (!header) {
    return end_of_valid(
        index, segment, 0,
        {header.error().offset, header.error().message, segment.header_misplaced()});
  }
  enter(segment, *header, number);
  if (report_.segments == 0) {
    auto carried =
        internal::read_carried_key_changes(directory_, chain_.log_id, chain_.next_sequence);
    if (!carried && carried.error().code == ErrorCode::kIo) {
      return tl::unexpected<Error>(carried.error());
    }
    if (!carried) fault_at(number, 0, carried.error().message);
    if (carried) report_.key_changes = std::move(*carried);
  }
  report_.segments += 1;
  report_.bytes += kFirstBlockOffset;
  if (auto begun = begin_tree(number); !begun) return tl::unexpected<Error>(begun.error());
  Step step = Step::kBlock;
  Frontier before = chain_.blocks;
  while ((step = segment.next(chain_)) == Step::kBlock) {
    if (count_block(segment, report_)) check_key_changes(segment, number, before);
    before = chain_.blocks;
    check_hash(segment, number);
    if (!report_progress()) return false;
  }
  if (step == Step::kIo) return tl::unexpected<Error>(segment.error());
  const auto tree_fault = trees_.end_segment(segment.ended(), chain_.next_sequence);
  if (tree_fault) fault_at(number, segment.offset(), *tree_fault);
  if (step == Step::kInvalid) {
    return end_of_valid(index, segment, segment.offset(), segment.fault());
  }
  if (!segment.ended()) {
    return end_of_valid(index, segment, segment.offset(),
                        {segment.offset(), "no block and no seal begins here", false});
  }
  if (!segment.sealed()) {  // what lies behind its end was given up and may be anything
    report_.fail_overs += 1;
    return true;
  }
  report_.sealed = true;
  const auto tail = internal::inspect_tail(segment.source(), segment.offset(), chain_.log_id,
                                           chain_.next_sequence);
  if (!tail) return tl::unexpected<Error>(tail.error());
  if (tail->used_bytes > 0) fault_at(number, segment.offset(), "bytes after the segment's seal");
  return true;
}

// `before`: the tree over the blocks before the one that was read last.
void Verification::check_key_changes(const SegmentScanner& segment, std::uint64_t number,
                                     const Frontier& before) {
  std::uint64_t at = sizeof(BlockHeader);
  for (std::uint32_t index = 0; index < segment.header().record_count; ++index) {
    const auto header = internal::load<RecordHeader>(segment.block(), at);
    const std::uint64_t offset = segment.block_offset() + at;
    const auto payload = segment.block().subspan(at + sizeof(RecordHeader), header.length);
    at += record_footprint_bytes(header.length);
    if (header.type != RecordType::kKeyChange) continue;
    auto change = open_key_change({reinterpret_cast<const char*>(payload.data()), payload.size()});
    auto& changes = report_.key_changes;
    Result<void> checked;
    if (!change) checked = tl::unexpected<Error>(change.error());
    if (change) {
      const RecordedKeyChange found{std::move(*change), header.sequence};
      checked = check_key_change(found, chain_.log_id, changes.empty() ? nullptr : &changes.back(),
                                 report_.first_sequence == 1);
      const bool fits =
          chain_.integrity == Integrity::kCrc32c
              ? trees_.fits(found)
              : found.change.tree_size == before.size() && found.change.root == before.root();
      if (checked && !fits) {
        checked = make_error(ErrorCode::kCorrupt, "key change: it was made for another tree");
      }
      if (checked) changes.push_back(found);
    }
    if (checked) continue;
    add_fault(report_,
              {ErrorCode::kCorrupt, number, offset, header.sequence, checked.error().message});
  }
}

Result<void> Verification::begin_tree(std::uint64_t number) {
  auto faults = trees_.begin_segment(number, chain_);
  if (!faults) return tl::unexpected<Error>(faults.error());
  for (std::string& reason : *faults) fault_at(number, 0, std::move(reason));
  return {};
}

// The hash of a block's records, where it has one: in its header, which the scanner has checked
// unless that is done aside, or in the segment's tree file.
void Verification::check_hash(SegmentScanner& segment, std::uint64_t number) {
  std::optional<Hash> expected;
  if (chain_.integrity == Integrity::kSha256) {
    if (aside_ == nullptr) return;
    expected = segment.header().records_hash;
  } else {
    if (!trees_.wants_blocks()) return;
    expected = trees_.expected_hash();
  }
  if (expected && aside_ != nullptr) {
    segment.give_buffer(aside_->add(segment.take_buffer(), *expected));
  } else {
    const auto records =
        segment.block().subspan(sizeof(BlockHeader), segment.header().records_bytes);
    const Hash computed = sha256(records);
    if (!expected) expected = computed;
    if (computed != *expected) {
      add_fault(report_, {ErrorCode::kCorrupt, number, segment.block_offset(),
                          segment.header().first_sequence,
                          "the block's records are not those that were hashed into the tree file"});
    }
  }
  if (chain_.integrity == Integrity::kCrc32c) trees_.add_block(segment.header(), *expected);
}

// True: no segment is missing before this one, or it is known that one was lost.
Result<bool> Verification::pass_gap(std::size_t index) {
  if (index == 0 || numbers_[index] == numbers_[index - 1] + 1) return true;
  return judge(numbers_[index - 1] + 1, 0, {0, "segment is missing", !linked_}, {}, index);
}

// No valid block begins at `offset`, and there was no seal.
Result<bool> Verification::end_of_valid(std::size_t index, SegmentScanner& segment,
                                        std::uint64_t offset, Fault fault) {
  auto tail = internal::inspect_tail(segment.source(), offset, chain_.log_id, chain_.next_sequence);
  if (!tail) return tl::unexpected<Error>(tail.error());
  // A fail-over keeps what was durable, and the header behind it says how far that went.
  tail->promised = tail->promised || segment.fail_over_end() > offset;
  return judge(numbers_[index], offset, std::move(fault), *tail, index + 1);
}

// Whether a place is the log's end, corruption or a torn tail. `rest`: what lies behind it in its
// segment; `later`: index of the segment after. True: the walk may go on there.
Result<bool> Verification::judge(std::uint64_t number, std::uint64_t offset, Fault fault,
                                 TailReport rest, std::size_t later) {
  bool corrupt = fault.misplaced || rest.promised;
  TailReport behind;
  if (!corrupt) {
    const auto inspected = inspect_later(later);
    if (!inspected) return tl::unexpected<Error>(inspected.error());
    behind = *inspected;
    corrupt = behind.promised;  // or no writer left it so
  }
  if (corrupt) {
    std::string reason = std::move(fault.reason);
    if (rest.promised && later == numbers_.size()) {
      reason += " (and later blocks say it was durable)";
    }
    fault_at(number, fault.offset, std::move(reason));
    linked_ = false;
    return true;
  }
  report_.torn_tail_bytes = rest.used_bytes + behind.used_bytes;
  if (report_.torn_tail_bytes > 0) {
    report_.torn_tail_segment = number;
    report_.torn_tail_offset = offset;
  }
  return false;
}

// All segments from an index on, as one tail; no further than to the first that is corruption.
Result<TailReport> Verification::inspect_later(std::size_t from) {
  TailReport all;
  for (std::size_t at = from; at < numbers_.size() && !all.promised; ++at) {
    auto source = internal::open_segment(directory_, numbers_[at]);
    if (!source) return tl::unexpected<Error>(source.error());
    SegmentScanner segment(std::move(*source), /*check_hashes=*/false);
    const auto header = segment.read_header();
    const auto tail =
        internal::inspect_tail(segment.source(), 0, chain_.log_id, chain_.next_sequence);
    if (!tail) return tl::unexpected<Error>(tail.error());
    all.used_bytes += tail->used_bytes;
    all.promised = tail->promised || is_stray(segment, header, numbers_[at], chain_.log_id) ||
                   (header && header->promised_sequence >= chain_.next_sequence);
  }
  return all;
}

}  // namespace

Result<VerifyReport> verify(const std::string& directory, const VerifyProgress& progress) {
  {
    internal::HashAside aside;
    auto report = Verification(directory, progress, &aside).run();
    if (!report || aside.finish()) return report;
  }
  // Some block is not what it says. What that means hangs on its place: once more, in order.
  return Verification(directory, progress, nullptr).run();
}

VerifyReport verify_segment_bytes(std::span<const std::byte> file, const Visit& visit) {
  VerifyReport report;
  SegmentScanner segment(std::make_unique<MemorySource>(file), /*check_hashes=*/true);
  const auto header = segment.read_header();
  if (!header) {
    add_fault(report, {header.error().code, 0, header.error().offset, 0, header.error().message});
    return report;
  }
  const std::uint64_t number = header->segment_number;
  if (segment.header_fault()) {
    add_fault(report, {ErrorCode::kCorrupt, number, segment.header_fault()->offset, 0,
                       segment.header_fault()->reason});
  }
  ChainState chain = segment.chain();
  report.segments = 1;
  report.first_segment = number;
  report.first_sequence = chain.next_sequence;
  report.log_id_hex = to_hex(chain.log_id);
  report.integrity = chain.integrity;
  report.bytes = kFirstBlockOffset;
  Step step = Step::kBlock;
  while ((step = segment.next(chain)) == Step::kBlock) {
    (void)count_block(segment, report);
    if (visit) visit_records(segment, number, visit);
  }
  report.sealed = segment.sealed();
  report.last_sequence = chain.next_sequence - 1;
  report.root_hex = to_hex(chain.root);
  // Memory does not fail: the tail is always there.
  const TailReport tail =
      internal::inspect_tail(segment.source(), segment.offset(), chain.log_id, chain.next_sequence)
          .value_or(TailReport{});
  if (step == Step::kInvalid && (tail.promised || segment.fault().misplaced)) {
    add_fault(report, {ErrorCode::kCorrupt, number, segment.fault().offset, chain.next_sequence,
                       segment.fault().reason});
  } else if (tail.promised || (report.sealed && tail.used_bytes > 0)) {
    add_fault(report, {ErrorCode::kCorrupt, number, segment.offset(), chain.next_sequence,
                       report.sealed ? "bytes after the segment's seal"
                                     : "a block that had been made durable is gone"});
  } else if (tail.used_bytes > 0) {
    report.torn_tail_bytes = tail.used_bytes;
    report.torn_tail_segment = number;
    report.torn_tail_offset = segment.offset();
  }
  report.ok = report.fault_count == 0 && report.torn_tail_bytes == 0;
  return report;
}

namespace {

Result<LogStats> look_at(const std::string& directory) {
  const auto numbers = internal::segments_of_log(directory);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  LogStats stats;
  stats.segments = numbers->size();
  stats.first_segment = numbers->front();
  stats.last_segment = numbers->back();
  stats.writer_active = internal::is_locked(directory);
  std::uint64_t first_block = 0;
  std::uint64_t last_end = 0;
  for (const std::uint64_t number : *numbers) {
    auto bytes = internal::file_bytes(internal::segment_path(directory, number));
    if (!bytes) {
      bytes = internal::file_bytes(internal::compressed_path(directory, number));
      stats.compressed_segments += bytes ? 1 : 0;
    }
    stats.file_bytes += bytes.value_or(0);
    const bool first = number == stats.first_segment;
    const bool last = number == stats.last_segment;
    if (!first && !last) continue;
    auto source = internal::open_segment(directory, number);
    if (!source) return tl::unexpected<Error>(source.error());
    SegmentScanner segment(std::move(*source), /*check_hashes=*/false);
    const auto header = segment.read_header();
    if (!header) return tl::unexpected<Error>(header.error());
    ChainState chain = segment.chain();
    if (first) {
      stats.first_sequence = chain.next_sequence;
      first_block = chain.next_block_number;
      stats.log_id_hex = to_hex(chain.log_id);
      stats.integrity = chain.integrity;
    }
    if (!last) continue;
    while (segment.skip(chain) == Step::kBlock) {
      stats.last_block_time_ns = segment.header().wall_time_ns;
    }
    last_end = segment.offset();
    stats.last_sequence = chain.next_sequence - 1;
    stats.records = chain.next_sequence - stats.first_sequence;
    stats.blocks = chain.next_block_number - first_block;
  }
  if (stats.integrity == Integrity::kCrc32c) {
    const auto hashing = internal::look_at_hashing(directory, *numbers, last_end, stats);
    if (!hashing) return tl::unexpected<Error>(hashing.error());
    stats.hashing = *hashing;
  }
  return stats;
}

}  // namespace

Result<LogStats> log_stats(const std::string& directory) {
  auto stats = look_at(directory);
  // Beside a writer the oldest segment may go between two looks.
  for (int attempt = 1; attempt < 3 && !stats && internal::is_absent(stats.error()); ++attempt) {
    stats = look_at(directory);
  }
  return stats;
}

}  // namespace grace::ledger
