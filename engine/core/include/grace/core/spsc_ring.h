#pragma once
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/platform.h"
#include "grace/core/thread_role.h"

namespace grace::core {

// A bounded queue from one producer thread to one consumer thread. Wait-free: every call does a
// bounded number of steps whatever the other side does, and takes no memory after construction.
//
//   slots_   [ . | r | r | r | r | . | . | . ]      r: readable, .: writable
//                  ^ consumer_next_  ^ producer_next_
//
// Sequences count up for ever and are masked to slots, so all slots are usable and full differs
// from empty. Each side keeps a cached copy of the other side's sequence (`_seen_`) and reads the
// real one only when the copy does not give what was asked for: in a stream of small items the two
// cores exchange one line per batch instead of one per item.
//
// Threads: push, claim, publish: the producer. pop, peek, release, empty: the consumer. size() and
// capacity(): any. Debug builds check the sides (ThreadRole).
// Full: try_push gives false, try_push_batch takes what fits; the caller owns what was not taken
// and counts or retries it. Nothing is overwritten.
// T is default constructible and either trivially copyable (the fast case: blocks are copied) or
// movable without exceptions; slots of the latter are reset when they are released.
// Bad at: more than one thread on a side (use FaninQueue), and waiting (a Runner does that).
template <typename T>
class SpscRing {
  static_assert(std::is_nothrow_default_constructible_v<T> && std::is_nothrow_move_assignable_v<T>,
                "a slot must be movable without exceptions: a half-done batch cannot be undone");

 public:
  static constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

  // Rounds up to a power of two, at least 1. Memory: that many T, touched here.
  explicit SpscRing(std::size_t capacity_min)
      : slot_mask_(std::bit_ceil(std::max<std::size_t>(capacity_min, 1)) - 1),
        slots_(allocate(slot_mask_ + 1)) {}
  ~SpscRing() { std::destroy_n(slots_.get(), capacity()); }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  [[nodiscard]] std::size_t capacity() const noexcept { return slot_mask_ + 1; }

  // --- producer ---

  // Writable slots in one piece, at most `max`; empty when the ring is full. May be fewer than are
  // free: the piece ends at the end of the array. Fill a prefix, then publish() its length. The
  // span stays writable until then; claiming again gives the same slots.
  [[nodiscard]] std::span<T> claim(std::size_t max = kAll) noexcept {
    producer_.role.check();
    // Relaxed: only the producer writes producer_.next.
    const std::uint64_t next = producer_.next.load(std::memory_order_relaxed);
    const std::size_t free = free_slots(next, max);
    const std::size_t at = static_cast<std::size_t>(next) & slot_mask_;
    return {slots_.get() + at, std::min({max, free, capacity() - at})};
  }
  // Hands the first `count` claimed slots to the consumer.
  void publish(std::size_t count) noexcept {
    producer_.role.check();
    // Relaxed: only the producer writes producer_.next.
    const std::uint64_t next = producer_.next.load(std::memory_order_relaxed);
    GRACE_DCHECK(next + count - producer_.consumer_seen <= capacity(), "published %zu unclaimed",
                 count);
    // [READY] release: publishes the slots written before this call. Pairs with the acquire in
    // readable_slots().
    producer_.next.store(next + count, std::memory_order_release);
  }
  [[nodiscard]] bool try_push(
      const T& item) noexcept requires std::is_nothrow_copy_assignable_v<T> {
    const std::span<T> slot = claim(1);
    if (slot.empty()) return false;
    slot[0] = item;
    publish(1);
    return true;
  }
  // `item` is moved from only when true is returned.
  [[nodiscard]] bool try_push(T&& item) noexcept {
    const std::span<T> slot = claim(1);
    if (slot.empty()) return false;
    slot[0] = std::move(item);
    publish(1);
    return true;
  }
  // Pushes a prefix of `items`, as long as fits; gives its length. The consumer sees it at once or
  // not at all.
  [[nodiscard]] std::size_t try_push_batch(
      std::span<const T> items) noexcept requires std::is_trivially_copyable_v<T> {
    producer_.role.check();
    // Relaxed: only the producer writes producer_.next.
    const std::uint64_t next = producer_.next.load(std::memory_order_relaxed);
    const std::size_t count = std::min(items.size(), free_slots(next, items.size()));
    const std::size_t at = static_cast<std::size_t>(next) & slot_mask_;
    const std::size_t first = std::min(count, capacity() - at);
    std::copy_n(items.data(), first, slots_.get() + at);
    std::copy_n(items.data() + first, count - first, slots_.get());
    if (count != 0) publish(count);
    return count;
  }

  // --- consumer ---

