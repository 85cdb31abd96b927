#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "grace/core/chunk.h"
#include "grace/core/error.h"
#include "grace/core/event.h"
#include "grace/parse/reject_reason.h"

namespace grace::parse {

struct ParseConfig {
  // --- behaviour ---
  // Longest line without its newline. Longer: line_too_long. Memory: about 5 bytes for each, per
  // worker, touched only where lines are that long.
  std::size_t line_bytes_max = std::size_t{1} << 20;
  // Deepest nesting; the line's own object is 1. At most 64 (one machine word of state).
  std::uint32_t depth_max = 64;
  // Longest name (service, domain, metric, action, actor, subsystem, event_type, control).
  std::size_t name_bytes_max = 256;
  // How far a timestamp may lie ahead of its chunk's arrival. Larger: a wrong clock moves event
  // time, and with it every window, further ahead. Not checked where arrival_ns is 0.
  std::chrono::nanoseconds ahead_max = std::chrono::minutes(10);
};
[[nodiscard]] core::Result<ParseConfig> validated(ParseConfig config);

struct Reject {
  RejectReason reason = RejectReason::kMalformedJson;
  std::uint64_t sequence = 0;      // of the line's first byte
  std::uint16_t source_index = 0;  // of the chunk
  // Without newline; of a packed event, the line that says the same. Valid during the call only.
  std::string_view line;
};

// Where rejected lines go. Called on the worker's thread, in line order, between the events of the
// lines around it.
class RejectSink {
 public:
  virtual void rejected(const Reject& reject) = 0;

 protected:
  ~RejectSink() = default;
};

// Conservation: lines == blank + accepted + rejected at the end of each chunk (asserted). `lines`
// counts newlines (and an unfinished last line), on another way than the parser's own.
struct ParseCounters {
  std::uint64_t lines = 0;
  std::uint64_t blank = 0;  // only white space: no event, no reject
  std::uint64_t accepted = 0;
  std::uint64_t bytes = 0;
  std::array<std::uint64_t, kRejectReasonCount> rejected{};

  [[nodiscard]] std::uint64_t received() const noexcept { return lines - blank; }
  [[nodiscard]] std::uint64_t rejected_total() const noexcept;
  void add(const ParseCounters& other) noexcept;
};

// Turns chunks of NDJSON, or of packed events, into events. Every line is judged alone: what a line
// gives, an event or a reject and its reason, depends on this line, the chunk's flags and its
// arrival time only, never on its neighbours or on where the input was cut into chunks.
//
// A line is accepted only when it is one complete, valid JSON object: structure, every string's
// escapes (lone surrogates are refused), every number, UTF-8 and depth are checked in all of it,
// fields that are ignored included; integers past 64 bits and numbers past a double are refused
// anywhere. Repeated keys: the last one counts. null is the same as absent. Unknown fields are
// ignored; so are fields that do not belong to the line's kind.
//
// Packed events (core/packed_event.h) are judged by the same rules for the same reasons. A record
// whose form is broken is malformed_json; a number in it that is not finite is not_finite.
//
// Threads: one worker's own. Bounds: ParseConfig; no allocation after construction for metrics,
// actions and rejects (mesh and control lines, rare, are decoded once to be checked). The events'
// TextRefs point into the chunk (its text, or its scratch where a string had escapes); an event is
// as good as its chunk.
class ChunkParser {
 public:
  explicit ChunkParser(const ParseConfig& config = {});
  ~ChunkParser();
  ChunkParser(const ChunkParser&) = delete;
  ChunkParser& operator=(const ChunkParser&) = delete;

  // Starts a chunk; the one before must be done. The chunk must stay untouched until next() is 0.
  void begin(core::Chunk& chunk);
  // Fills `out` from the front and returns how many events it holds now. 0: the chunk is done
  // (rejects may still have been reported by this call). `out` must not be empty.
  std::size_t next(std::span<core::Event> out, RejectSink& rejects);
  // This worker's sums since construction. Exact between chunks.
  [[nodiscard]] const ParseCounters& counters() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace grace::parse
