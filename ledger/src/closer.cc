#include <utility>

#include "writer_core.h"

namespace grace::ledger::internal {

// Committer: to whoever comes next, in order; waits while that one is behind.
void WriterCore::hand_over(FilledBlock&& block) {
  if (!closer_thread_.joinable()) {  // [HAND]
    hash_filled(block, committer_.hasher);
    store_filled(block);
  } else if (hasher_thread_.joinable()) {
    to_hasher_.push(std::move(block));
  } else {
    to_closer_.push(std::move(block));
  }
}

bool WriterCore::needs_hash(const FilledBlock& block) const {
  return config_.integrity == Integrity::kSha256 && !block.seals;
}

// What BlockHeader::records_hash is over.
RecordsOfBlock WriterCore::records_of(FilledBlock& block) {
  const OpenBlock& open = block.filled.open;
  const std::uint64_t end = sizeof(BlockHeader) + open.records_bytes;
  return {open.flags, block.filled.buffer->first(end).subspan(sizeof(BlockHeader))};
}

void WriterCore::hash_filled(FilledBlock& block, Sha256& hasher) const {
  if (!needs_hash(block)) return;
  const RecordsOfBlock records = records_of(block);
  block.filled.records_hash = records_hash(records.flags, records.bytes, hasher);
}

// Two at a time where two are there.
void WriterCore::run_hasher() {
  Sha256 hasher;
  while (auto block = to_hasher_.pop()) {
    auto next = to_hasher_.try_pop();
    if (next && needs_hash(*block) && needs_hash(*next)) {
      const auto hashes = records_hash_of_two(records_of(*block), records_of(*next), hasher);
      block->filled.records_hash = hashes[0];
      next->filled.records_hash = hashes[1];
    } else {
      hash_filled(*block, hasher);
      if (next) hash_filled(*next, hasher);
    }
    to_closer_.push(std::move(*block));
    if (next) to_closer_.push(std::move(*next));
  }
  to_closer_.end();
}

void WriterCore::run_closer() {
  while (auto block = to_closer_.pop()) store_filled(*block);
  end_closing();
}

// No more blocks will be stored.
void WriterCore::end_closing() {
  {
    const std::lock_guard lock(mutex_);
    closing_done_ = true;
  }
  syncer_wake_.notify_one();
}

// After a failure nothing follows: a log has no gaps.
void WriterCore::store_filled(FilledBlock& block) {
  // [FAIL] acquire pairs with the release in fail().
  if (failed_.load(std::memory_order_acquire)) {
    pool_.give_back(std::move(block.filled.buffer));
    return;
  }
  const std::vector<std::uint64_t> positions = block.filled.positions;
  auto stored = block.seals ? store_->seal() : store_->append(std::move(block.filled));
  if (!stored) return fail(stored.error());
  publish(positions);
}

// The block is written: tells producers and the syncer.
void WriterCore::publish(const std::vector<std::uint64_t>& positions) {
  {
    const std::lock_guard lock(mutex_);
    watermarks_.raise_written(store_->written_sequence(), positions, rings_);
    unsynced_ = true;
  }
  syncer_wake_.notify_one();
  if (config_.sync == SyncMode::kNone) progress_.notify_all();
}

}  // namespace grace::ledger::internal
