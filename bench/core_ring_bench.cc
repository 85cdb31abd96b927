// Question: what does it cost to hand an event from one worker to another, and does our SpscRing
// earn its place against the packaged queues?
//
//   [producer thread] --- queue of 4096 items ---> [consumer thread, timed]
//
// Each queue carries the same items in order, one by one and in batches of 64; both sides yield
// when they cannot go on. Items are 128 bytes, as a core::Event is, or 8 bytes. After the timing
// the sum of what was received is compared with the sum of what was sent: a mismatch fails the run.
// Non-goals: latency of a single hand-over, several producers.
#include <benchmark/benchmark.h>
#include <concurrentqueue.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <thread>

#include "grace/core/spsc_ring.h"
#include "grace/core/stream_copy.h"

namespace grace::core {
namespace {

constexpr std::size_t kDepth = 4096;
constexpr std::size_t kBatchMax = 64;

template <std::size_t kBytes>
struct alignas(std::min(kBytes, kCacheLineBytes)) Item {
  std::array<std::uint64_t, kBytes / 8> words{};
};

// Every queue under test as two calls: push a prefix, pop up to n; both say how many.

template <typename T>
class OurRing {
 public:
  std::size_t push(std::span<const T> items) { return ring_.try_push_batch(items); }
  std::size_t pop(std::span<T> items) { return ring_.try_pop_batch(items); }

 private:
  SpscRing<T> ring_{kDepth};
};

// As workers fill it: each item past the caches into its slot.
template <typename T>
class OurRingStreamed {
 public:
  std::size_t push(std::span<const T> items) {
    const std::span<T> slots = ring_.claim(items.size());
    for (std::size_t i = 0; i < slots.size(); ++i) stream_copy(&slots[i], &items[i], sizeof(T));
    stream_fence();
    ring_.publish(slots.size());
    return slots.size();
  }
  std::size_t pop(std::span<T> items) { return ring_.try_pop_batch(items); }

 private:
  SpscRing<T> ring_{kDepth};
};

template <typename T>
class BoostSpsc {
 public:
  std::size_t push(std::span<const T> items) { return queue_.push(items.data(), items.size()); }
  std::size_t pop(std::span<T> items) { return queue_.pop(items.data(), items.size()); }

