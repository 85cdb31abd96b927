#pragma once
#include <atomic>
#include <cstdint>

#include "grace/core/assert.h"
#include "grace/core/platform.h"
#include "grace/core/thread_role.h"

namespace grace::core {

// What several threads may do, but one at a time: whoever is free takes the turn, and nobody waits
// for it. What one turn wrote the next one sees.
// Threads: any; a thread has one turn at a time and gives it back itself.
class alignas(kCacheLineBytes) Turn {
 public:
  [[nodiscard]] bool try_take() noexcept {
    // Relaxed: a look, so that those who find it taken leave the line where it is.
    if (taken_.load(std::memory_order_relaxed)) return false;
    // [TURN] acquire: pairs with the release in give_back(), so that turns follow on each other.
    if (taken_.exchange(true, std::memory_order_acquire)) return false;
    GRACE_DCHECK(ThreadRole::turn_of_this_thread() == 0, "a thread has one turn at a time");
    ThreadRole::turn_of_this_thread() = reinterpret_cast<std::uintptr_t>(this);
    return true;
  }
  void give_back() noexcept {
    ThreadRole::turn_of_this_thread() = 0;
    // [TURN] release: pairs with the acquire in try_take().
    taken_.store(false, std::memory_order_release);
  }

 private:
  std::atomic<bool> taken_{false};
};

}  // namespace grace::core
