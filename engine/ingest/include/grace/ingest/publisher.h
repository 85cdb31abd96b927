#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/packed_event.h"
#include "grace/core/packed_ring.h"
#include "grace/ingest/source.h"

namespace grace::ingest {

struct PublishConfig {
  // --- behaviour ---
  std::string name = "publisher";
  // approve, reject, pause ... are accepted from these publishers.
  bool operator_allowed = false;
  // The source ends when all publishers that were made have ended, as a file ends; for programs
  // that publish what they have and then want it decided. False: at request_stop() alone.
  bool end_with_publishers = false;
  // Longest record of an event. Longer ones are refused. At most half of ring_bytes.
  std::size_t event_bytes_max = 64 * 1024;
  // Records take a multiple of this: 8 to 4096, a power of two. With JSON lines that are filled
  // with blanks to the same sizes, both ways give the same sequences, and so the same digest.
  std::size_t align_bytes = core::kPackedAlignBytes;
  // --- cost ---
  // Each publisher's ring: 4 KiB to 1 GiB, a power of two. Larger: a longer pause of the engine is
  // bridged.
  std::size_t ring_bytes = 1024 * 1024;
  std::size_t publishers_max = 64;  // at one time, 1 to 4096
};
[[nodiscard]] core::Result<PublishConfig> validated(PublishConfig config);

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

class PublishRing;

// One thread's way into an engine in the same process: typed events, no JSON. Made by
// PublishSource::publisher().
//
//   Publisher -> its ring -> PublishSource::read(), on the ingest thread -> chunks, journal ...
//
// From there on an event goes the way of a JSON line: it has a sequence, stands in the journal, is
// judged with the same rules and rejected for the same reasons. A publish says that the engine has
// got the event, not that it is valid.
//
// Thread: one at a time for all calls but figures(), which any may read. No lock, no allocation,
// no system call, but in publish() while it waits and for events over 8 KiB with their escapes.
// Order: a publisher's events stay in order; those of two publishers interleave as they are read.
// Lives as long as it likes: after the engine has ended, everything is refused as closed.
class Publisher {
 public:
  Publisher(Publisher&&) noexcept = default;
  Publisher& operator=(Publisher&& other) noexcept;
  ~Publisher();  // flushes

  // Event: core::MetricSample, ActionRecord, MeshEvent or JsonLine. Never waits.
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

  static constexpr std::size_t kBatchBytes = 16 * 1024;

 private:
  friend class PublishSource;
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

  Publisher(std::shared_ptr<PublishRing> ring, const PublishConfig& config);
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

  std::shared_ptr<PublishRing> ring_;  // null: moved from
  core::PackedRingWriter writer_;
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

// All publishers of one engine, as a source. Give it to Engine::Parts::sources and keep the pointer
// for publisher(), which is good as long as the engine.
//
// Ends at request_stop(): every ring is closed, and what was handed over before is read; or with
// its publishers (PublishConfig). Threads: publisher(): any; the others: the ingest stage's.
class PublishSource final : public Source {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<PublishSource>> create(PublishConfig config);
  ~PublishSource() override;  // closes

  // kFull: publishers_max are alive. kClosed: the source was stopped.
  [[nodiscard]] core::Result<Publisher> publisher();

  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override;

 private:
  explicit PublishSource(const PublishConfig& config);
  void look_for_new_rings();
  [[nodiscard]] bool drop_finished();
  bool read_ring(PublishRing& ring, core::Chunk& chunk, const ReadLimits& limits);

  const PublishConfig config_;
  std::mutex mutex_;  // of rings_ and stopped_
  std::vector<std::shared_ptr<PublishRing>> rings_;
  bool stopped_ = false;
  // [RINGS] Counts changes of rings_ by publisher(); release there, acquire in read().
  std::atomic<std::uint64_t> rings_made_{0};
  // The ingest thread's own copy, so that a read takes no lock.
  std::vector<std::shared_ptr<PublishRing>> reading_;
  std::uint64_t rings_seen_ = 0;
  std::size_t turn_ = 0;
  bool stop_seen_ = false;
};

}  // namespace grace::ingest

namespace grace {
using ingest::Publisher;
}  // namespace grace
