#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grace/ingest/publish_source.h"
#include "load_source.h"
#include "load_stream.h"
#include "typed_events.h"

namespace grace::tools {

// The events of a stream as a program would publish them. Immutable: any thread.
class PublishStream {
 public:
  // Keeps a copy of nothing: `stream` outlives it. kInvalidArgument: a blank line, or an event that
  // a publisher refuses.
  [[nodiscard]] static core::Result<std::unique_ptr<PublishStream>> of(const LoadStream& stream);
  // Adds that arrival to the publisher's batch, with ts_ns where its line carries a timestamp.
  [[nodiscard]] ingest::PublishStatus add(std::uint64_t arrival, std::int64_t ts_ns,
                                          Publisher& publisher, std::string& scratch) const;
  // Of its record.
  [[nodiscard]] std::size_t record_bytes(std::uint64_t arrival) const noexcept {
    return record_bytes_[stream_.index_of(arrival)];
  }

 private:
  explicit PublishStream(const LoadStream& stream);
  const LoadStream& stream_;
  TypedEvents events_;
  std::vector<std::uint32_t> record_bytes_;
};

// The generator as a program that publishes: a thread of its own hands over the arrivals that are
// due, through a Publisher. An arrival for which the ring has no room waits there, as the program
// would. It ends when all arrivals of the span are handed over, and the source with it; or when the
// source is stopped.
//
// Threads: create(), take_source(), start() and the destructor: one; the batches: one other.
class PublishLoad {
 public:
  // All outlive the load. `arrivals` and `span` are valid.
  [[nodiscard]] static core::Result<std::unique_ptr<PublishLoad>> create(
      const PublishStream& stream, const harness::ArrivalConfig& arrivals,
      const harness::LoadSpan& span, const LoadClock& timing, core::SpscRing<SentBatch>& batches);
  ~PublishLoad();  // stops
  PublishLoad(const PublishLoad&) = delete;
  PublishLoad& operator=(const PublishLoad&) = delete;

  [[nodiscard]] std::unique_ptr<ingest::Source> take_source() { return std::move(source_); }
  // `timing` is set by now.
  void start();
  // Ends the thread. How many events were handed over in all.
  std::uint64_t stop();

 private:
  PublishLoad(const PublishStream& stream, const harness::ArrivalConfig& arrivals,
              const harness::LoadSpan& span, const LoadClock& timing,
              core::SpscRing<SentBatch>& batches, std::unique_ptr<ingest::PublishSource> source,
              Publisher publisher);
  void run();
  [[nodiscard]] bool publish_due(std::int64_t now_ns);

  const PublishStream& stream_;
  const harness::LoadSpan span_;
  const LoadClock& timing_;
  core::SpscRing<SentBatch>& batches_;
  std::unique_ptr<ingest::Source> source_;
  // --- the generator's thread's ---
  Publisher publisher_;
  const core::SystemClock clock_{};
  harness::ArrivalSchedule schedule_;
  std::int64_t next_ns_;  // intended time of the next arrival
  std::uint64_t sent_ = 0;
  std::uint64_t sequence_ = 0;
  std::string scratch_;
  std::uint64_t published_ = 0;  // set at the end

  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace grace::tools
