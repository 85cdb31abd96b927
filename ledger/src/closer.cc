#include <utility>

#include "writer_core.h"

namespace grace::ledger::internal {

// When the committer fails, what it had filled is still closed and made durable.
void WriterCore::run_closer() {
  for (;;) {
    FilledBlock block;
    {
      std::unique_lock lock(filled_mutex_);
      filled_changed_.wait(lock, [this] { return !filled_.empty() || filled_ended_; });
      if (filled_.empty()) break;
      block = std::move(filled_.front());
      filled_.pop_front();
    }
    filled_changed_.notify_one();
    close_filled(block);
  }
  {
    const std::lock_guard lock(mutex_);
    closing_done_ = true;
  }
  syncer_wake_.notify_one();
}

// Committer: to the closer, in order. Waits while kFilledMax blocks wait.
void WriterCore::hand_over(FilledBlock&& block) {
  if (!closer_thread_.joinable()) {  // [HAND]
    close_filled(block);
    return;
  }
  {
    std::unique_lock lock(filled_mutex_);
    filled_changed_.wait(lock, [this] { return filled_.size() < kFilledMax; });
    filled_.push_back(std::move(block));
  }
  filled_changed_.notify_one();
}

void WriterCore::close_filled(FilledBlock& block) {
  Closer& me = closer_;
  if (!me.abandoned.empty()) {  // nothing can follow
    if (block.new_segment != nullptr) me.abandoned.push_back(std::move(block.new_segment));
    return;
  }
  if (block.new_segment != nullptr && !begin_segment(std::move(block.new_segment))) return;
  block.open.promised_sequence = promise();
  const std::uint64_t bytes = block_footprint_bytes(block.open.records_bytes);
  close_block(me.chain, block.open, wall_clock_ns(config_),
              me.segment->bytes().subspan(block.at, bytes), me.hasher);
  publish_commit(block, bytes);
}

std::uint64_t WriterCore::promise() const {
  // Without syncs, being written is all that is ever promised.
  if (config_.sync == SyncMode::kNone) return closer_.chain.next_sequence - 1;
  // [DURABLE] acquire: the promise goes to disk only after the sync it speaks of. Pairs with the
  // release in run_syncer().
  return durable_sequence_.load(std::memory_order_acquire);
}

// The block is in the mapping: tells producers, and hands it to the syncer.
void WriterCore::publish_commit(const FilledBlock& block, std::uint64_t block_bytes) {
  const std::uint64_t sequence = closer_.chain.next_sequence - 1;
  {
    const std::lock_guard lock(mutex_);
    if (block_bytes > 0) {
      closer_.segment->written_end = block.at + block_bytes;
      closer_.segment->sealed = (block.open.flags & kBlockSeals) != 0;
      stats_.records += block.open.record_count;
      stats_.payload_bytes += block.payload_bytes;
      stats_.blocks += 1;
      stats_.block_bytes += block_bytes;
    }
    handed_sequence_ = sequence;
    for (std::size_t index = 0; index < block.positions.size(); ++index) {
      written_positions_[index] = block.positions[index];
      rings_[index]->set_written(block.positions[index]);
    }
    unsynced_ = true;
    // [WRITTEN] release: after the block's magic. Pairs with the acquire in written_sequence().
    written_sequence_.store(sequence, std::memory_order_release);
  }
  syncer_wake_.notify_one();
  if (config_.sync == SyncMode::kNone) progress_.notify_all();
}

// Gives a segment its header and its name, after the seal of the one before.
bool WriterCore::begin_segment(std::unique_ptr<MappedSegment> segment) {
  Closer& me = closer_;
  bool waited = false;
  {
    // Full segments wait for their sync: with too many of them, so does everything behind.
    std::unique_lock lock(mutex_);
    waited = live_.size() > config_.segments_unsynced_max;
    progress_.wait(lock, [this] {
      return live_.size() <= config_.segments_unsynced_max || error_.has_value();
    });
    if (error_) {
      me.abandoned.push_back(std::move(segment));
      return false;
    }
  }
  SegmentStart start{{}, me.chain.blocks};
  SegmentHeader& header = start.header;
  header.log_id = me.chain.log_id;
  header.segment_number = me.next_segment_number;
  header.first_sequence = me.chain.next_sequence;
  header.first_block_number = me.chain.next_block_number;
  header.integrity = me.chain.integrity;
  header.previous_root = me.chain.root;
  header.created_ns = wall_clock_ns(config_);
  if (config_.compress_after_segments > 0) header.features |= kFeatureCompressed;
  header.promised_sequence = promise();
  me.chain.promised_sequence = header.promised_sequence;
  if (auto begun = segment->begin(start); !begun) {
    fail(begun.error());
    me.abandoned.push_back(std::move(segment));
    return false;
  }
  me.next_segment_number += 1;
  me.segment = segment.get();
  const std::lock_guard lock(mutex_);
  live_.push_back(std::move(segment));
  stats_.segments_begun += 1;
  stats_.segment_waits += waited ? 1 : 0;
  return true;
}

}  // namespace grace::ledger::internal
