#include "segment_keeper.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "block_writer.h"
#include "carried_key_changes.h"
#include "compressed_segment.h"
#include "directory.h"
#include "grace/ledger/checkpoint.h"
#include "io_error.h"
#include "json.h"
#include "segment_index.h"
#include "segment_scanner.h"
#include "tree_file.h"
#include "whole_file.h"

namespace grace::ledger::internal {
namespace {

using Step = SegmentScanner::Step;

constexpr const char* kUnfinished = ".new";

tl::unexpected<Error> at_segment(Error error, const std::string& directory, std::uint64_t number) {
  return tl::unexpected<Error>(located(std::move(error), directory, number));
}

}  // namespace

SegmentKeeper::SegmentKeeper(const LogConfig& config, std::function<std::uint64_t()> safe_sequence,
                             Record record)
    : config_(config),
      fs_(*config.file_system),
      safe_sequence_(std::move(safe_sequence)),
      record_(std::move(record)) {}

SegmentKeeper::~SegmentKeeper() {
  stop();
}

void SegmentKeeper::start() {
  thread_ = std::thread([this] { run(); });
}

void SegmentKeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  // Relaxed: nothing is read with it.
  stopping_.store(true, std::memory_order_relaxed);
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<Error> SegmentKeeper::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

KeeperStats SegmentKeeper::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void SegmentKeeper::run() {
  for (;;) {
    const Result<void> done = step_until_done();
    std::unique_lock lock(mutex_);
    if (!stop_) error_ = done ? std::nullopt : std::optional<Error>(done.error());
    stats_.rounds += 1;
    changed_.wait_for(lock, config_.keep_interval, [this] { return stop_; });
    if (stop_) return;
  }
}

Result<void> SegmentKeeper::step_until_done() {
  // Relaxed: nothing is read with it.
  while (!stopping_.load(std::memory_order_relaxed)) {
    const Result<bool> more = step();
    if (!more) return tl::unexpected<Error>(more.error());
    if (!*more) break;
  }
  return {};
}

// One failure keeps nothing else from being done: a full disk is when removing matters most.
Result<bool> SegmentKeeper::step() {
  if (auto gone = remove_leftovers(); !gone) return tl::unexpected<Error>(gone.error());
  if (auto seen = look(); !seen) return tl::unexpected<Error>(seen.error());
  std::optional<Error> first;
  for (const auto part :
       {&SegmentKeeper::remove_old, &SegmentKeeper::index_one, &SegmentKeeper::compress_one}) {
    const Result<bool> done = (this->*part)();
    if (done && *done) return true;
    if (!done && !first) first = done.error();
  }
  for (const std::uint64_t number : settled_) {
    if (!first) first = known_[number].damage;
  }
  if (first) return tl::unexpected<Error>(*first);
  return false;
}

// What a keeper before this one had begun.
Result<void> SegmentKeeper::remove_leftovers() {
  if (leftovers_gone_) return {};
  for (const char* ending : {".segment.zst.new", ".index.new"}) {
    for (const std::string& path : list_ending(config_.directory, ending)) {
      if (auto removed = remove_file(path); !removed) return removed;
    }
  }
  leftovers_gone_ = true;
  return {};
}

Result<void> SegmentKeeper::look() {
  const auto numbers = list_segments(config_.directory);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  settled_.clear();
  others_.clear();
  if (numbers->empty()) return {};
  known_.erase(known_.begin(), known_.lower_bound(numbers->front()));
  const std::uint64_t safe = safe_sequence_();
  bool settled = true;
  for (std::size_t at = 0; at < numbers->size(); ++at) {
    const std::uint64_t number = (*numbers)[at];
    if (settled) {
      const auto begun = begins_safe(number, safe);
      if (!begun) return tl::unexpected<Error>(begun.error());
      settled = *begun || at == 0;
    }
    if (at == 0) continue;
    const std::uint64_t before = (*numbers)[at - 1];
    if (settled && number != before + 1) {
      return at_segment({ErrorCode::kCorrupt, "the segment before this one is missing", 0, 0, 0},
                        config_.directory, number);
    }
    // The seal before this one counts once a record behind it is safe.
    (settled ? settled_ : others_).push_back(before);
  }
  others_.push_back(numbers->back());
  newest_features_ = 0;
  const auto newest = read_start(numbers->back(), newest_features_);
  if (!newest && !is_absent(newest.error())) return tl::unexpected<Error>(newest.error());
  seen_safe_ = safe;
  return {};
}

// Whether a segment's first record is safe, if it has one. Until it is, a fail-over may remove the
// segment, also while we look, or put another in its place.
Result<bool> SegmentKeeper::begins_safe(std::uint64_t number, std::uint64_t safe) {
  const auto seen = known_.find(number);
  if (seen != known_.end() && seen->second.first_sequence <= seen_safe_) return true;
  std::uint32_t features = 0;
  const auto start = read_start(number, features);
  if (!start && is_absent(start.error())) return false;
  if (!start) return tl::unexpected<Error>(start.error());
  known_.insert_or_assign(number, *start);
  return start->first_sequence <= safe;
}

Result<SegmentKeeper::Known> SegmentKeeper::read_start(std::uint64_t number,
                                                       std::uint32_t& features) const {
  const auto segment = SegmentScanner::open(config_.directory, number, /*check_hashes=*/false);
  if (!segment) return tl::unexpected<Error>(segment.error());
  const auto header = (*segment)->read_header();
  if (!header) return at_segment(header.error(), config_.directory, number);
  features = header->features;
  Known known;
  known.first_sequence = header->first_sequence;
  known.first_block_number = header->first_block_number;
  return known;
}

// --- index ---

Result<bool> SegmentKeeper::index_one() {
  if (!config_.index_segments) return false;
  for (const std::uint64_t number : settled_) {
    Known& known = known_[number];
    if (known.is_indexed || known.damage) continue;
    const auto segment = SegmentScanner::open(config_.directory, number, /*check_hashes=*/false);
    if (!segment) return tl::unexpected<Error>(segment.error());
    if (const auto header = (*segment)->read_header(); !header) {
      return at_segment(header.error(), config_.directory, number);
    }
    if (const auto index = load_index(config_.directory, number, **segment)) {
      known.last_time_ns = index->header.last_time_ns;
      known.is_indexed = true;
      continue;
    }
    const auto index = build_index(**segment);
    if (!index) {
      const Error error = located(index.error(), config_.directory, number);
      if (error.code != ErrorCode::kCorrupt) return tl::unexpected<Error>(error);
      known.damage = error;
      continue;
    }
    if (auto stored = store_index(fs_, config_.directory, *index); !stored) {
      return tl::unexpected<Error>(stored.error());
    }
    known.last_time_ns = index->header.last_time_ns;
    known.is_indexed = true;
    const std::lock_guard lock(mutex_);
    stats_.indexes_written += 1;
    return true;
  }
  return false;
}

// --- retention ---

// When the newest block of a settled segment was closed.
Result<std::int64_t> SegmentKeeper::last_time(std::uint64_t number) {
  Known& known = known_[number];
  if (known.last_time_ns) return *known.last_time_ns;
  const auto segment = SegmentScanner::open(config_.directory, number, /*check_hashes=*/false);
  if (!segment) return tl::unexpected<Error>(segment.error());
  const auto index = build_index(**segment);
  if (!index) return at_segment(index.error(), config_.directory, number);
  known.last_time_ns = index->header.last_time_ns;
  return *known.last_time_ns;
}

std::uint64_t SegmentKeeper::bytes_of(std::uint64_t number) const {
  const std::string& directory = config_.directory;
  return file_bytes(segment_path(directory, number)).value_or(0) +
         file_bytes(compressed_path(directory, number)).value_or(0) +
         file_bytes(index_path(directory, number)).value_or(0) +
         file_bytes(tree_path(directory, number)).value_or(0);
}

// How many of the oldest settled segments may go, whatever the limits say.
Result<std::uint64_t> SegmentKeeper::removable() const {
  if (settled_.size() < 2) return std::uint64_t{0};
  std::uint64_t all_but_newest = settled_.size() - 1;
  if (config_.hash_sealed) {
    // The tree cannot go on over a segment that was removed before it was hashed.
    const auto hashed =
        std::upper_bound(settled_.begin(), settled_.end(), newest_tree_file(config_.directory));
    all_but_newest = std::min<std::uint64_t>(all_but_newest,
                                             static_cast<std::uint64_t>(hashed - settled_.begin()));
  }
  if (config_.checkpoint.signer == nullptr) return all_but_newest;
  const std::string path = checkpoint_path(config_.directory);
  const auto note = load_note(path);
  if (!note) return tl::unexpected<Error>(note.error());
  if (!*note) return std::uint64_t{0};
  const auto opened =
      open_checkpoint(**note, config_.checkpoint.known_keys(*config_.checkpoint.signer));
  if (!opened) {
    Error error = opened.error();
    error.message = path + ": " + error.message + ": nothing is removed";
    return tl::unexpected<Error>(std::move(error));
  }
  // The segment after one that may go begins at or before the checkpoint's last block.
  std::uint64_t count = 0;
  while (count < all_but_newest) {
    const Known& next = known_.at(settled_[count + 1]);
    if (next.first_block_number >= opened->checkpoint.tree_size) break;
    ++count;
  }
  return count;
}

Result<bool> SegmentKeeper::remove_old() {
  const RetentionConfig& limits = config_.retention;
  if (!limits.is_on()) return false;
  const auto count_max = removable();
  if (!count_max) return tl::unexpected<Error>(count_max.error());
  if (*count_max == 0) return false;
  std::uint64_t bytes = 0;
  for (const std::uint64_t number : settled_) bytes += bytes_of(number);
  for (const std::uint64_t number : others_) bytes += bytes_of(number);
  const std::int64_t now_ns = wall_clock_ns(config_);
  const auto age_ns_max = std::chrono::nanoseconds(limits.max_age).count();
  std::size_t count = 0;
  std::uint64_t removed_bytes = 0;
  bool by_age = false;
  for (; count < *count_max; ++count) {
    const std::uint64_t number = settled_[count];
    bool is_due = limits.max_bytes > 0 && bytes - removed_bytes > limits.max_bytes;
    if (!is_due && age_ns_max > 0) {
      const auto time_ns = last_time(number);
      if (!time_ns) return tl::unexpected<Error>(time_ns.error());
      is_due = *time_ns < now_ns - age_ns_max;
      by_age = by_age || is_due;
    }
    if (!is_due) break;
    removed_bytes += bytes_of(number);
  }
  if (count == 0) return false;
  if (auto told = record_removal(count, removed_bytes, by_age ? "age" : "size"); !told) {
    return tl::unexpected<Error>(told.error());
  }
  const std::vector<std::uint64_t> going(settled_.begin(),
                                         settled_.begin() + static_cast<std::ptrdiff_t>(count));
  for (const std::uint64_t number : going) {
    const std::uint64_t segment_bytes = bytes_of(number);
    if (auto removed = remove_segment(number); !removed) {
      return tl::unexpected<Error>(removed.error());
    }
    const std::lock_guard lock(mutex_);
    stats_.segments_removed += 1;
    stats_.removed_bytes += segment_bytes;
  }
  return true;
}

Result<void> SegmentKeeper::record_removal(std::size_t count, std::uint64_t bytes,
                                           std::string_view reason) {
  const std::uint64_t first_kept = settled_[count];
  std::string text;
  JsonText json(text);
  json.begin_object();
  json.field("ts", wall_clock_ns(config_));
  json.field("actor", "ledger").field("action", "retention");
  json.field("resource", "segments " + std::to_string(settled_.front()) + " to " +
                             std::to_string(first_kept - 1));
  json.field("subsystem", "ledger").field("result", "removed");
  json.key("payload").begin_object();
  json.field("first_segment", first_kept);
  json.field("first_sequence", known_.at(first_kept).first_sequence);
  json.field("removed_segments", static_cast<std::uint64_t>(count));
  json.field("removed_bytes", bytes).field("reason", std::string(reason));
  json.end_object().end_object();
  return record_(text);
}

// Without its file the segment is gone, whatever else is left; a tree file would miss its segment.
Result<void> SegmentKeeper::remove_segment(std::uint64_t number) {
  if (auto carried = carry_key_changes(fs_, config_.directory, number); !carried) return carried;
  for (const std::string& path :
       {index_path(config_.directory, number), compressed_path(config_.directory, number),
        segment_path(config_.directory, number), tree_path(config_.directory, number)}) {
    if (!file_exists(path)) continue;
    if (auto removed = remove_file(path); !removed) return removed;
  }
  // Or the next one's removal could outlive this one's, and leave a gap.
  return sync_directory();
}

// --- compression ---

Result<bool> SegmentKeeper::compress_one() {
  const std::uint32_t newer = config_.compress_after_segments;
  if (newer == 0 || settled_.size() <= newer) return false;
  // A reader that knows nothing of compressed segments must be able to see that there are some.
  if ((newest_features_ & kFeatureCompressed) == 0) return false;
  for (std::size_t at = 0; at + newer < settled_.size(); ++at) {
    const std::uint64_t number = settled_[at];
    Known& known = known_[number];
    if (known.damage || !file_exists(segment_path(config_.directory, number))) continue;
    const auto done = compress(number);
    if (done) return true;
    if (done.error().code != ErrorCode::kCorrupt) return tl::unexpected<Error>(done.error());
    known.damage = done.error();
  }
  return false;
}

Result<void> SegmentKeeper::compress(std::uint64_t number) {
  const std::string path = compressed_path(config_.directory, number);
  const std::string unfinished = path + kUnfinished;
  if (auto whole = check_whole(number); !whole) return whole;
  auto plain = FileSource::open(segment_path(config_.directory, number));
  if (!plain) return tl::unexpected<Error>(plain.error());
  auto stored = write_compressed(fs_, **plain, unfinished, config_.compress_level, stopping_);
  Result<void> good;
  if (!stored) good = tl::unexpected<Error>(stored.error());
  if (good) {
    auto file = FileSource::open(unfinished);
    if (!file) return tl::unexpected<Error>(file.error());
    CompressedSource read_back(std::move(*file));
    good = same_bytes(**plain, read_back, stopping_);
    // Then the disk or the machine is at fault, and not the segment: try again.
    if (!good && good.error().code == ErrorCode::kCorrupt) {
      good = make_error(ErrorCode::kIo, unfinished + ": " + good.error().message);
    }
  }
  if (!good) {
    (void)remove_file(unfinished);
    return good;
  }
  if (const int renamed = fs_.rename(unfinished, path); renamed < 0) {
    return make_io_error("rename", unfinished, renamed);
  }
  if (auto named = sync_directory(); !named) return named;
  const std::uint64_t plain_bytes = (*plain)->size().value_or(0);
  if (auto dropped = drop_plain(number); !dropped) return dropped;
  const std::lock_guard lock(mutex_);
  stats_.segments_compressed += 1;
  stats_.plain_bytes += plain_bytes;
  stats_.stored_bytes += *stored;
  return {};
}

// Compressing hides damage from whoever would mend it, so nothing damaged is compressed.
Result<void> SegmentKeeper::check_whole(std::uint64_t number) const {
  auto opened = SegmentScanner::open(config_.directory, number, /*check_hashes=*/true);
  if (!opened) return tl::unexpected<Error>(opened.error());
  SegmentScanner& segment = **opened;
  const auto damage = [&](Fault fault) {
    return at_segment({ErrorCode::kCorrupt, fault.reason + ": not compressed", 0, 0, fault.offset},
                      config_.directory, number);
  };
  const auto header = segment.read_header();
  if (!header) return at_segment(header.error(), config_.directory, number);
  if (segment.header_fault()) return damage(*segment.header_fault());
  ChainState chain = segment.chain();
  Step step = Step::kBlock;
  while (step == Step::kBlock) {
    // Relaxed: nothing is read with it.
    if (stopping_.load(std::memory_order_relaxed)) {
      return make_error(ErrorCode::kClosed, "asked to stop");
    }
    step = segment.next(chain);
  }
  if (step == Step::kIo) return at_segment(segment.error(), config_.directory, number);
  if (step == Step::kInvalid) return damage(segment.fault());
  if (!segment.ended()) return damage({segment.offset(), "segment has no seal", false});
  if (!segment.sealed()) return {};  // what a fail-over gave up may be anything
  const auto tail =
      inspect_tail(segment.source(), segment.offset(), chain.log_id, chain.next_sequence);
  if (!tail) return tl::unexpected<Error>(tail.error());
  if (tail->used_bytes > 0) return damage({segment.offset(), "bytes after the seal", false});
  return {};
}

Result<void> SegmentKeeper::drop_plain(std::uint64_t number) {
  if (auto removed = remove_file(segment_path(config_.directory, number)); !removed) {
    return removed;
  }
  return sync_directory();
}

Result<void> SegmentKeeper::remove_file(const std::string& path) {
  if (const int removed = fs_.remove(path); removed < 0) {
    return make_io_error("remove", path, removed);
  }
  return {};
}

Result<void> SegmentKeeper::sync_directory() {
  if (config_.sync == SyncMode::kNone) return {};
  if (const int synced = fs_.sync_directory(config_.directory); synced < 0) {
    return make_io_error("sync directory", config_.directory, synced);
  }
  return {};
}

}  // namespace grace::ledger::internal
