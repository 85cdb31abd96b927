#include "hash_aside.h"

#include <span>
#include <utility>

#include "block.h"

namespace grace::ledger::internal {

HashAside::HashAside() : thread_([this] { run(); }) {}

HashAside::~HashAside() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::vector<std::byte> HashAside::add(std::vector<std::byte> block, const Hash& expected) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.size() < kWaitingMax; });
  waiting_.push_back({std::move(block), expected});
  std::vector<std::byte> spare;
  if (!spare_.empty()) {
    spare = std::move(spare_.back());
    spare_.pop_back();
  }
  lock.unlock();
  changed_.notify_all();
  return spare;
}

bool HashAside::all_match() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.empty() && !hashing_; });
  return matches_;
}

void HashAside::run() {
  Sha256 hasher;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !waiting_.empty() || ended_; });
    if (waiting_.empty()) return;
    auto [block, expected] = std::move(waiting_.front());
    waiting_.pop_front();
    hashing_ = true;
    lock.unlock();
    changed_.notify_all();
    const auto header = load<BlockHeader>(block);
    const auto records =
        std::span<const std::byte>(block).subspan(sizeof(BlockHeader), header.records_bytes);
    const bool matches = expected == records_hash(header.flags, records, hasher);
    lock.lock();
    hashing_ = false;
    matches_ = matches_ && matches;
    spare_.push_back(std::move(block));
    changed_.notify_all();
  }
}

}  // namespace grace::ledger::internal
