#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "grace/core/chunk.h"
#include "grace/core/clock.h"
#include "grace/core/error.h"
#include "grace/core/runner.h"
#include "grace/ingest/chunk_port.h"
#include "grace/ingest/internal_source.h"
#include "grace/ingest/journal.h"
#include "grace/ingest/source.h"

namespace grace::ingest {

struct IngestConfig {
  // --- behaviour ---
  // A part-filled chunk of a live source is published at once while the port is hungry, and after
  // this long while it is not. So chunks grow with the load by themselves: small ones as long as
  // those who take them are idle, full ones when they are behind.
  std::chrono::nanoseconds linger{1'000'000};
  // Longest line that is parsed. Longer ones are handed on in pieces, to be rejected.
  std::size_t line_bytes_max = 1024 * 1024;
  // Event-time ticks from the wall clock, as control lines in the input, so that event time moves
  // without events and a replay sees the same ticks. 0: none (replay of recordings).
  std::chrono::nanoseconds tick_interval{0};
  // arrival_ns of every chunk, instead of the wall clock: recordings without timestamps replay to
  // the same decisions. A journal brings its own.
  std::optional<std::int64_t> fixed_arrival_ns;
  // True: a chunk is published only when its record survives a kill of this process, so that no
  // decision ever rests on input that the journal lacks. Adds the journal's commit interval to the
  // latency; no less throughput. False: it is published as soon as it is handed to the journal.
  bool journal_before_publish = true;
  // True: when recording to the journal fails, the engine stops. False: recording ends with an
  // error and a counter, the engine goes on.
  bool journal_required = false;
  // --- cost ---
  // A chunk is published when it holds this much: 4 KiB to 1 MiB. Smaller: less latency under
  // load; larger: less overhead for each byte. Never changes what is decided.
  std::size_t chunk_target_bytes = 256 * 1024;
};
[[nodiscard]] core::Result<IngestConfig> validated(IngestConfig config);

// The capacity that every chunk of the port must have: a chunk just below its target can still
// take the longest line that is unfinished, and what one read brings to it.
[[nodiscard]] constexpr std::size_t chunk_capacity_bytes(const IngestConfig& config) noexcept {
  return config.chunk_target_bytes + config.line_bytes_max + 2 * kReadBytes;
}

// Everything the stage works with. What the
// pointers point to must outlive it.
struct IngestParts {
  std::vector<std::unique_ptr<Source>> sources;  // index in this table = Chunk::source_index
  ChunkPort* port = nullptr;
  JournalSink* journal = nullptr;      // null: nothing is recorded
  InternalSource* ticks = nullptr;     // where tick lines go; one of `sources`; null: no ticks
  const core::Clock* clock = nullptr;  // never null
  bool parsed_elsewhere = false;       // on other threads than the stage's
};

struct IngestFigures {
  std::uint64_t bytes = 0, lines = 0, chunks = 0;  // published
  std::uint64_t chunks_recorded = 0;
  std::uint64_t journal_errors = 0;
  std::uint64_t acquire_refused = 0;  // times no chunk was free: back-pressure
  std::uint64_t publish_refused = 0;
  std::uint64_t ticks = 0;
  std::vector<SourceFigures> sources;
};

// Reads all sources fairly into chunks, numbers and records them, and hands them to the port.
//
// run_once(): offers a waiting chunk first; then gives every source one read() in rotating order,
// and publishes what is full, has lingered, or finds the port hungry. Bounded by sources * target
// bytes. Returns the bytes read plus chunks published: 0 means idle. How the lines of two sources
// interleave depends on time and chunk size; files that must replay alike go into one FileSource,
// in order.
//
// Sequences: chunk.first_sequence is the sum of the text bytes of all earlier chunks, so a line's
// sequence is its position in the decompressed input, whatever the chunk size. A chunk is recorded
// before it is published: nothing that was processed is missing in the journal. With a journal that
// already has chunks, numbers and sequences go on behind its end.
//
// Stop: request_stop() from any thread (or a signal handler). Sources take nothing new, what they
// have taken is published, then finished() is true. The internal source is stopped last, so that
// results of others still arrive. Without a request the stage ends when all sources but internal
// ones have ended.
//
// Full: when the port has no chunk, nothing is read and the senders wait (can_wait sources).
// Thread: one at a time, ordered with the next, except request_stop(), finished() and figures().
class IngestStage final : public core::Stage {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<IngestStage>> create(const IngestConfig& config,
                                                                         IngestParts parts);
  ~IngestStage() override;
  IngestStage(const IngestStage&) = delete;
  IngestStage& operator=(const IngestStage&) = delete;

