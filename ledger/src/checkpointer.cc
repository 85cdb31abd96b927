#include "checkpointer.h"

#include <algorithm>
#include <utility>

#include "directory.h"

namespace grace::ledger::internal {
namespace {

using Step = SegmentScanner::Step;

}  // namespace

Checkpointer::Checkpointer(const LogConfig& config, std::uint64_t opened_blocks,
                           std::function<std::uint64_t()> safe_sequence)
    : config_(config),
      opened_blocks_(opened_blocks),
      safe_sequence_(std::move(safe_sequence)),
      signer_(config),
      thread_([this] { run(); }) {}

Checkpointer::~Checkpointer() {
  stop(false);
}

void Checkpointer::stop(bool closed_cleanly) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    stop_ = true;
    closed_cleanly_ = closed_cleanly;
  }
  changed_.notify_all();
  thread_.join();
}

void Checkpointer::run() {
  for (;;) {
    bool stopping = false;
    bool all = false;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, config_.checkpoint.interval, [this] { return stop_; });
      stopping = stop_;
      all = closed_cleanly_;
    }
    read_on(all);
    sign();
    if (stopping) return;
  }
}

// Reads every block that is there and may be signed. `all`: the writer has closed the log.
void Checkpointer::read_on(bool all) {
  const std::uint64_t safe = all ? ~std::uint64_t{0} : safe_sequence_();
  went_back_ = false;
  for (;;) {
    if (unsafe_records_ && read_.next_sequence - 1 > safe) return;
    if (unsafe_records_) {
      safe_ = read_.blocks;
      safe_last_ = read_.next_sequence - 1;
      unsafe_records_ = false;
      if (sealed_since_sign_) sign();
    }
    if (!read_block()) break;
    if (read_.next_block_number <= safe_.size()) continue;  // once more, after a fail-over
    if (read_.next_block_number <= opened_blocks_) {
      safe_ = read_.blocks;
      safe_last_ = read_.next_sequence - 1;
    } else {
      unsafe_records_ = unsafe_records_ || segment_->header().record_count > 0;
    }
  }
  if (!all || segment_ == nullptr || read_.next_block_number < safe_.size()) return;
  safe_ = read_.blocks;
  safe_last_ = read_.next_sequence - 1;
}

// False: there is no further block now.
bool Checkpointer::read_block() {
  if (segment_ == nullptr && !enter_safe()) return false;
  if (segment_->ended() && !enter_next()) return false;
  Step step = segment_->next(read_);
  if (step != Step::kBlock) {
    // No more will come here if the writer has given this file up.
    segment_->look_again();
    if (segment_->replaced() && !go_back()) return false;
    if (segment_->ended() && !enter_next()) return false;
    step = segment_->next(read_);
  }
  if (step == Step::kIo) signer_.note_failure(segment_->error());
  if (step == Step::kInvalid) {
    signer_.note_failure({ErrorCode::kCorrupt, segment_->fault().reason + ": not signed", 0,
                          segment_number_, segment_->fault().offset});
  }
  if (step != Step::kBlock) return false;
  sealed_since_sign_ = sealed_since_sign_ || segment_->sealed();
  return true;
}

bool Checkpointer::enter_next() {
  auto left = std::move(segment_);
  if (!enter(segment_number_ + 1)) {
    segment_ = std::move(left);
    return false;
  }
  if (segment_->chain().root != read_.root || segment_->chain().blocks != read_.blocks) {
    left->look_again();
    if (segment_->begins_by_fail_over() || left->replaced()) return go_back();
    segment_.reset();
    signer_.note_failure({ErrorCode::kCorrupt, "segment does not follow the one before: not signed",
                          0, segment_number_, 0});
    return false;
  }
  read_.promised_sequence = segment_->chain().promised_sequence;
  return true;
}

// What was read last was given up by the writer and stands elsewhere again: reads from the segment
// on in which the last block lies that may be signed. Once in a round, whatever the files say.
bool Checkpointer::go_back() {
  segment_.reset();
  if (went_back_) return false;
  went_back_ = true;
  return enter_safe();
}

// Enters the segment in which the first block lies or would lie that is not known to be safe, or
// the oldest. Not simply the last: the writer may be segments ahead of what is durable. False: that
// segment could not be entered now, and none is.
bool Checkpointer::enter_safe() {
  const std::uint64_t block_number = std::max(safe_.size(), opened_blocks_);
  const auto numbers = list_segments(config_.directory);
  if (!numbers || numbers->empty()) return false;
  for (auto number = numbers->rbegin(); number != numbers->rend(); ++number) {
    if (!enter(*number)) {
      segment_.reset();
      return false;
    }
    if (segment_->chain().next_block_number <= block_number) break;
  }
  read_ = segment_->chain();
  unsafe_records_ = false;
  if (read_.next_block_number >= safe_.size()) {
    safe_ = read_.blocks;
    safe_last_ = read_.next_sequence - 1;
  }
  return true;
}

bool Checkpointer::enter(std::uint64_t number) {
  auto opened = SegmentScanner::open(config_.directory, number, /*check_hashes=*/true);
  if (!opened) return false;  // not begun yet
  if (const auto header = (*opened)->read_header(); !header) {
    signer_.note_failure(header.error());
    return false;
  }
  segment_ = std::move(*opened);
  segment_number_ = number;
  return true;
}

void Checkpointer::sign() {
  if (safe_.size() <= signed_size_ || safe_.size() == 0 || safe_.size() < opened_blocks_) return;
  if (!signer_.publish({safe_, read_.log_id, safe_last_, sealed_since_sign_})) return;
  sealed_since_sign_ = false;
  signed_size_ = safe_.size();
}

}  // namespace grace::ledger::internal
