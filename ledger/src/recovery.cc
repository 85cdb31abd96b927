#include "recovery.h"

#include <sys/random.h>

#include <cerrno>
#include <memory>

#include "block_writer.h"
#include "directory.h"
#include "io_error.h"
#include "log_surgery.h"
#include "repair_intent.h"
#include "segment_scanner.h"
#include "tree_file.h"

namespace grace::ledger::internal {
namespace {

using Step = SegmentScanner::Step;

constexpr const char* kGapReason = "the segment before this one is missing";

// One log's recovery: the steps share the directory's listing and the chain.
class Recovery {
 public:
  explicit Recovery(const LogConfig& config) : config_(config), fs_(*config.file_system) {}

  Result<Recovered> run();

 private:
  Result<void> start_new_log();
  Result<std::size_t> first_to_read();
  [[nodiscard]] bool follows_gap(std::size_t index) const {
    return numbers_[index] != numbers_[index - 1] + 1;
  }
  Result<bool> is_promised(std::size_t index, bool& readable);
  Result<void> walk(std::size_t from);
  Result<void> end_at(std::size_t index, std::uint64_t offset, const std::string& reason);
  Result<void> save_and_cut(std::size_t index, std::uint64_t offset, std::uint64_t used_bytes);
  Result<void> remove_empty(std::size_t index);
  Result<void> mend_headers();
  Result<void> seal(std::size_t index, std::uint64_t offset);
  Result<std::unique_ptr<SegmentScanner>> scanner(std::size_t index);
  tl::unexpected<Error> located(Error error, std::size_t index) const;
  tl::unexpected<Error> corrupt(std::size_t index, std::uint64_t offset, std::string reason) const;
  Result<void> sync_walked();

