#pragma once
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "sharing.h"

namespace grace::ledger::internal {

// Bounded queue from one thread to the next, in order, of things that are few and large: a block of
// half a megabyte for each lock taken. Full, push() waits; empty, pop() does. After end()
// pop() gives what is left, then nothing. Whoever pushes may take as well, where order is nothing.
template <typename T, typename Sharing = StdSharing>
class HandOff {
 public:
  explicit HandOff(std::size_t waiting_max) : waiting_max_(waiting_max) {}

  void push(T&& item) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.size() < waiting_max_; });
    put(std::move(item), std::move(lock));
  }
  // Whether so many are taken without a wait: stays true for who alone pushes.
  [[nodiscard]] bool has_room(std::size_t count) {
    const std::lock_guard lock(mutex_);
    return waiting_.size() + count <= waiting_max_;
  }
  // False where push() would wait: the item stays as it is.
  [[nodiscard]] bool try_push(T&& item) {
    std::unique_lock lock(mutex_);
    if (waiting_.size() >= waiting_max_) return false;
    put(std::move(item), std::move(lock));
    return true;
  }
  [[nodiscard]] std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !waiting_.empty() || ended_; });
    return take(std::move(lock));
  }
  // Nothing also where pop() would wait.
  [[nodiscard]] std::optional<T> try_pop() { return take(std::unique_lock(mutex_)); }
  // Nothing is pushed any more.
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
  }

 private:
  void put(T&& item, std::unique_lock<typename Sharing::Mutex> lock) {
    waiting_.push_back(std::move(item));
    lock.unlock();
    changed_.notify_all();
  }
  std::optional<T> take(std::unique_lock<typename Sharing::Mutex> lock) {
    std::optional<T> item;
    if (waiting_.empty()) return item;
    item.emplace(std::move(waiting_.front()));
    waiting_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return item;
  }

  const std::size_t waiting_max_;
  typename Sharing::Mutex mutex_;
  typename Sharing::ConditionVariable changed_;
  std::deque<T> waiting_;  // guarded by mutex_, as below
  typename Sharing::template Plain<bool> ended_{false};
};

}  // namespace grace::ledger::internal
