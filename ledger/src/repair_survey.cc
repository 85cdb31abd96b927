#include "repair_survey.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "directory.h"
#include "grace/ledger/checkpoint.h"
#include "log_surgery.h"
#include "segment_scanner.h"
#include "tree_file.h"

namespace grace::ledger::internal {
namespace {

using Step = SegmentScanner::Step;
using Visit = std::function<void(const RecordView&)>;

bool begins_log(const ChainState& chain) {
  return chain.next_sequence == 1 && chain.next_block_number == 0 &&
         chain.root == genesis_root(chain.log_id, chain.integrity);
}

class Surveyor {
 public:
  Surveyor(const std::string& directory, const Visit& visit)
      : directory_(directory), visit_(visit) {}
  Result<Survey> run();

 private:
  void read_checkpoint();
  void compare_with_checkpoint();
  void judge_checkpoint();
  // True: the walk goes on with the next segment.
  Result<bool> walk_segment(std::size_t index);
  // Index of the first segment that a cut leaves otherwise than it is. Behind a seal a new one
  // begins.
  [[nodiscard]] std::size_t first_changed() const {
    return out_.kept - (out_.kept > 0 && !out_.sealed ? 1 : 0);
  }
  [[nodiscard]] Result<void> refuse_compressed() const;
  void move_side_files();
  Result<bool> walk_blocks(std::size_t index, SegmentScanner& segment);
  Result<void> end_at(std::size_t index, std::uint64_t offset, std::string reason, bool misplaced);
  Result<void> look_behind(std::size_t index, std::uint64_t offset);
  Result<void> scan_blocks(ByteSource& source, std::uint64_t from, std::uint64_t until,
                           std::uint64_t number);
  Result<bool> read_block(ByteSource& source, std::uint64_t at, std::uint64_t until,
                          std::uint64_t number, const BlockHeader& header);
  void visit_records(std::uint64_t number, std::uint64_t at, const BlockHeader& header);
  void set_cut(std::uint64_t segment, std::uint64_t offset, std::string reason);

