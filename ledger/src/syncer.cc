#include "writer_core.h"

namespace grace::ledger::internal {

// Blocks arrive faster than they can be synced one by one: each round takes all that has been
// closed by then, which is the group commit.
void WriterCore::run_syncer() {
  std::vector<SyncJob> jobs;
  std::vector<std::uint64_t> positions;
  std::unique_lock lock(mutex_);
  const auto sync_failed = [this] { return error_ && error_->code == ErrorCode::kSyncFailed; };
  for (;;) {
    // When the committer failed, what it had filled is still closed and made durable.
    syncer_wake_.wait(lock, [&] { return unsynced_ || closing_done_ || sync_failed(); });
    if (!unsynced_ || sync_failed()) return;
    unsynced_ = false;
    jobs.clear();
    for (const auto& segment : live_) {
      jobs.push_back({segment.get(), segment->written_end, segment->sealed});
    }
    positions = written_positions_;
    const std::uint64_t sequence = handed_sequence_;
    lock.unlock();
    auto synced = sync_all(jobs);
    if (!synced) {
      // Never tried again: after a failed sync the kernel may have dropped the pages and call them
      // clean, and a second sync would succeed without them.
      fail(synced.error());
      return;
    }
    lock.lock();
    while (!live_.empty() && !jobs.empty() && live_.front().get() == jobs.front().segment &&
           jobs.front().sealed) {
      live_.pop_front();
      jobs.erase(jobs.begin());
    }
    if (config_.sync == SyncMode::kGroup) {
      stats_.syncs += 1;
      for (std::size_t index = 0; index < positions.size(); ++index) {
        if (rings_[index] != nullptr) rings_[index]->set_durable(positions[index]);
      }
      // [DURABLE] release: after the sync returned. Pairs with the acquires in durable_sequence()
      // and promise().
      durable_sequence_.store(sequence, std::memory_order_release);
    }
    progress_.notify_all();
  }
}

Result<void> WriterCore::sync_all(const std::vector<SyncJob>& jobs) {
  if (config_.before_sync && config_.sync == SyncMode::kGroup) config_.before_sync();
  for (const SyncJob& job : jobs) {
    if (config_.sync == SyncMode::kGroup) {
      if (auto synced = job.segment->sync(job.end); !synced) return synced;
    }
    if (job.sealed) {
      // Not a failure of the log if the file system refuses: zeros may follow a seal.
      (void)job.segment->cut(job.end);
    }
  }
  return {};
}

}  // namespace grace::ledger::internal