  std::size_t run_once() override;
  void request_stop() noexcept;
  // All sources have ended and every chunk is published.
  [[nodiscard]] bool finished() const noexcept;
  // Number and first sequence of the next chunk to be published: 0, 0, or where the journal ended.
  // The exchange must start counting chunks here. Stable until the first run_once().
  [[nodiscard]] std::uint64_t next_chunk_number() const noexcept { return next_number_; }
  [[nodiscard]] std::uint64_t next_sequence() const noexcept { return next_sequence_; }
  // Who runs the stage, or once finished(). Why the stage stopped by itself (journal_required,
  // damaged replay); none when all is well.
  [[nodiscard]] const std::optional<core::Error>& failure() const noexcept { return failure_; }
  // Why recording ended; the engine goes on without. Other threads: only when
  // figures().journal_errors is above 0.
  [[nodiscard]] const std::optional<core::Error>& journal_error() const noexcept {
    return journal_error_;
  }
  [[nodiscard]] IngestFigures figures() const;  // any thread
  [[nodiscard]] std::size_t source_count() const noexcept { return slots_.size(); }
  [[nodiscard]] const Source& source(std::size_t index) const { return *slots_[index].source; }

 private:
  struct Slot {
    std::unique_ptr<Source> source;
    core::Chunk* open = nullptr;     // being filled
    std::int64_t opened_ns = 0;      // steady time of its first byte
    std::atomic<bool> ended{false};  // relaxed: figures only; the stage writes it
    explicit Slot(std::unique_ptr<Source> s) : source(std::move(s)) {}
    Slot(Slot&& other) noexcept : source(std::move(other.source)) {}
  };

  struct Recorded {
    core::Chunk* chunk = nullptr;
    std::uint64_t line_count = 0;
    std::uint64_t mark = 0;  // of JournalSink::record()
  };

  IngestStage(const IngestConfig& config, IngestParts parts);
  std::size_t read_slot(std::size_t index);
  [[nodiscard]] bool is_due(const Slot& slot) const;
  void close_chunk(Slot& slot, std::size_t index);
  std::size_t offer_waiting();
  [[nodiscard]] std::uint64_t record(const core::Chunk& chunk);
  void journal_failed(core::Error error);
  void fail(core::Error error);
  void tick();
  void stop_sources();
  void finish_if_done();
  core::Chunk* take_chunk();

  IngestConfig config_;
  ReadLimits limits_;
  ChunkPort* port_;
  JournalSink* journal_;
  InternalSource* ticks_;
  const core::Clock& clock_;
  std::vector<Slot> slots_;
  std::size_t turn_ = 0;          // slot that is served first next time
  core::Chunk* spare_ = nullptr;  // acquired, empty
  // Numbered and handed to the journal, in order: waiting for the record to be safe, or for the
  // port. Bounded by the port's chunks.
  std::deque<Recorded> waiting_;
  std::uint64_t next_number_ = 0;
  std::uint64_t next_sequence_ = 0;
  std::int64_t next_tick_ns_ = 0;
  bool sources_stopped_ = false;
  bool auxiliary_stopped_ = false;
  std::optional<core::Error> failure_;
  std::optional<core::Error> journal_error_;
  std::atomic<bool> stop_requested_{false};
  std::atomic<bool> finished_{false};
  // Statistics: the stage writes, anyone reads, relaxed.
  std::atomic<std::uint64_t> bytes_{0}, lines_{0}, chunks_{0}, chunks_recorded_{0},
      journal_errors_{0}, acquire_refused_{0}, publish_refused_{0}, tick_count_{0};
};

}  // namespace grace::ingest