  const std::string& directory_;
  const Visit& visit_;
  Survey out_;
  bool begun_ = false;
  std::uint64_t first_sequence_ = 1;
  std::vector<std::byte> block_;
  Sha256 hasher_;
  // The checkpoint file: nothing where it is absent.
  std::optional<Result<Checkpoint>> checkpoint_;
  std::optional<bool> root_matches_;  // once the walk has come to its size
};

void Surveyor::read_checkpoint() {
  std::ifstream file(checkpoint_path(directory_), std::ios::binary);
  if (!file.good()) return;
  std::string note(kNoteBytesMax + 1, '\0');
  file.read(note.data(), static_cast<std::streamsize>(note.size()));
  note.resize(static_cast<std::size_t>(file.gcount()));
  // Who signed it is the writer's matter: here it is what it says that counts.
  const std::size_t end = note.find("\n\n");
  checkpoint_ = end == std::string::npos
                    ? make_error(ErrorCode::kCorrupt, "it is no signed note")
                    : parse_checkpoint(std::string_view(note).substr(0, end + 1));
}

void Surveyor::compare_with_checkpoint() {
  if (!checkpoint_ || !*checkpoint_) return;
  if (out_.chain.blocks.size() != (*checkpoint_)->tree_size) return;
  root_matches_ = out_.chain.blocks.root() == (*checkpoint_)->root;
}

void Surveyor::judge_checkpoint() {
  RepairPlan& plan = out_.plan;
  if (!checkpoint_) return;
  plan.checkpoint = HeldCheckpoint::kBroken;
  if (!*checkpoint_) {
    plan.checkpoint_says = "it cannot be read: " + checkpoint_->error().message;
    return;
  }
  const Checkpoint& held = **checkpoint_;
  plan.checkpoint_says = "it speaks of " + std::to_string(held.tree_size) +
                         " blocks, up to record " + std::to_string(held.sequence);
  if (held.log_id != LogId{} && held.log_id != out_.chain.log_id) {
    plan.checkpoint_says += ", of another log";
  } else if (held.tree_size > plan.kept_blocks) {
    plan.checkpoint_says += ", and " + std::to_string(plan.kept_blocks) + " are there";
    if (plan.cut) {
      plan.checkpoint_says += " before the damage";
      plan.checkpoint = HeldCheckpoint::kWouldBreak;
    }
  } else if (root_matches_ == false) {
    plan.checkpoint_says += ", and the first of them are others";
  } else {
    plan.checkpoint = root_matches_ ? HeldCheckpoint::kHolds : HeldCheckpoint::kNone;
  }
}

void Surveyor::set_cut(std::uint64_t segment, std::uint64_t offset, std::string reason) {
  RepairLoss& loss = out_.plan.cut.emplace();
  loss.place = {segment, offset};
  loss.reason = std::move(reason);
  loss.first_sequence = out_.chain.next_sequence;
  loss.promised_sequence = out_.chain.promised_sequence;
}

Result<Survey> Surveyor::run() {
  auto listed = segments_of_log(directory_);
  if (!listed) return tl::unexpected<Error>(listed.error());
  out_.numbers = std::move(*listed);
  out_.plan.segments = out_.numbers.size();
  read_checkpoint();
  for (std::size_t index = 0; index < out_.numbers.size(); ++index) {
    auto go_on = walk_segment(index);
    if (!go_on) return tl::unexpected<Error>(go_on.error());
    if (!*go_on) break;
  }
  RepairPlan& plan = out_.plan;
  plan.log_id_hex = to_hex(out_.chain.log_id);
  plan.kept_blocks = out_.chain.next_block_number;
  plan.kept_last_sequence = out_.chain.next_sequence - 1;
  plan.kept_records = out_.chain.next_sequence - first_sequence_;
  if (out_.kept > 0) plan.end = {out_.numbers[out_.kept - 1], out_.end_offset};
  if (auto plain = refuse_compressed(); !plain) return tl::unexpected<Error>(plain.error());
  if (out_.kept > 0 && !out_.sealed) {
    auto source = FileSource::open(segment_path(directory_, plan.end.segment));
    if (!source) return tl::unexpected<Error>(source.error());
    const auto tail = inspect_tail(**source, plan.end.offset, {}, 0);
    if (!tail) return tl::unexpected<Error>(tail.error());
    out_.tail_bytes = tail->used_bytes;
  }
  for (std::size_t index = out_.kept; index < out_.numbers.size(); ++index) {
    const std::string path = stored_path(directory_, out_.numbers[index]);
    plan.moved.push_back(path.substr(path.rfind('/') + 1));
  }
  move_side_files();
  judge_checkpoint();
  return std::move(out_);
}

// What is to be cut or mended has to be a plain file.
Result<void> Surveyor::refuse_compressed() const {
  const RepairPlan& plan = out_.plan;
  if (!plan.cut && plan.headers.empty() && plan.after_seals.empty()) return {};
  for (std::size_t index = 0; index < out_.numbers.size(); ++index) {
    const std::uint64_t number = out_.numbers[index];
    bool touched = plan.cut && index >= first_changed() && index < out_.kept;
    for (const auto* faults : {&plan.headers, &plan.after_seals}) {
      for (const RepairFault& fault : *faults) touched = touched || fault.place.segment == number;
    }
    if (!touched || file_exists(segment_path(directory_, number))) continue;
    const std::string path = compressed_path(directory_, number);
    if (!file_exists(path)) continue;
    return make_error(ErrorCode::kUnsupported,
                      path +
                          " is compressed and would have to be changed: zstd -d --rm gives it "
                          "back as it was; where that fails, move it to quarantine/ by hand",
                      0, number);
  }
  return {};
}

// They would speak of segments that are no longer there, or no longer so long. The compressed form
// is such a file where the plain one, which counts, is still beside it.
void Surveyor::move_side_files() {
  if (!out_.plan.cut) return;
  for (std::size_t index = first_changed(); index < out_.numbers.size(); ++index) {
    const std::uint64_t number = out_.numbers[index];
    for (const std::string& path :
         {compressed_path(directory_, number), index_path(directory_, number),
          tree_path(directory_, number)}) {
      if (!file_exists(path) || path == stored_path(directory_, number)) continue;
      out_.plan.moved.push_back(path.substr(path.rfind('/') + 1));
    }
  }
}

Result<bool> Surveyor::walk_segment(std::size_t index) {
  const std::uint64_t number = out_.numbers[index];
  const auto stop = [&](std::uint64_t segment, std::string reason,
                        bool misplaced = true) -> Result<bool> {
    if (segment != number) {  // the gap before it
      set_cut(segment, 0, std::move(reason));
      if (auto seen = look_behind(index, 0); !seen) return tl::unexpected<Error>(seen.error());
      return false;
    }
    auto ended = end_at(index, 0, std::move(reason), misplaced);
    if (!ended) return tl::unexpected<Error>(ended.error());
    return false;
  };
  if (index > 0 && number != out_.numbers[index - 1] + 1) {
    return stop(out_.numbers[index - 1] + 1, "segment is missing");
  }
  auto opened = SegmentScanner::open(directory_, number, /*check_hashes=*/true);
  if (!opened) return tl::unexpected<Error>(opened.error());
  SegmentScanner& segment = **opened;
  const auto header = segment.read_header();
  if (!header && header.error().code != ErrorCode::kCorrupt) {
    return tl::unexpected<Error>(located(header.error(), directory_, number));
  }
  if (!header) return stop(number, header.error().message, segment.header_misplaced());
  const ChainState claimed = segment.chain();
  if (header->segment_number != number) {
    return stop(number, "the file's name and its header's number differ");
  }
  if (begun_ && !(continues(claimed, out_.chain) && claimed.integrity == out_.chain.integrity &&
                  claimed.promised_sequence >= out_.chain.promised_sequence)) {
    return stop(number, "segment does not follow the one before");
  }
  if (number == 1 && !begins_log(claimed)) {
    return stop(number, "the first segment does not begin its log");
  }
  if (const auto& fault = segment.header_fault()) {
    const std::uint64_t copy = fault->offset < kSegmentHeaderBytes ? 0 : kSegmentHeaderBytes;
    out_.plan.headers.push_back({{number, copy}, fault->reason + " (the other copy is intact)"});
  }
  if (!begun_) first_sequence_ = claimed.next_sequence;
  out_.chain = claimed;
  begun_ = true;
  compare_with_checkpoint();
  return walk_blocks(index, segment);
}

Result<bool> Surveyor::walk_blocks(std::size_t index, SegmentScanner& segment) {
  const std::uint64_t number = out_.numbers[index];
  Step step = Step::kBlock;
  while ((step = segment.next(out_.chain)) == Step::kBlock) compare_with_checkpoint();
  if (step == Step::kIo) {
    return tl::unexpected<Error>(located(segment.error(), directory_, number));
  }
  out_.kept = index + 1;
  out_.end_offset = segment.offset();
  out_.sealed = segment.sealed();
  if (!segment.ended()) {
    const bool invalid = step == Step::kInvalid;
    // Where the next segment says that this one goes on further, all up to there was durable.
    const bool misplaced = (invalid && segment.fault().misplaced) || segment.fail_over_end() > 0;
    auto ended =
        end_at(index, segment.offset(),
               invalid ? segment.fault().reason : "no block and no seal begins here", misplaced);
    if (!ended) return tl::unexpected<Error>(ended.error());
    return false;
  }
  if (!segment.sealed()) return true;  // what lies behind its end was given up: may be anything
  const auto tail =
      inspect_tail(segment.source(), segment.offset(), out_.chain.log_id, out_.chain.next_sequence);
  if (!tail) return tl::unexpected<Error>(located(tail.error(), directory_, number));
  if (tail->used_bytes > 0) {
    out_.plan.after_seals.push_back({{number, segment.offset()}, "bytes after the segment's seal"});
  }
  return true;
}

// The valid log ends here. Damage, a torn tail, or just the end?
Result<void> Surveyor::end_at(std::size_t index, std::uint64_t offset, std::string reason,
                              bool misplaced) {
  const auto behind = inspect_behind(directory_, out_.numbers, index, offset, out_.chain);
  if (!behind) return tl::unexpected<Error>(behind.error());
  out_.kept = index + (offset > 0 ? 1 : 0);
  const auto hashed = [&](std::uint64_t number) {
    return was_hashed(directory_, number, out_.chain.log_id);
  };
  const auto from = out_.numbers.begin() + static_cast<std::ptrdiff_t>(index);
  if (misplaced || behind->stray || behind->promised ||
      std::any_of(from, out_.numbers.end(), hashed)) {
    set_cut(out_.numbers[index], offset, std::move(reason));
    return look_behind(index, offset);
  }
  for (const std::uint64_t used : behind->used_bytes) out_.plan.torn_tail_bytes += used;
  return {};
}

// What the damage has cut off from the log: how much of it there was, and is still readable. What a
// fail-over gave up goes to quarantine with the rest, and was no part of the log.
Result<void> Surveyor::look_behind(std::size_t index, std::uint64_t offset) {
  RepairLoss& loss = *out_.plan.cut;
  for (std::size_t at = index; at < out_.numbers.size(); ++at) {
    const std::uint64_t number = out_.numbers[at];
    auto segment = SegmentScanner::open(directory_, number, /*check_hashes=*/false);
    if (!segment) return tl::unexpected<Error>(segment.error());
    const std::uint64_t from = at == index ? offset : 0;
    const auto header = (*segment)->read_header();
    const bool ours = header && (!begun_ || header->log_id == out_.chain.log_id);
    if (from == 0 && ours && header->first_sequence > 0) {
      loss.promised_sequence = std::max(loss.promised_sequence, header->promised_sequence);
      loss.last_sequence = std::max(loss.last_sequence, header->first_sequence - 1);
    }
    const auto size = (*segment)->source().size();
    if (!size) return tl::unexpected<Error>(size.error());
    loss.bytes += *size > from ? *size - from : 0;
    const std::uint64_t end = (*segment)->fail_over_end();
    const std::uint64_t until = end > 0 ? std::min(*size, end) : *size;
    if (auto seen = scan_blocks((*segment)->source(), from, until, number); !seen) return seen;
  }
  loss.last_sequence = std::max(loss.last_sequence, loss.promised_sequence);
  return {};
}

Result<void> Surveyor::scan_blocks(ByteSource& source, std::uint64_t from, std::uint64_t until,
                                   std::uint64_t number) {
  if (!begun_) return {};  // nothing says which log a block would be of
  RepairLoss& loss = *out_.plan.cut;
  std::vector<std::byte> page(sizeof(BlockHeader));
  for (std::uint64_t at = from; at < until;) {
    const auto got = source.read(at, page);
    if (!got && got.error().code != ErrorCode::kCorrupt) return tl::unexpected<Error>(got.error());
    // Of a compressed segment a part may be past reading, and what follows it not.
    const bool read = got && *got == page.size();
    const auto header = read ? load<BlockHeader>(page) : BlockHeader{0};
    std::uint64_t step = kBlockAlignment;
    if (header.magic == kBlockMagic && is_header_of_log(header, out_.chain.log_id)) {
      loss.promised_sequence = std::max(loss.promised_sequence, header.promised_sequence);
      if (header.first_sequence <=
          std::numeric_limits<std::uint64_t>::max() - header.record_count) {
        loss.last_sequence =
            std::max(loss.last_sequence, header.first_sequence + header.record_count - 1);
      }
      const auto sound = read_block(source, at, until, number, header);
      if (!sound) return tl::unexpected<Error>(sound.error());
      if (*sound) step = header.block_bytes;
    }
    at += step;
  }
  return {};
}

// Whether the block is right by itself; counts and shows its records if they are of the lost ones.
Result<bool> Surveyor::read_block(ByteSource& source, std::uint64_t at, std::uint64_t until,
                                  std::uint64_t number, const BlockHeader& header) {
  ChainState claimed;
  claimed.log_id = out_.chain.log_id;
  claimed.integrity = out_.chain.integrity;
  claimed.next_block_number = header.block_number;
  claimed.next_sequence = header.first_sequence;
  claimed.promised_sequence = header.promised_sequence;
  claimed.root = header.previous_hash;
  if (check_block_header(header, claimed, until - at)) return false;
  block_.resize(header.block_bytes);  // at most kBlockBytesMax, and not beyond the end
  const auto got = source.read(at, block_);
  if (!got && got.error().code != ErrorCode::kCorrupt) return tl::unexpected<Error>(got.error());
  if (!got || *got != block_.size() || check_block(block_, claimed, &hasher_)) return false;
  if (header.first_sequence < out_.chain.next_sequence) return true;  // a copy of what is kept
  out_.plan.cut->readable_blocks += 1;
  out_.plan.cut->readable_records += header.record_count;
  if (visit_) visit_records(number, at, header);
  return true;
}

void Surveyor::visit_records(std::uint64_t number, std::uint64_t at, const BlockHeader& header) {
  std::uint64_t place = sizeof(BlockHeader);
  for (std::uint32_t index = 0; index < header.record_count; ++index) {
    const auto head = load<RecordHeader>(block_, place);
    RecordView record;
    record.sequence = head.sequence;
    record.type = head.type;
    record.payload = std::span(block_).subspan(place + sizeof(RecordHeader), head.length);
    record.block_time_ns = header.wall_time_ns;
    record.segment = number;
    record.offset = at + place;
    visit_(record);
    place += record_footprint_bytes(head.length);
  }
}

}  // namespace

Result<Survey> survey_log(const std::string& directory, const Visit& visit) {
  return Surveyor(directory, visit).run();
}

}  // namespace grace::ledger::internal