 private:
  boost::lockfree::spsc_queue<T> queue_{kDepth};
};

template <typename T>
class Moodycamel {
 public:
  std::size_t push(std::span<const T> items) {
    // Unbounded by itself: keeps the depth of the others by the consumer's count, which is looked
    // at only when needed, as our ring does.
    if (sent_ - popped_seen_ + items.size() > kDepth) {
      // Relaxed: a bound, the queue orders the items.
      popped_seen_ = popped_.load(std::memory_order_relaxed);
      if (sent_ - popped_seen_ + items.size() > kDepth) return 0;
    }
    if (!queue_.try_enqueue_bulk(producer_, items.data(), items.size())) return 0;
    sent_ += items.size();
    return items.size();
  }
  std::size_t pop(std::span<T> items) {
    const std::size_t count = queue_.try_dequeue_bulk(consumer_, items.data(), items.size());
    // Relaxed, here and below: only the consumer writes it.
    popped_.store(popped_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    return count;
  }

 private:
  struct Traits : moodycamel::ConcurrentQueueDefaultTraits {
    static const std::size_t EXPLICIT_INITIAL_INDEX_SIZE = 512;
  };
  moodycamel::ConcurrentQueue<T, Traits> queue_{2 * kDepth};
  moodycamel::ProducerToken producer_{queue_};
  moodycamel::ConsumerToken consumer_{queue_};
  std::size_t sent_ = 0;
  std::size_t popped_seen_ = 0;
  alignas(kCacheLineBytes) std::atomic<std::size_t> popped_{0};
};

template <typename T>
class MutexDeque {
 public:
  std::size_t push(std::span<const T> items) {
    const std::scoped_lock lock(mutex_);
    const std::size_t count = std::min(items.size(), kDepth - items_.size());
    items_.insert(items_.end(), items.begin(), items.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  std::size_t pop(std::span<T> items) {
    const std::scoped_lock lock(mutex_);
    const auto count = static_cast<std::ptrdiff_t>(std::min(items.size(), items_.size()));
    std::copy_n(items_.begin(), count, items.begin());
    items_.erase(items_.begin(), items_.begin() + count);
    return static_cast<std::size_t>(count);
  }

 private:
  std::mutex mutex_;
  std::deque<T> items_;
};

// The number n is carried in every word, so that the whole item must travel.
template <typename T>
void produce(auto& queue, std::size_t batch_size, const std::atomic<bool>& stop) {
  std::array<T, kBatchMax> batch;
  std::uint64_t next = 0;
  // Relaxed: the flag carries no data.
  while (!stop.load(std::memory_order_relaxed)) {
    for (std::size_t i = 0; i < batch_size; ++i) batch[i].words.fill(next + i);
    std::span<const T> rest = std::span<const T>(batch).first(batch_size);
    while (!rest.empty() && !stop.load(std::memory_order_relaxed)) {  // relaxed: see above
      const std::size_t pushed = queue.push(rest);
      rest = rest.subspan(pushed);
      if (pushed == 0) std::this_thread::yield();
    }
    next += batch_size;
  }
}

template <template <typename> typename Queue, std::size_t kBytes>
void hand_over(benchmark::State& state) {
  using T = Item<kBytes>;
  constexpr std::uint64_t kItemsPerRound = 1 << 16;
  const auto batch_size = static_cast<std::size_t>(state.range(0));
  Queue<T> queue;
  std::atomic<bool> stop{false};
  std::thread producer([&] { produce<T>(queue, batch_size, stop); });
  std::array<T, kBatchMax> batch;
  std::uint64_t received = 0;
  std::uint64_t sum_first = 0;
  std::uint64_t sum_last = 0;
  for (auto _ : state) {
    const std::uint64_t target = received + kItemsPerRound;
    while (received < target) {
      const std::size_t want = std::min<std::uint64_t>(batch_size, target - received);
      const std::size_t popped = queue.pop(std::span<T>(batch).first(want));
      for (std::size_t i = 0; i < popped; ++i) {
        sum_first += batch[i].words.front();
        sum_last += batch[i].words.back();
      }
      received += popped;
      if (popped == 0) std::this_thread::yield();
    }
  }
  stop.store(true, std::memory_order_relaxed);  // relaxed: see produce()
  producer.join();
  const std::uint64_t expected =
      received % 2 == 0 ? received / 2 * (received - 1) : (received - 1) / 2 * received;
  if (sum_first != expected || sum_last != expected) {
    state.SkipWithError("received other items than were sent");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(received));
}

#define GRACE_RING_BENCH(queue)                                                                \
  BENCHMARK_TEMPLATE(hand_over, queue, 128)->ArgName("batch")->Arg(1)->Arg(64)->UseRealTime(); \
  BENCHMARK_TEMPLATE(hand_over, queue, 8)->ArgName("batch")->Arg(1)->Arg(64)->UseRealTime()
GRACE_RING_BENCH(OurRing);
BENCHMARK_TEMPLATE(hand_over, OurRingStreamed, 128)->ArgName("batch")->Arg(64)->UseRealTime();
GRACE_RING_BENCH(BoostSpsc);
GRACE_RING_BENCH(Moodycamel);
GRACE_RING_BENCH(MutexDeque);

}  // namespace
}  // namespace grace::core

// A wrong result must fail the program too, not only print a line.
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  struct Reporter : benchmark::ConsoleReporter {
    void ReportRuns(const std::vector<Run>& runs) override {
      for (const Run& run : runs) failed = failed || run.error_occurred;
      ConsoleReporter::ReportRuns(runs);
    }
    bool failed = false;
  } reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return reporter.failed ? 1 : 0;
}
