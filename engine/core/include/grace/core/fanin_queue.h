#pragma once
#include <concurrentqueue.h>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define GRACE_THREAD_SANITIZER 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define GRACE_THREAD_SANITIZER 1
#endif
#ifdef GRACE_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

#include <atomic>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/platform.h"
#include "grace/core/thread_role.h"

namespace grace::core {

#ifdef GRACE_THREAD_SANITIZER
// ConcurrentQueue orders the use and the re-use of an item's place by fences, which ThreadSanitizer
// does not know. This tells it of those two orders; races inside the items are still found.
template <typename T>
struct FaninSlot {
  explicit FaninSlot(T&& item) noexcept : value(std::move(item)) {}
  FaninSlot(FaninSlot&& other) noexcept : value(take(&other)) { __tsan_release(this); }
  ~FaninSlot() {
    value.~T();
    __tsan_release(this);
  }
  operator T() && noexcept {  // NOLINT(google-explicit-constructor): the queue assigns it to a T
    __tsan_acquire(this);
    return std::move(value);
  }
  union {
    T value;  // ended by hand: a member would outlive the release in the destructor's body
  };

 private:
  // Runs before the value is written: the place's former item is gone.
  T&& take(FaninSlot* other) noexcept {
    __tsan_acquire(this);
    return std::move(other->value);
  }
};
#endif

// A bounded queue from many producer threads to one consumer thread: the one door to moodycamel's
// ConcurrentQueue (connections, the executor and the control API hand their items in through it).
//
// Order: items of one producer come out in the order in which that producer pushed them. Between
// producers there is NO order, not even a causal one: a consumer may see B's answer before A's
// question. Who needs one puts it into the items.
// Threads: each producer thread makes its own Producer once, at start-up (this takes memory), and
// pushes through it only. One consumer thread pops.
// Bounds: at most depth_max() items over all producers; try_push gives false at the bound and the
// caller counts or retries. No push allocates: the block index of every producer is as large as the
// whole queue from the start, because ConcurrentQueue's try_enqueue fails (silently early) when a
// producer outgrows its index.
// Lifetime: a Producer must not outlive its queue.
// Bad at: strict order, and one producer only (SpscRing is faster and in order).
template <typename T>
class FaninQueue {
  struct Traits : moodycamel::ConcurrentQueueDefaultTraits {
    static const std::size_t BLOCK_SIZE = 32;
    static const std::size_t EXPLICIT_INITIAL_INDEX_SIZE = 1024;
  };
#ifdef GRACE_THREAD_SANITIZER
  using Slot = FaninSlot<T>;
#else
  using Slot = T;
#endif
  using Queue = moodycamel::ConcurrentQueue<Slot, Traits>;

 public:
  // One index entry is kept free, and a producer's first and last block may be partly used.
  static constexpr std::size_t kDepthMax =
      Traits::BLOCK_SIZE * (Traits::EXPLICIT_INITIAL_INDEX_SIZE - 2);

  class Producer {
   public:
    explicit Producer(FaninQueue& queue) : queue_(&queue), token_(queue.queue_) {
      GRACE_ASSERT(token_.valid(), "no memory for a producer token");
      // Relaxed: a count checked against a bound, no data depends on it.
      const std::size_t before = queue.producer_count_.fetch_add(1, std::memory_order_relaxed);
      GRACE_ASSERT(before < queue.producers_max_, "more than %zu producers", queue.producers_max_);
    }
    // `item` is moved from only when true is returned.
    [[nodiscard]] bool try_push(T&& item) noexcept {
      role_.check();
      return queue_->push(token_, std::move(item));
    }
    [[nodiscard]] bool try_push(
        const T& item) noexcept requires std::is_nothrow_copy_constructible_v<T> {
      role_.check();
      return queue_->push(token_, T(item));
    }

   private:
    FaninQueue* queue_;  // never null; outlives this
    moodycamel::ProducerToken token_;
    ThreadRole role_;
  };

  // Memory: depth_max items for each producer: a producer keeps the blocks that it once used, and
  // each of them may be the one that fills the queue.
  FaninQueue(std::size_t depth_max, std::size_t producers_max)
      : depth_max_(depth_max),
        producers_max_(producers_max),
        queue_(producers_max * (depth_max / Traits::BLOCK_SIZE + 2) * Traits::BLOCK_SIZE),
        consumer_(queue_) {
    GRACE_ASSERT(depth_max > 0 && depth_max <= kDepthMax, "depth_max %zu is not in [1, %zu]",
                 depth_max, kDepthMax);
  }
  FaninQueue(const FaninQueue&) = delete;
  FaninQueue& operator=(const FaninQueue&) = delete;

  // Pops up to items.size() items; gives how many. The consumer thread only.
  [[nodiscard]] std::size_t try_pop_batch(std::span<T> items) noexcept {
    consumer_role_.check();
    if (items.empty()) return 0;
    const std::size_t count = queue_.try_dequeue_bulk(consumer_, items.data(), items.size());
    // Relaxed: depth_ is a bound on memory; the queue itself orders the items' data.
    if (count != 0) depth_.fetch_sub(count, std::memory_order_relaxed);
    return count;
  }
  [[nodiscard]] bool try_pop(T& item) noexcept {
    return try_pop_batch(std::span<T>(&item, 1)) == 1;
  }
  // Items inside, and those just being pushed; may lag. Any thread.
  [[nodiscard]] std::size_t size() const noexcept {
    // Relaxed: a number for people.
    return depth_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t depth_max() const noexcept {
    return depth_max_;
  }

 private:
  bool push(const moodycamel::ProducerToken& token, T&& item) noexcept {
    // Relaxed: reserves a place against the bound. Reserving before pushing keeps depth_ >= items
    // inside at all times, so it never runs below zero.
    if (depth_.fetch_add(1, std::memory_order_relaxed) < depth_max_ &&
        enqueue(token, std::move(item))) {
      return true;
    }
    // Relaxed: gives the reservation back.
    depth_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  bool enqueue(const moodycamel::ProducerToken& token, T&& item) noexcept {
#ifdef GRACE_THREAD_SANITIZER
    Slot slot(std::move(item));
    if (queue_.try_enqueue(token, std::move(slot))) return true;
    item = std::move(slot.value);
    return false;
#else
    return queue_.try_enqueue(token, std::move(item));
#endif
  }

  const std::size_t depth_max_;
  const std::size_t producers_max_;
  Queue queue_;
  moodycamel::ConsumerToken consumer_;
  ThreadRole consumer_role_;
  alignas(kCacheLineBytes) std::atomic<std::size_t> depth_{0};
  std::atomic<std::size_t> producer_count_{0};
};

}  // namespace grace::core