  // Readable slots in one piece, at most `max`, oldest first; empty when nothing is there. They
  // stay valid until release(); peeking again gives the same slots first. The consumer may change
  // them (move out of them).
  [[nodiscard]] std::span<T> peek(std::size_t max = kAll) noexcept {
    consumer_.role.check();
    // Relaxed: only the consumer writes consumer_.next.
    const std::uint64_t next = consumer_.next.load(std::memory_order_relaxed);
    const std::size_t ready = readable_slots(next, max);
    const std::size_t at = static_cast<std::size_t>(next) & slot_mask_;
    return {slots_.get() + at, std::min({max, ready, capacity() - at})};
  }
  // Gives the oldest `count` slots back to the producer.
  void release(std::size_t count) noexcept {
    consumer_.role.check();
    // Relaxed: only the consumer writes consumer_.next.
    const std::uint64_t next = consumer_.next.load(std::memory_order_relaxed);
    GRACE_DCHECK(count <= consumer_.producer_seen - next, "released %zu unread", count);
    if constexpr (!std::is_trivially_copyable_v<T>) {
      for (std::size_t i = 0; i < count; ++i) {
        slots_[(static_cast<std::size_t>(next) + i) & slot_mask_] = T{};
      }
    }
    // [FREE] release: our reads of the slots are done before the producer can see them free. Pairs
    // with the acquire in free_slots().
    consumer_.next.store(next + count, std::memory_order_release);
  }
  [[nodiscard]] bool try_pop(T& item) noexcept {
    const std::span<T> slot = peek(1);
    if (slot.empty()) return false;
    item = std::move(slot[0]);
    release(1);
    return true;
  }
  // Pops up to items.size(); gives how many.
  [[nodiscard]] std::size_t try_pop_batch(std::span<T> items) noexcept {
    consumer_.role.check();
    // Relaxed: only the consumer writes consumer_.next.
    const std::uint64_t next = consumer_.next.load(std::memory_order_relaxed);
    const std::size_t count = std::min(items.size(), readable_slots(next, items.size()));
    const std::size_t at = static_cast<std::size_t>(next) & slot_mask_;
    const std::size_t first = std::min(count, capacity() - at);
    std::move(slots_.get() + at, slots_.get() + at + first, items.data());
    std::move(slots_.get(), slots_.get() + (count - first), items.data() + first);
    if (count != 0) release(count);
    return count;
  }
  // Exact for the consumer: what it does not find now was not published before.
  [[nodiscard]] bool empty() noexcept {
    consumer_.role.check();
    // Relaxed: only the consumer writes consumer_.next.
    return readable_slots(consumer_.next.load(std::memory_order_relaxed), 1) == 0;
  }

  // --- any thread ---

  // Items inside at some moment near the call; for statistics.
  [[nodiscard]] std::size_t size() const noexcept {
    // Relaxed: a number for people, no data is read on its strength. The consumer's first: it only
    // grows, and read second it could overtake the producer's.
    const std::uint64_t consumed = consumer_.next.load(std::memory_order_relaxed);
    const std::uint64_t produced = producer_.next.load(std::memory_order_relaxed);
    return produced < consumed
               ? 0
               : std::min(static_cast<std::size_t>(produced - consumed), capacity());
  }
  // Forgets which threads used the two sides, when a ring is handed on. See ThreadRole.
  void unbind_roles() noexcept {
    producer_.role.unbind();
    consumer_.role.unbind();
  }

 private:
  struct Free {
    void operator()(T* slots) const noexcept { std::free(slots); }
  };
  using Slots = std::unique_ptr<T[], Free>;
  // Whole cache lines, so that no neighbour on the heap shares the first or the last slot's line.
  static Slots allocate(std::size_t count) {
    constexpr std::size_t kAlign = std::max(kCacheLineBytes, alignof(T));
    const std::size_t bytes = (count * sizeof(T) + kAlign - 1) / kAlign * kAlign;
    T* const slots = static_cast<T*>(std::aligned_alloc(kAlign, bytes));
    GRACE_ASSERT(slots != nullptr, "no memory for a ring of %zu slots", count);
    std::uninitialized_value_construct_n(slots, count);
    return Slots(slots);
  }

  // Free slots as far as known; looks at the consumer again only if fewer than `wanted`.
  std::size_t free_slots(std::uint64_t next, std::size_t wanted) noexcept {
    std::size_t free = capacity() - static_cast<std::size_t>(next - producer_.consumer_seen);
    if (free < wanted && free < capacity()) {
      // [FREE] acquire: the consumer is finished with every slot below this sequence, so we may
      // overwrite it. Pairs with the release in release().
      producer_.consumer_seen = consumer_.next.load(std::memory_order_acquire);
      free = capacity() - static_cast<std::size_t>(next - producer_.consumer_seen);
    }
    return free;
  }
  // Readable slots as far as known; looks at the producer again only if fewer than `wanted`.
  std::size_t readable_slots(std::uint64_t next, std::size_t wanted) noexcept {
    std::size_t ready = static_cast<std::size_t>(consumer_.producer_seen - next);
    if (ready < wanted && ready < capacity()) {
      // [READY] acquire: every slot below this sequence is written. Pairs with the release in
      // publish().
      consumer_.producer_seen = producer_.next.load(std::memory_order_acquire);
      ready = static_cast<std::size_t>(consumer_.producer_seen - next);
    }
    return ready;
  }

  // Written by no one after construction.
  alignas(kCacheLineBytes) const std::size_t slot_mask_;
  const Slots slots_;
  // Each group has one writer and its own line; the other side only reads `next`.
  struct alignas(kCacheLineBytes) {
    std::atomic<std::uint64_t> next{0};
    std::uint64_t consumer_seen = 0;  // <= consumer_.next
    ThreadRole role;
  } producer_;
  struct alignas(kCacheLineBytes) {
    std::atomic<std::uint64_t> next{0};
    std::uint64_t producer_seen = 0;  // <= producer_.next
    ThreadRole role;
  } consumer_;
};

}  // namespace grace::core
