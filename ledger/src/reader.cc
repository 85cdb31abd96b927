#include "grace/ledger/reader.h"

#include <optional>

#include "directory.h"
#include "segment_index.h"
#include "segment_scanner.h"

namespace grace::ledger {
namespace {

using internal::ChainState;
using internal::IndexEntry;
using internal::is_absent;
using internal::located;
using internal::SegmentScanner;
using Step = SegmentScanner::Step;

}  // namespace

struct Reader::State {
  std::string directory;
  ReaderOptions options;
  std::unique_ptr<SegmentScanner> segment;
  std::uint64_t number = 0;
  ChainState chain;
  // The records of the current block that are still to be given.
  std::uint64_t record_at = 0;
  std::uint32_t records_left = 0;
  // After a fail-over: blocks up to this one are in the new segment again, and have been given.
  std::optional<ChainState> given;
  std::uint64_t tail_checked_at = 0;  // offset + 1 behind which the tail was found empty
  bool stuck = false;                 // corrupt: stays there
  Error error;

  Result<void> enter(std::uint64_t segment_number);
  Result<void> seek();
  ReadStatus corrupt(std::uint64_t offset, std::string reason);
  ReadStatus io(Error found);
  // Makes the next block that has records current. kRecord: there is one.
  ReadStatus next_block();
  ReadStatus at_end();
  [[nodiscard]] bool is_repeated();
  ReadStatus enter_anew();
  ReadStatus failed(Error found);
  ReadStatus go_on();
};

ReadStatus Reader::State::corrupt(std::uint64_t offset, std::string reason) {
  stuck = true;
  error =
      located(Error{ErrorCode::kCorrupt, std::move(reason), 0, number, offset}, directory, number);
  return ReadStatus::kCorrupt;
}

ReadStatus Reader::State::io(Error found) {
  error = std::move(found);
  return ReadStatus::kIo;
}

Result<void> Reader::State::enter(std::uint64_t segment_number) {
  auto opened = SegmentScanner::open(directory, segment_number, options.check_hashes);
  if (!opened) return tl::unexpected<Error>(opened.error());
  const auto header = (*opened)->read_header();
  if (!header) {
    return tl::unexpected<Error>(located(header.error(), directory, segment_number));
  }
  const ChainState claimed = (*opened)->chain();
  // What has been read of a segment that was given up stands in the next one again.
  const bool repeats = segment != nullptr && claimed.log_id == chain.log_id &&
                       claimed.next_block_number < chain.next_block_number &&
                       (header->previous_end > 0 || segment->replaced());
  const bool follows =
      segment == nullptr || repeats ||
      (claimed.log_id == chain.log_id && claimed.root == chain.root &&
       claimed.integrity == chain.integrity && claimed.next_sequence == chain.next_sequence &&
       claimed.next_block_number == chain.next_block_number);
  if (header->segment_number != segment_number || !follows) {
    return tl::unexpected<Error>(located(
        Error{ErrorCode::kCorrupt, "segment does not follow the one before", 0, segment_number, 0},
        directory, segment_number));
  }
  if (repeats && !given) given = chain;
  segment = std::move(*opened);
  number = segment_number;
  chain = claimed;
  tail_checked_at = 0;
  return {};
}

// Goes to the last segment that begins at or before the wanted sequence, in it as far as its index
// knows; next() passes over the records in between.
Result<void> Reader::State::seek() {
  const auto numbers = internal::segments_of_log(directory);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  std::size_t low = 0;
  std::size_t high = numbers->size();
  while (options.from_sequence > 1 && high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    auto opened = SegmentScanner::open(directory, (*numbers)[middle], false);
    if (!opened) return tl::unexpected<Error>(opened.error());
    const auto header = (*opened)->read_header();
    if (!header) {
      return tl::unexpected<Error>(located(header.error(), directory, (*numbers)[middle]));
    }
    (header->first_sequence <= options.from_sequence ? low : high) = middle;
  }
  if (auto entered = enter((*numbers)[low]); !entered) return entered;
  if (options.from_sequence > chain.next_sequence) {
    internal::pass_by_index(*segment, chain, directory, number, [&](const IndexEntry& entry) {
      return entry.first_sequence <= options.from_sequence;
    });
  }
  return {};
}

// Its segment was given up and begun anew under the same number.
ReadStatus Reader::State::enter_anew() {
  if (auto entered = enter(number); !entered) return failed(entered.error());
  return next_block();
}

ReadStatus Reader::State::failed(Error found) {
  error = std::move(found);
  stuck = error.code == ErrorCode::kCorrupt;
  return stuck ? ReadStatus::kCorrupt : ReadStatus::kIo;
}

ReadStatus Reader::State::go_on() {
  // Also a sealed one may have been given up, as long as it was not durable; what follows then
  // follows the new one.
  segment->look_again();
  if (segment->replaced()) return enter_anew();
  auto entered = enter(number + 1);
  if (!entered && entered.error().code == ErrorCode::kCorrupt) {
    segment->look_again();
    if (segment->replaced()) return enter_anew();
  }
  if (!entered && is_absent(entered.error())) {
    // Nobody has begun it yet: but a later one means that it was taken away, unless the writer has
    // begun several since the first look.
    const auto numbers = internal::list_segments(directory);
    if (!numbers || numbers->empty() || numbers->back() <= number + 1) return ReadStatus::kEnd;
    if (numbers->front() > number + 1) {
      return io({ErrorCode::kNotFound,
                 "retention has removed what comes next: " + directory + " begins with segment " +
                     std::to_string(numbers->front()),
                 0, number + 1, 0});
    }
    entered = enter(number + 1);
    if (!entered && is_absent(entered.error())) {
      return corrupt(segment->offset(), "the segment after this one is missing");
    }
  }
  return entered ? next_block() : failed(entered.error());
}

// The block that was just read has been given before the segment it was in was given up.
bool Reader::State::is_repeated() {
  if (!given) return false;
  if (chain.next_block_number < given->next_block_number) return true;
  if (chain.root != given->root) {
    (void)corrupt(segment->block_offset(), "a block differs from the one it was written anew from");
  }
  given.reset();
  return true;
}

// No valid block begins here. The end of the log, or damage?
ReadStatus Reader::State::at_end() {
  const std::uint64_t offset = segment->offset();
  segment->look_again();
  if (segment->ended()) return go_on();
  if (segment->replaced()) return enter_anew();
  const bool last = !internal::segment_exists(directory, number + 1);
  if (!last) {
    // A segment is sealed before the next begins: look again, then it is damage.
    const Step step = segment->next(chain);
    if (step == Step::kBlock) {
      if (is_repeated()) return stuck ? ReadStatus::kCorrupt : next_block();
      record_at = sizeof(BlockHeader);
      records_left = segment->header().record_count;
      return records_left > 0 ? ReadStatus::kRecord : next_block();
    }
    return corrupt(offset, step == Step::kInvalid ? segment->fault().reason
                                                  : "segment has no seal, yet another follows");
  }
  if (!options.check_tail || tail_checked_at == offset + 1) return ReadStatus::kEnd;
  const auto tail =
      internal::inspect_tail(segment->source(), offset, chain.log_id, chain.next_sequence);
  if (!tail) return io(tail.error());
  if (tail->promised) return corrupt(offset, "a block that had been made durable is gone");
  tail_checked_at = offset + 1;
  return ReadStatus::kEnd;
}

ReadStatus Reader::State::next_block() {
  for (;;) {
    if (segment->ended()) return go_on();
    const Step step = segment->next(chain);
    if (step == Step::kIo) return io(segment->error());
    if (step == Step::kInvalid && segment->fault().misplaced) {
      return corrupt(segment->fault().offset, segment->fault().reason);
    }
    if (step != Step::kBlock) return at_end();
    if (is_repeated()) {
      if (stuck) return ReadStatus::kCorrupt;
      continue;
    }
    record_at = sizeof(BlockHeader);
    records_left = segment->header().record_count;
    if (records_left > 0) return ReadStatus::kRecord;
  }
}

Result<Reader> Reader::open(const std::string& directory, ReaderOptions options) {
  auto state = std::make_unique<State>();
  state->directory = directory;
  state->options = options;
  auto found = state->seek();
  // Beside a writer the oldest segment may go between the listing and the look at it.
  for (int attempt = 1; attempt < 3 && !found && is_absent(found.error()); ++attempt) {
    found = state->seek();
  }
  if (!found) return tl::unexpected<Error>(found.error());
  return Reader(std::move(state));
}

Reader::Reader(std::unique_ptr<State> state) : state_(std::move(state)) {}
Reader::~Reader() = default;
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;

ReadStatus Reader::next(RecordView& record) {
  State& state = *state_;
  for (;;) {
    if (state.stuck) return ReadStatus::kCorrupt;
    if (state.records_left == 0) {
      const ReadStatus status = state.next_block();
      if (status != ReadStatus::kRecord) return status;
    }
    const auto block = state.segment->block();
    const auto header = internal::load<RecordHeader>(block, state.record_at);
    record.sequence = header.sequence;
    record.type = header.type;
    record.payload = block.subspan(state.record_at + sizeof(RecordHeader), header.length);
    record.block_time_ns = state.segment->header().wall_time_ns;
    record.segment = state.number;
    record.offset = state.segment->block_offset() + state.record_at;
    state.record_at += record_footprint_bytes(header.length);
    --state.records_left;
    if (record.sequence >= state.options.from_sequence) return ReadStatus::kRecord;
  }
}

const Error& Reader::error() const {
  return state_->error;
}
std::string Reader::log_id_hex() const {
  return to_hex(state_->chain.log_id);
}
Integrity Reader::integrity() const {
  return state_->chain.integrity;
}

}  // namespace grace::ledger
