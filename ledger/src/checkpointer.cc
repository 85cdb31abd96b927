#include "checkpointer.h"

#include <fcntl.h>

#include <span>
#include <utility>

#include "block_writer.h"
#include "directory.h"
#include "grace/ledger/checkpoint.h"
#include "io_error.h"

namespace grace::ledger::internal {
namespace {

using Step = SegmentScanner::Step;

}  // namespace

Checkpointer::Checkpointer(const LogConfig& config, std::uint64_t opened_blocks,
                           std::function<std::uint64_t()> safe_sequence)
    : config_(config),
      opened_blocks_(opened_blocks),
      safe_sequence_(std::move(safe_sequence)),
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

std::optional<Error> Checkpointer::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

std::uint64_t Checkpointer::signed_sequence() const {
  const std::lock_guard lock(mutex_);
  return signed_sequence_;
}

std::uint64_t Checkpointer::witnessed_sequence() const {
  const std::lock_guard lock(mutex_);
  return witnessed_sequence_;
}

void Checkpointer::note_failure(Error error) {
  const std::lock_guard lock(mutex_);
  error_ = std::move(error);
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
  if (segment_ == nullptr) {
    // Not simply the last: the writer may be segments ahead of what is durable.
    if (!enter_from(opened_blocks_)) return false;
    read_ = segment_->chain();
    safe_ = read_.blocks;
    safe_last_ = read_.next_sequence - 1;
  }
  if (segment_->ended() && !enter_next()) return false;
  Step step = segment_->next(read_);
  if (step != Step::kBlock) {
    // No more will come here if the writer has given this file up.
    segment_->look_again();
    if (segment_->replaced() && !go_back()) return false;
    if (segment_->ended() && !enter_next()) return false;
    step = segment_->next(read_);
  }
  if (step == Step::kIo) note_failure(segment_->error());
  if (step == Step::kInvalid) {
    note_failure({ErrorCode::kCorrupt, segment_->fault().reason + ": not signed", 0,
                  segment_number_, segment_->fault().offset});
  }
  if (step != Step::kBlock) return false;
  sealed_since_sign_ = sealed_since_sign_ || segment_->sealed();
  return true;
}

bool Checkpointer::enter_next() {
  if (!enter(segment_number_ + 1)) return false;
  if (segment_->chain().root != read_.root || segment_->chain().blocks != read_.blocks) {
    if (segment_->begins_by_fail_over()) return go_back();
    segment_.reset();
    note_failure({ErrorCode::kCorrupt, "segment does not follow the one before: not signed", 0,
                  segment_number_, 0});
    return false;
  }
  read_.promised_sequence = segment_->chain().promised_sequence;
  return true;
}

// What was read last was given up by the writer and stands elsewhere again: reads from the segment
// on in which the last block lies that may be signed. Once in a round, whatever the files say.
bool Checkpointer::go_back() {
  if (went_back_) return false;
  went_back_ = true;
  if (!enter_from(safe_.size())) return false;
  read_ = segment_->chain();
  unsafe_records_ = false;
  return true;
}

// Enters the segment in which the block with this number lies or would lie, or the oldest.
bool Checkpointer::enter_from(std::uint64_t block_number) {
  const auto numbers = list_segments(config_.directory);
  if (!numbers || numbers->empty()) return false;
  for (auto number = numbers->rbegin(); number != numbers->rend(); ++number) {
    if (!enter(*number)) return false;
    if (segment_->chain().next_block_number <= block_number) break;
  }
  return true;
}

bool Checkpointer::enter(std::uint64_t number) {
  auto opened = SegmentScanner::open(config_.directory, number, /*check_hashes=*/true);
  if (!opened) return false;  // not begun yet
  if (const auto header = (*opened)->read_header(); !header) {
    note_failure(header.error());
    return false;
  }
  segment_ = std::move(*opened);
  segment_number_ = number;
  return true;
}

void Checkpointer::sign() {
  if (safe_.size() <= signed_size_ || safe_.size() == 0 || safe_.size() < opened_blocks_) return;
  const CheckpointConfig& how = config_.checkpoint;
  Checkpoint checkpoint;
  checkpoint.origin = how.signer->verifier().name();
  checkpoint.tree_size = safe_.size();
  checkpoint.root = safe_.root();
  checkpoint.log_id = read_.log_id;
  checkpoint.sequence = safe_last_;
  checkpoint.time_ns = wall_clock_ns(config_);
  auto note = sign_checkpoint(checkpoint, *how.signer);
  if (!note) return note_failure(note.error());
  bool witnessed = false;
  if (how.countersign) {
    // Without the witness the checkpoint is as good as it was: its own signature stands.
    if (auto more = how.countersign(*note)) {
      const auto opened = open_checkpoint(*more, how.known_keys(*how.signer));
      witnessed = opened && opened->checkpoint == checkpoint && opened->signatures.size() > 1;
      if (witnessed) *note = std::move(*more);
    }
  }
  auto stored = store(config_.directory, "", *note);
  if (stored && !how.export_directory.empty()) {
    stored = store(how.export_directory, "", *note);
    if (stored && sealed_since_sign_) {
      stored = store(how.export_directory, "-" + std::to_string(checkpoint.tree_size), *note);
    }
  }
  if (!stored) return note_failure(stored.error());
  sealed_since_sign_ = false;
  signed_size_ = checkpoint.tree_size;
  const std::lock_guard lock(mutex_);
  error_.reset();
  signed_sequence_ = checkpoint.sequence;
  if (witnessed) witnessed_sequence_ = checkpoint.sequence;
}

// As a whole or not at all.
Result<void> Checkpointer::store(const std::string& directory, const std::string& suffix,
                                 const std::string& note) {
  FileSystem& fs = *config_.file_system;
  const std::string path = checkpoint_path(directory) + suffix;
  const std::string unfinished = path + ".new";
  const int fd = fs.open(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return make_io_error("create", unfinished, fd);
  const int written = write_all(fs, fd, std::as_bytes(std::span(note)), 0);
  const int synced = written < 0 ? 0 : fs.sync_file(fd);
  (void)fs.close(fd);
  if (written < 0) return make_io_error("write", unfinished, written);
  if (synced < 0) return make_io_error("sync", unfinished, synced);
  if (const int renamed = fs.rename(unfinished, path); renamed < 0) {
    return make_io_error("rename", unfinished, renamed);
  }
  if (const int named = fs.sync_directory(directory); named < 0) {
    return make_io_error("sync directory", directory, named);
  }
  return {};
}

}  // namespace grace::ledger::internal
