#pragma once
#include <atomic>
#include <cstdint>

#include "grace/core/assert.h"

namespace grace::core {

// Checks that one side of a structure is used by one thread only. Binds to the first thread that
// calls check(); any other thread then breaks an invariant. Checked in builds with GRACE_DCHECK;
// in others check() is empty, while the layout stays the same.
//
// A role may be handed to another thread (filled at start-up, then run by a worker): the threads
// order the hand-over themselves (thread start, join, or a ring), and one of them calls unbind().
// What threads do in turn (Turn) has the turn for its owner, whichever thread has it.
class ThreadRole {
 public:
  void check() noexcept {
#ifndef NDEBUG
    const std::uintptr_t self = self_id();
    std::uintptr_t owner = 0;
    // Relaxed: the value itself is the only news, no other data is read on its strength.
    if (!owner_.compare_exchange_strong(owner, self, std::memory_order_relaxed,
                                        std::memory_order_relaxed)) {
      GRACE_DCHECK(owner == self, "a second thread uses a side that has one owner");
    }
#endif
  }
  // Relaxed: whoever hands the role over orders that with the next user by other means.
  void unbind() noexcept {
    owner_.store(0, std::memory_order_relaxed);
  }

 private:
  friend class Turn;
  // The turn that this thread has, or 0. Its address is unique among living threads, and cheaper
  // than a thread id.
  static std::uintptr_t& turn_of_this_thread() noexcept {
    static thread_local std::uintptr_t turn = 0;
    return turn;
  }
  static std::uintptr_t self_id() noexcept {
    const std::uintptr_t& turn = turn_of_this_thread();
    return turn != 0 ? turn : reinterpret_cast<std::uintptr_t>(&turn);
  }
  std::atomic<std::uintptr_t> owner_{0};
};

}  // namespace grace::core
