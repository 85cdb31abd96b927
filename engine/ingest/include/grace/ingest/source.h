#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "grace/core/chunk.h"
#include "grace/core/error.h"

namespace grace::ingest {

// Most that one read from a descriptor brings, and most that one push() into the internal source
// may hold. Chunks have this much room beyond their target and the longest line.
inline constexpr std::size_t kReadBytes = 64 * 1024;

// What every line of a source may do and how the stage treats it.
struct SourceTraits {
  std::string name;  // for people and counters: "tcp:127.0.0.1:9000"
  core::SourceKind kind = core::SourceKind::kNone;
  // The sender is slowed when chunks run out. False: it cannot be, the newest is dropped, counted.
  bool can_wait = true;
  // Lines of the engine itself: internal controls (tick, step_result) are accepted.
  bool trusted = false;
  // approve, reject, pause ... are accepted from here.
  bool operator_allowed = false;
  // Data arrives in its own time: part-filled chunks are published too, see IngestConfig::linger.
  // False: only full chunks (and the last) are.
  bool live = false;
  // Serves the engine only, as the internal source does: it alone does not keep the engine going.
  // The stage ends it when all others have ended.
  bool auxiliary = false;
  // The source sets number, first_sequence, arrival, flags and source of every chunk (journal).
  bool replays = false;
};

// Statistics of one source. One writer, the ingest thread (dropped_lines: any pushing thread);
// anyone may read: all accesses are relaxed, because a reader wants figures, not an order.
struct SourceCounters {
  std::atomic<std::uint64_t> bytes{0};        // handed on, decompressed
  std::atomic<std::uint64_t> lines{0};        // that begin in it; a cut or unfinished one is one
  std::atomic<std::uint64_t> chunks{0};       // published
  std::atomic<std::uint64_t> read_errors{0};  // failed reads, corrupt data, missing files
  std::atomic<std::uint64_t> dropped_lines{0};
  std::atomic<std::uint64_t> cut_lines{0};  // longer than the limit, handed on in pieces
  std::atomic<std::uint64_t> connections_open{0};
  std::atomic<std::uint64_t> connections_accepted{0};
  std::atomic<std::uint64_t> connections_closed{0};
  std::atomic<std::uint64_t> connections_refused{0};    // over connections_max, or no descriptors
  std::atomic<std::uint64_t> connections_timed_out{0};  // part of connections_closed
};

// A copy of the counters at one moment, with the source's name.
struct SourceFigures {
  std::string name;
  core::SourceKind kind = core::SourceKind::kNone;
  bool ended = false;
  std::uint64_t bytes = 0, lines = 0, chunks = 0, read_errors = 0, dropped_lines = 0, cut_lines = 0;
  std::uint64_t connections_open = 0, connections_accepted = 0, connections_closed = 0,
                connections_refused = 0, connections_timed_out = 0;
  std::string first_error;  // for a person; empty while read_errors is 0
};

// A place between two chunks of the input.
struct InputPosition {
  std::uint64_t number = 0;    // of the next chunk
  std::uint64_t sequence = 0;  // of its first byte
};

enum class ReadStatus : std::uint8_t {
  kIdle,   // nothing to read now; what the chunk holds may be published any time
  kMore,   // something was appended, or there is more to do: call again
  kFull,   // publish this chunk before the next call
  kEnded,  // nothing will ever come again; what the chunk holds is the last
};

struct ReadLimits {
  // Stop appending when the chunk holds this much. One line may carry it past the target, never
  // past the capacity.
  std::size_t target_bytes = 0;
  // Longer lines are handed on in pieces, each in a chunk with ends_cut or begins_cut.
  std::size_t line_bytes_max = 0;
  // Nobody reads the chunk again on this thread, so that copies into it may go past the caches.
  bool past_caches = false;
};

// One origin of lines.
//
// Contract: after every read() the chunk holds whole lines only, except that its last line may be
// - a piece of a line over line_bytes_max: chunk.ends_cut is set and kFull returned;
// - the unfinished last line of a file or connection: last_of_source is set, and kFull or kEnded
//   returned.
// What follows of a cut line goes to the start of an empty chunk with begins_cut set. No byte is
// lost, repeated or invented, whatever the target: concatenated chunk texts are the input.
//
// Threads: read(), request_stop() and figures of state are the ingest thread's, which may be
// another one from one call of the stage to the next; counters() may be read by any. Never blocks.
class Source {
 public:
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  [[nodiscard]] const SourceTraits& traits() const noexcept { return traits_; }
  // Appends to `chunk` from chunk.size_bytes on. After kEnded it is not called again.
  [[nodiscard]] virtual ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) = 0;
  // Where a source that replays begins; the others begin where the stage is.
  [[nodiscard]] virtual InputPosition begin() const noexcept { return {}; }
  // Take nothing new; later read() calls hand on what was already taken, then say kEnded.
  virtual void request_stop() = 0;
  [[nodiscard]] SourceCounters& counters() noexcept { return counters_; }
  [[nodiscard]] const SourceCounters& counters() const noexcept { return counters_; }
  // The first thing that went wrong, for a person. The source went on or ended.
  [[nodiscard]] const std::optional<core::Error>& first_error() const noexcept {
    return first_error_;
  }

 protected:
  explicit Source(SourceTraits traits) : traits_(std::move(traits)) {}
  void report(core::Error error);

  SourceTraits traits_;
  SourceCounters counters_;
  std::optional<core::Error> first_error_;
};

[[nodiscard]] SourceFigures figures_of(const Source& source, bool ended);

}  // namespace grace::ingest
