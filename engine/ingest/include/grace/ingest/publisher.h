#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "grace/core/packed_event.h"
#include "grace/core/packed_ring.h"

namespace grace::ingest {

enum class PublishStatus : std::uint8_t {
  kOk = 0,
  kFull,      // no room until the engine has taken more: the event is still the caller's
  kClosed,    // the engine takes nothing any more
  kTooLarge,  // over event_bytes_max, or a text over core::kPackedTextBytesMax
};

// Events, by what became of the call that offered them. `published` have all reached the engine,
// which counts each as received; the others have not.
struct PublishFigures {
  std::uint64_t published = 0;
  std::uint64_t bytes = 0;  // of the ring, that the published took, padding included
  std::uint64_t refused_full = 0;
  std::uint64_t refused_closed = 0;
  std::uint64_t refused_too_large = 0;
};

// What a publisher writes into, and where its figures stand. In this process (PublishSource) or
// shared with another (connect_shared).
class PublishRing {
 public:
  virtual ~PublishRing() = default;
  // The engine is gone and nobody will ever read the ring again. May cost a system call.
  [[nodiscard]] virtual bool is_abandoned() const noexcept = 0;

  core::PackedRingWriter writer;
  // Written by the publisher's thread alone, relaxed: readers want figures, not an order.
  struct alignas(core::kCacheLineBytes) {
    std::atomic<std::uint64_t> published{0}, bytes{0}, full{0}, closed{0}, too_large{0};
  } figures;

 protected:
  PublishRing(core::PackedRingState& state, const core::PackedMemory& memory)
      : writer(state, memory) {}
};

// What a ring takes.
struct PublishLimits {
  std::size_t event_bytes_max = 0;
  std::size_t align_bytes = core::kPackedAlignBytes;
};

// One thread's way into an engine: typed events, no JSON. Made by PublishSource::publisher() in the
// engine's own process, by connect_shared() in another.
//
//   Publisher -> its ring -> a source's read(), on the engine's ingest thread -> chunks, journal
//   ...
//
// From there on an event goes the way of a JSON line: it has a sequence, stands in the journal, is
// judged with the same rules and rejected for the same reasons. A publish says that the engine has
// got the event, not that it is valid.
//
// Thread: one at a time for all calls but figures(), which any may read. No lock, no allocation and
// no system call, but: publish() while it waits, events over 8 KiB with their escapes (packed aside
// first), and a shared ring that is full (a look at whether the engine lives).
// Order: a publisher's events stay in order; those of two publishers interleave as they are read.
// Lives as long as it likes: after the engine has ended, everything is refused as closed.
class Publisher {
 public:
  Publisher(std::unique_ptr<PublishRing> ring, const PublishLimits& limits);
  Publisher(Publisher&&) noexcept = default;
  Publisher& operator=(Publisher&& other) noexcept;
  ~Publisher();  // flushes

  // Event: core::MetricSample, SeriesSample, ActionRecord, MeshEvent or JsonLine. Never waits.
  template <typename Event>
  [[nodiscard]] PublishStatus try_publish(const Event& event) noexcept {
    const PublishStatus added = add(event);
    return added == PublishStatus::kOk ? flush() : added;
  }
  // A prefix of `events`, as much as there is room for; `taken` says how many.
  template <typename Event>
  [[nodiscard]] PublishStatus try_publish(std::span<const Event> events,
                                          std::size_t& taken) noexcept {
    const std::uint64_t before = published_now();
    PublishStatus status = PublishStatus::kOk;
    for (std::size_t i = 0; i < events.size() && status == PublishStatus::kOk; ++i) {
      status = add(events[i]);
    }
    const PublishStatus flushed = flush();
    taken = static_cast<std::size_t>(published_now() - before);
    return status == PublishStatus::kOk ? flushed : status;
  }
  // Waits for room, at most this long; then kFull.
  template <typename Event>
  [[nodiscard]] PublishStatus publish(const Event& event, std::chrono::nanoseconds timeout) {
    Waiting waiting(timeout);
    for (;;) {
      const PublishStatus status = try_publish(event);
      if (status != PublishStatus::kFull || !waiting.pause()) return status;
    }
  }
  // For batches of mixed kinds. kOk: the event is in the batch, which is handed over when it has
  // kBatchBytes, or at flush(). An event in a batch that flush() refuses counts as refused.
  template <typename Event>
  [[nodiscard]] PublishStatus add(const Event& event) noexcept;
  [[nodiscard]] PublishStatus flush() noexcept;

  [[nodiscard]] PublishFigures figures() const noexcept;
  // The engine is gone: nothing that was or will be handed over is read. One system call, where the
  // engine is in another process.
  [[nodiscard]] bool is_abandoned() const noexcept { return ring_->is_abandoned(); }
  // Bytes that were published and that the engine has not taken. What an engine that died leaves
  // here, it has never seen.
  [[nodiscard]] std::size_t unread_bytes() const noexcept { return ring_->writer.unread_bytes(); }

  static constexpr std::size_t kBatchBytes = 16 * 1024;

 private:
  // Sleeps a little more each time, until the time is over.
  class Waiting {
   public:
    explicit Waiting(std::chrono::nanoseconds timeout) noexcept
        : end_(std::chrono::steady_clock::now() + timeout) {}
    [[nodiscard]] bool pause();

   private:
    std::chrono::steady_clock::time_point end_;
    std::chrono::microseconds next_{1};
  };
  // What is written in place; larger bounds are packed aside first, so that little of the ring is
  // lost before its end.
  static constexpr std::size_t kDirectBytesMax = 8 * 1024;

  [[nodiscard]] std::uint64_t published_now() const noexcept;
  [[nodiscard]] char* claim(std::size_t bytes) noexcept;
  [[nodiscard]] std::size_t rounded(std::size_t bytes) const noexcept {
    return (bytes + align_bytes_ - 1) & ~(align_bytes_ - 1);
  }
  PublishStatus refuse(PublishStatus status) noexcept;
  PublishStatus commit(char* record, std::size_t size) noexcept;
  template <typename Event>
  PublishStatus add_large(const Event& event, std::size_t bound) noexcept;
  [[nodiscard]] char* aside(std::size_t bytes) noexcept;
  PublishStatus copy_in(const char* record, std::size_t size) noexcept;
  void end() noexcept;

  std::unique_ptr<PublishRing> ring_;  // null: moved from
  std::size_t align_bytes_;
  std::size_t event_bytes_max_;
  std::uint64_t pending_ = 0;  // events that are committed, not handed over
  std::unique_ptr<char[]> aside_;
  std::size_t aside_bytes_ = 0;
};

template <typename Event>
PublishStatus Publisher::add(const Event& event) noexcept {
  const auto bound = core::packed_bound(event);
  if (!bound) return refuse(PublishStatus::kTooLarge);
  if (*bound > kDirectBytesMax || *bound > event_bytes_max_) return add_large(event, *bound);
  char* const record = claim(rounded(*bound));
  if (record == nullptr) return refuse(PublishStatus::kFull);
  return commit(record, core::pack(event, record));
}

template <typename Event>
PublishStatus Publisher::add_large(const Event& event, std::size_t bound) noexcept {
  // A text may grow six times by its escapes; beyond that it cannot fit.
  if (bound > 8 * event_bytes_max_) return refuse(PublishStatus::kTooLarge);
  char* const record = aside(bound);
  return copy_in(record, core::pack(event, record));
}

}  // namespace grace::ingest

namespace grace {
using ingest::Publisher;
}  // namespace grace