  const LogConfig& config_;
  FileSystem& fs_;
  std::vector<std::uint64_t> numbers_;
  std::size_t walked_from_ = 0;
  // Where the segment before the one that is walked ends, if a fail-over ended it. Without the
  // segment behind it, it needs a seal.
  std::uint64_t unsealed_end_ = 0;
  struct DamagedHeader {
    std::size_t index;
    std::uint64_t first_sequence;
    std::uint64_t damaged_at;
  };
  std::vector<DamagedHeader> damaged_headers_;  // of which the other copy is intact
  Recovered out_;
};

tl::unexpected<Error> Recovery::located(Error error, std::size_t index) const {
  return tl::unexpected<Error>(
      internal::located(std::move(error), config_.directory, numbers_[index]));
}

tl::unexpected<Error> Recovery::corrupt(std::size_t index, std::uint64_t offset,
                                        std::string reason) const {
  return located(Error{ErrorCode::kCorrupt, std::move(reason), 0, 0, offset}, index);
}

// A killed writer leaves blocks in the page cache that it had not synced: what is kept becomes
// durable before the new writer reports it, or a seal promises it.
Result<void> Recovery::sync_walked() {
  if (config_.sync == SyncMode::kNone) return {};
  for (std::size_t index = walked_from_; index < numbers_.size(); ++index) {
    const std::string path = stored_path(config_.directory, numbers_[index]);
    if (auto synced = sync_whole(fs_, path); !synced) return synced;
  }
  const int synced = fs_.sync_directory(config_.directory);
  if (synced < 0) return make_io_error("sync directory", config_.directory, synced);
  return {};
}

Result<std::unique_ptr<SegmentScanner>> Recovery::scanner(std::size_t index) {
  return SegmentScanner::open(config_.directory, numbers_[index], /*check_hashes=*/true);
}

Result<void> Recovery::start_new_log() {
  LogId id{};
  if (::getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
    return make_io_error("draw a log id for", config_.directory, -errno);
  }
  out_.chain.log_id = id;
  out_.chain.integrity = config_.integrity;
  out_.chain.root = genesis_root(id, config_.integrity);
  out_.report.created = true;
  return {};
}

// Whether something in this segment promises a record of it, and with that all that came before:
// its header, and the seal of the segment before. That all earlier records are promised is not
// enough: their segment's seal may have been lost after them.
Result<bool> Recovery::is_promised(std::size_t index, bool& readable) {
  readable = false;
  auto segment = scanner(index);
  if (!segment) return tl::unexpected<Error>(segment.error());
  const auto header = (*segment)->read_header();
  if (!header && header.error().code != ErrorCode::kCorrupt) {
    return located(header.error(), index);
  }
  if (!header) return false;
  readable = true;
  if (header->integrity != config_.integrity) {
    return located(Error{ErrorCode::kInvalidArgument,
                         "the log was created with another integrity than is configured", 0, 0, 56},
                   index);
  }
  const auto tail =
      inspect_tail((*segment)->source(), kFirstBlockOffset, header->log_id, header->first_sequence);
  if (!tail) return tl::unexpected<Error>(tail.error());
  return tail->promised;
}

// The last segment before which everything is promised: whatever is wrong before it is no torn
// tail, and verify() finds it.
Result<std::size_t> Recovery::first_to_read() {
  for (std::size_t index = numbers_.size() - 1; index > 0; --index) {
    bool readable = false;
    const auto promised = is_promised(index, readable);
    if (!promised) return tl::unexpected<Error>(promised.error());
    if (readable && *promised) return index;
  }
  return std::size_t{0};
}

Result<void> Recovery::walk(std::size_t from) {
  bool begun = false;
  walked_from_ = from;
  for (std::size_t index = from; index < numbers_.size(); ++index) {
    // Two names that no sync covered: the second may have outlived the first.
    if (begun && follows_gap(index)) return end_at(index, 0, kGapReason);
    auto segment = scanner(index);
    if (!segment) return tl::unexpected<Error>(segment.error());
    const auto header = (*segment)->read_header();
    if (!header && header.error().code != ErrorCode::kCorrupt) {
      return located(header.error(), index);
    }
    if (!header && (*segment)->header_misplaced()) {
      return corrupt(index, header.error().offset, header.error().message);
    }
    if (!header) return end_at(index, 0, header.error().message);
    if (const auto& fault = (*segment)->header_fault()) {
      const bool first = fault->offset < kSegmentHeaderBytes;
      damaged_headers_.push_back({index, header->first_sequence, first ? 0 : kSegmentHeaderBytes});
    }
    if (header->segment_number != numbers_[index]) {
      return corrupt(index, 32, "the file's name and its header's number differ");
    }
    const ChainState claimed = (*segment)->chain();
    if (!begun) out_.chain = claimed;
    begun = true;
    if (header->integrity != config_.integrity) {
      return located(
          Error{ErrorCode::kInvalidArgument,
                "the log was created with another integrity than is configured", 0, 0, 56},
          index);
    }
    if (!continues(claimed, out_.chain)) {
      return corrupt(index, 0, "segment does not follow the one before");
    }
    Step step = Step::kBlock;
    while (step == Step::kBlock) step = (*segment)->next(out_.chain);
    if (step == Step::kIo) return located((*segment)->error(), index);
    if (step == Step::kInvalid && (*segment)->fault().misplaced) {
      return corrupt(index, (*segment)->fault().offset, (*segment)->fault().reason);
    }
    if (!(*segment)->ended() && (*segment)->fail_over_end() > 0) {
      return corrupt(index, (*segment)->offset(),
                     "the log ends here, yet the next segment goes on from further behind");
    }
    if (step == Step::kInvalid) {
      return end_at(index, (*segment)->offset(), (*segment)->fault().reason);
    }
    if (!(*segment)->ended()) return end_at(index, (*segment)->offset(), "segment has no seal");
    unsealed_end_ = (*segment)->sealed() ? 0 : (*segment)->offset();
    if (unsealed_end_ > 0) continue;  // what was given up may be anything
    // After a seal there is nothing but zeros.
    const auto tail = inspect_tail((*segment)->source(), (*segment)->offset(), out_.chain.log_id,
                                   out_.chain.next_sequence);
    if (!tail) return located(tail.error(), index);
    if (tail->used_bytes > 0) {
      return corrupt(index, (*segment)->offset(), "bytes after the segment's seal");
    }
  }
  return mend_headers();
}

// The valid log ends at `offset` of segment `index`. Decides whether what follows is a torn tail.
Result<void> Recovery::end_at(std::size_t index, std::uint64_t offset, const std::string& reason) {
  out_.report.clean = false;
  const std::uint64_t block_offset = offset - offset % kBlockAlignment;
  for (std::size_t at = index; at < numbers_.size(); ++at) {
    if (file_exists(compressed_path(config_.directory, numbers_[at]))) {
      return corrupt(at, at == index ? offset : 0,
                     at == index ? reason + ", yet it is compressed, so it was whole and durable"
                                 : "a compressed segment lies behind a torn tail");
    }
    if (was_hashed(config_.directory, numbers_[at], out_.chain.log_id)) {
      return corrupt(at, at == index ? offset : 0,
                     at == index ? reason + ", yet it has a tree file, so it was whole and " +
                                       "durable: grace ledger repair explains and asks"
                                 : "a segment with a tree file lies behind a torn tail");
    }
  }
  const auto behind = inspect_behind(config_.directory, numbers_, index, block_offset, out_.chain);
  if (!behind) return tl::unexpected<Error>(behind.error());
  if (behind->stray) {
    return corrupt(*behind->stray, 0,
                   "a segment that is not of this place lies behind a torn tail");
  }
  if (behind->promised) {
    return corrupt(index, offset,
                   reason + ", yet record " + std::to_string(out_.chain.next_sequence) +
                       " there had been made durable: grace ledger repair explains and asks");
  }
  if (behind->anything) {
    out_.report.cut_segment = numbers_[index];
    out_.report.cut_offset = block_offset;
  }
  // From the last on, so that a crash in between leaves no gap.
  for (std::size_t at = numbers_.size(); at-- > index;) {
    const std::uint64_t from = at == index ? block_offset : 0;
    const std::uint64_t used = behind->used_bytes[at - index];
    if (used > 0) {
      if (auto done = save_and_cut(at, from, used); !done) return done;
    } else if (from == 0) {
      if (auto done = remove_empty(at); !done) return done;
    }
  }
  numbers_.resize(index + (block_offset > 0 ? 1 : 0));
  if (auto mended = mend_headers(); !mended) return mended;
  if (block_offset == 0 && unsealed_end_ == 0) return {};
  // Earlier segments, too: a loss of power during what follows must not find a seal that promises
  // what only the page cache had.
  if (auto synced = sync_walked(); !synced) return synced;
  return block_offset > 0 ? seal(index, block_offset) : seal(index - 1, unsealed_end_);
}

// Offset 0 moves the whole file away; otherwise the bytes are copied, then cut off.
Result<void> Recovery::save_and_cut(std::size_t index, std::uint64_t offset,
                                    std::uint64_t used_bytes) {
  const std::string path = segment_path(config_.directory, numbers_[index]);
  if (auto made = make_quarantine(fs_, config_.directory); !made) return made;
  const std::string name = path.substr(path.rfind('/') + 1);
  const std::string saved = quarantine_directory(config_.directory) + "/" + name + "-" +
                            std::to_string(offset) + ".pending";
  if (offset == 0) {
    auto source = FileSource::open(path);
    if (!source) return tl::unexpected<Error>(source.error());
    const auto size = (*source)->size();
    if (!size) return tl::unexpected<Error>(size.error());
    if (const int moved = fs_.rename(path, saved); moved < 0) {
      return make_io_error("move to quarantine", path, moved);
    }
    out_.report.cut_bytes += *size;
  } else {
    const auto copied = save_range(fs_, path, offset, used_bytes, saved);
    if (!copied) return tl::unexpected<Error>(copied.error());
    out_.report.cut_bytes += *copied;
  }
  if (auto synced = sync_names(fs_, config_.directory); !synced) return synced;
  out_.report.quarantine_file = saved;
  return {};
}

// A segment whose name became durable and none of its bytes: nothing to save, and a reader would
// take it for one whose header was destroyed.
Result<void> Recovery::remove_empty(std::size_t index) {
  const std::string path = segment_path(config_.directory, numbers_[index]);
  if (const int removed = fs_.remove(path); removed < 0) {
    return make_io_error("remove", path, removed);
  }
  const int synced = fs_.sync_directory(config_.directory);
  if (synced < 0) return make_io_error("sync directory", config_.directory, synced);
  return {};
}

// Of a header that was not durable yet one copy may be torn; left so, verify() would report it for
// ever. Where a record of its segment is promised, both copies were durable: what damaged one of
// them was no crash, and stays for a person to see.
Result<void> Recovery::mend_headers() {
  for (const DamagedHeader& header : damaged_headers_) {
    if (header.index >= numbers_.size()) continue;  // cut off whole
    if (header.first_sequence <= out_.chain.promised_sequence) continue;
    if (file_exists(compressed_path(config_.directory, numbers_[header.index]))) continue;
    const std::string path = segment_path(config_.directory, numbers_[header.index]);
    if (auto mended = mend_header(fs_, path, header.damaged_at); !mended) return mended;
  }
  return {};
}

Result<void> Recovery::seal(std::size_t index, std::uint64_t offset) {
  return cut_and_seal(fs_, segment_path(config_.directory, numbers_[index]), offset, out_.chain,
                      wall_clock_ns(config_));
}

Result<Recovered> Recovery::run() {
  // What it has left so far may look like a torn tail, and is none.
  if (file_exists(repair_intent_path(config_.directory))) {
    return make_error(ErrorCode::kCorrupt,
                      config_.directory + ": a repair was begun and not finished: run it again");
  }
  auto listed = list_segments(config_.directory);
  if (!listed) return tl::unexpected<Error>(listed.error());
  numbers_ = std::move(*listed);
  for (const std::string& path : list_ending(config_.directory, ".prepared")) {
    if (const int removed = fs_.remove(path); removed < 0) {
      return make_io_error("remove", path, removed);
    }
  }
  if (!numbers_.empty()) {
    const auto from = first_to_read();
    if (!from) return tl::unexpected<Error>(from.error());
    for (std::size_t index = 1; index <= *from; ++index) {
      if (follows_gap(index)) return corrupt(index, 0, kGapReason);
    }
    if (auto walked = walk(*from); !walked) return tl::unexpected<Error>(walked.error());
    if (auto synced = sync_walked(); !synced) return tl::unexpected<Error>(synced.error());
  }
  if (numbers_.empty()) {
    if (auto started = start_new_log(); !started) return tl::unexpected<Error>(started.error());
  } else {
    out_.next_segment_number = numbers_.back() + 1;
    out_.report.last_sequence = out_.chain.next_sequence - 1;
  }
  out_.pending = list_ending(quarantine_directory(config_.directory), ".pending");
  return std::move(out_);
}

}  // namespace

Result<Recovered> recover(const LogConfig& config) {
  return Recovery(config).run();
}

}  // namespace grace::ledger::internal
