#include "segment_hasher.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "directory.h"

namespace grace::ledger::internal {
namespace {

using Clock = std::chrono::steady_clock;

// Whoever has something to do comes first. That it may be refused changes nothing but speed.
void lower_priority() {
  constexpr int kNice = 10;
  const sched_param none{};
  (void)::sched_setscheduler(0, SCHED_BATCH, &none);  // 0: this thread
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
}

// A segment's header alone.
Result<SegmentHeader> header_of(const std::string& directory, std::uint64_t number) {
  auto segment = SegmentScanner::open(directory, number, /*check_hashes=*/false);
  if (!segment) return tl::unexpected<Error>(segment.error());
  auto header = (*segment)->read_header();
  if (!header) header = tl::unexpected<Error>(located(header.error(), directory, number));
  return header;
}

}  // namespace

SegmentHasher::SegmentHasher(const LogConfig& config, std::uint64_t opened_blocks,
                             std::uint64_t signs_from, std::function<std::uint64_t()> safe_sequence)
    : config_(config),
      opened_blocks_(opened_blocks),
      signs_from_(signs_from),
      safe_sequence_(std::move(safe_sequence)),
      signer_(config),
      thread_([this] { run(); }) {}

SegmentHasher::~SegmentHasher() {
  stop(false);
}

void SegmentHasher::stop(bool closed_cleanly) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    stop_ = true;
    closed_cleanly_ = closed_cleanly;
    stop_at_ = Clock::now() + config_.hash_close_wait;
  }
  changed_.notify_all();
  thread_.join();
}

std::optional<Error> SegmentHasher::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

std::uint64_t SegmentHasher::hashed_sequence() const {
  const std::lock_guard lock(mutex_);
  return hashed_sequence_;
}

std::uint64_t SegmentHasher::hashed_segments() const {
  const std::lock_guard lock(mutex_);
  return hashed_segments_;
}

bool SegmentHasher::should_stop() const {
  const std::lock_guard lock(mutex_);
  return stop_ && (!closed_cleanly_ || Clock::now() >= stop_at_);
}

void SegmentHasher::note_failure(Error error, bool for_good) {
  ended_ = ended_ || for_good;
  const std::lock_guard lock(mutex_);
  error_ = std::move(error);
}

void SegmentHasher::run() {
  lower_priority();
  for (bool stopping = false; !stopping;) {
    {
      // Taken before the look at the files: what a clean close left is there by then.
      const std::lock_guard lock(mutex_);
      stopping = stop_;
    }
    hash_what_is_there();
    std::unique_lock lock(mutex_);
    if (!stopping) {
      changed_.wait_for(lock, config_.checkpoint.interval, [this] { return stop_; });
    }
  }
}

void SegmentHasher::hash_what_is_there() {
  auto sign_at = Clock::now() + config_.checkpoint.interval;
  while (!ended_ && !should_stop() && step()) {
    // A long backlog has its checkpoints on the way.
    if (Clock::now() < sign_at) continue;
    sign();
    sign_at = Clock::now() + config_.checkpoint.interval;
  }
  sign();
}

// Where the tree over what came before is known: at the log's first segment, or at the first with a
// tree file where older ones were removed.
bool SegmentHasher::find_first() {
  const auto numbers = list_segments(config_.directory);
  if (!numbers || numbers->empty()) return false;
  std::uint64_t first = numbers->front();
  if (first > 1) {
    const auto files = list_tree_files(config_.directory);
    if (!files) return false;
    for (const std::uint64_t number : *files) {
      if (number < first) continue;
      const auto file = read_tree_file(config_.directory, number);
      if (!file) continue;
      next_number_ = number;
      blocks_ = file->before;
      return true;
    }
    note_failure({ErrorCode::kNotFound,
                  config_.directory + ": older segments were removed before they were hashed, so " +
                      "the tree over them is not known",
                  0, first, 0},
                 /*for_good=*/true);
    return false;
  }
  next_number_ = 1;
  return true;
}

bool SegmentHasher::step() {
  if (next_number_ == 0 && !find_first()) return false;
  const auto header = header_of(config_.directory, next_number_);
  if (!header) {
    // Not begun yet, unless it should be there.
    if (header.error().os_error != ENOENT) note_failure(header.error(), false);
    return false;
  }
  const bool was_there = header->first_block_number < opened_blocks_;
  if (!is_ready(next_number_, was_there)) return false;
  if (was_there) {
    const auto stored = read_tree_file(config_.directory, next_number_);
    if (stored) return adopt(*stored, *header);
  }
  const HashJob job{*config_.file_system, config_.directory, config_.sync == SyncMode::kNone,
                    [this] { return should_stop(); }};
  const auto hashed = hash_sealed_segment(job, next_number_, blocks_);
  if (!hashed) {
    const ErrorCode why = hashed.error().code;
    note_failure(hashed.error(), why == ErrorCode::kSyncFailed || why == ErrorCode::kCorrupt);
    return false;
  }
  if (!*hashed) return false;
  move_over(**hashed, true);
  return true;
}

// A tree file of an earlier run.
bool SegmentHasher::adopt(const TreeFile& file, const SegmentHeader& header) {
  if (file.before != blocks_ || file.log_id != header.log_id ||
      file.first_sequence != header.first_sequence) {
    note_failure(located({ErrorCode::kCorrupt, "the segment's tree file does not follow", 0, 0, 0},
                         config_.directory, next_number_),
                 /*for_good=*/true);
    return false;
  }
  move_over(file, false);
  return true;
}

// Whether the segment's seal is there and final.
bool SegmentHasher::is_ready(std::uint64_t number, bool was_there) {
  if (was_there) return true;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return closed_cleanly_;
  }
  const auto next = header_of(config_.directory, number + 1);
  return next && next->first_sequence <= safe_sequence_();
}

void SegmentHasher::move_over(const TreeFile& file, bool hashed) {
  blocks_ = file.after;
  log_id_ = file.log_id;
  last_sequence_ = file.last_sequence;
  next_number_ += 1;
  const std::lock_guard lock(mutex_);
  error_.reset();
  hashed_sequence_ = last_sequence_;
  hashed_segments_ += hashed ? 1 : 0;
}

void SegmentHasher::sign() {
  if (config_.checkpoint.signer == nullptr || blocks_.size() == 0) return;
  if (!sign_from_) {
    // Tree files may have been lost since: no checkpoint is behind an older one.
    const auto held = held_checkpoint(config_);
    if (!held) return signer_.note_failure(held.error());
    sign_from_ = *held && (*held)->log_id == log_id_ ? (*held)->tree_size : 0;
    sign_from_ = std::max(*sign_from_, signs_from_);
  }
  if (blocks_.size() < *sign_from_) return;
  if (signer_.publish({blocks_, log_id_, last_sequence_, true})) sign_from_ = blocks_.size() + 1;
}

}  // namespace grace::ledger::internal
