#include "writer_core.h"

namespace grace::ledger::internal {

// Blocks arrive faster than they can be synced one by one: each round takes all that has been
// stored by then, which is the group commit. After a failure of the store, what it had stored is
// still made durable.
void WriterCore::run_syncer() {
  std::unique_lock lock(mutex_);
  for (;;) {
    syncer_wake_.wait(lock, [&] { return unsynced_ || closing_done_; });
    if (!unsynced_) return;
    unsynced_ = false;
    lock.unlock();
    const auto synced = store_->sync();
    if (!synced) {
      fail(synced.error());
      return;
    }
    lock.lock();
    unsynced_ = unsynced_ || synced->failed_over;
    const bool reached = !synced->failed_over || synced->sequence > 0;
    if (config_.sync == SyncMode::kGroup && reached) {
      stats_.syncs += synced->failed_over ? 0 : 1;
      watermarks_.raise_durable(synced->sequence, synced->positions, rings_);
    }
    progress_.notify_all();
  }
}

}  // namespace grace::ledger::internal
