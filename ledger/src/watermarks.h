#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sharing.h"

namespace grace::ledger::internal {

// How far a log has got: the sequence of the last record that is written, and of the last that is
// durable; for each ring the same, as positions in it. Raised by the closer, and by the syncer
// where that is ahead of it, under the writer's mutex, so that nobody misses it who waits there;
// read by any thread, without a lock. What is durable is written: who reads durable() first and
// written() then sees it so.
template <typename Sharing>
class BasicWatermarks {
 public:
  BasicWatermarks(std::uint64_t written, std::uint64_t durable)
      : written_(written), durable_(durable) {}

  // --- any thread ---

  [[nodiscard]] std::uint64_t written() const noexcept {
    // [WRITTEN] acquire: who sees the sequence may rely on the block being in its file. Pairs with
    // the release in raise_written().
    return written_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t durable() const noexcept {
    // [DURABLE] acquire: who sees the sequence may act on the record being synced. Pairs with the
    // release in raise_durable().
    return durable_.load(std::memory_order_acquire);
  }

  // --- who holds the mutex ---

  // After a block's magic is in its file. `positions`: of the first rings, up to where their
  // entries are in a block that is written.
  template <typename Rings>
  void raise_written(std::uint64_t sequence, std::span<const std::uint64_t> positions,
                     const Rings& rings) {
    for (std::size_t index = 0; index < positions.size(); ++index) {
      rings[index]->set_written(std::max(rings[index]->written_position(), positions[index]));
    }
    // Relaxed: changes under the mutex.
    if (written_.load(std::memory_order_relaxed) >= sequence) return;
    // [WRITTEN] release: after the block's magic. Pairs with the acquire in written().
    written_.store(sequence, std::memory_order_release);
  }
  // After a sync has returned. Only grows, since only the syncer calls it.
  template <typename Rings>
  void raise_durable(std::uint64_t sequence, std::span<const std::uint64_t> positions,
                     const Rings& rings) {
    // The closer may not have told of these yet; nothing is durable before it is written.
    raise_written(sequence, positions, rings);
    for (std::size_t index = 0; index < positions.size(); ++index) {
      rings[index]->set_durable(positions[index]);
    }
    // [DURABLE] release: after the sync returned. Pairs with the acquire in durable().
    durable_.store(sequence, std::memory_order_release);
  }

 private:
  template <typename T>
  using Atomic = typename Sharing::template Atomic<T>;

  Atomic<std::uint64_t> written_;
  Atomic<std::uint64_t> durable_;
};

using Watermarks = BasicWatermarks<StdSharing>;

}  // namespace grace::ledger::internal
