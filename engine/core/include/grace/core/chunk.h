#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace grace::core {

// Bytes that must be readable behind a chunk's text (simdjson's SIMDJSON_PADDING; parse asserts).
inline constexpr std::size_t kChunkPaddingBytes = 64;

enum class SourceKind : std::uint8_t {
  kNone = 0,
  kFile,
  kStdin,
  kTcp,
  kUnix,
  kHost,
  kInternal,
  kJournal,
  kMemory,
  kPublisher,
  kShared,
};

// Where a chunk's text and scratch lie:
//   [ text: capacity | padding | scratch: capacity | padding ]
// on a cache line, and untouched until text arrives.
class ChunkMemory {
 public:
  explicit ChunkMemory(std::size_t capacity);
  [[nodiscard]] char* bytes() const noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  struct Free {
    void operator()(char* bytes) const noexcept;
  };
  std::size_t capacity_;
  std::unique_ptr<char[], Free> bytes_;
};

// A numbered, contiguous run of input: whole lines only (the ingest stage cuts at newlines; a line
// over the limit is handed on cut, flagged, and rejected by the parser), or whole packed events
// (packed_event.h).
//
// Memory: one allocation, the engine's for its life; only a source may exchange it for one as large
// that holds text already. Scratch takes unescaped strings while the chunk is parsed (unescaping
// never lengthens), so that TextRefs reach both and the raw text stays as received, for the journal
// and the dead letters.
//
// Owner: the ingest stage fills it, one worker parses it, shards read it, the ordered stage hands
// it back when the last shard is done. Never two writers at a time; the rings order the hand-over.
struct Chunk {
  explicit Chunk(std::size_t capacity) : memory_(capacity) {}

  std::uint64_t number = 0;          // 0, 1, 2 ... in input order
  std::uint64_t first_sequence = 0;  // input bytes before this chunk
  std::int64_t arrival_ns = 0;       // wall clock when read; from the journal on replay
  std::uint32_t size_bytes = 0;      // text bytes in use
  std::uint32_t scratch_used_bytes = 0;
  std::uint32_t packed_records = 0;  // of packed text, where its source has counted them; else 0
  std::uint16_t source_index = 0;    // index into the engine's source table
  SourceKind source_kind = SourceKind::kNone;
  bool trusted = false;           // written by the engine itself: internal controls allowed
  bool operator_allowed = false;  // approve, reject, pause ... may come from this source
  bool begins_cut = false;        // text begins inside a line that was too long: skip to newline
  bool ends_cut = false;          // last line is a piece of a line that is too long
  bool packed = false;            // text holds records of packed events, not lines
  bool last_of_source = false;    // a missing final newline means a truncated last line

  [[nodiscard]] char* text() noexcept { return memory_.bytes(); }
  [[nodiscard]] const char* text() const noexcept { return memory_.bytes(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return memory_.capacity(); }
  [[nodiscard]] char* scratch() noexcept { return memory_.bytes() + scratch_offset(); }
  [[nodiscard]] std::size_t scratch_offset() const noexcept {
    return memory_.capacity() + kChunkPaddingBytes;
  }
  // Of an empty chunk; `other` has the same capacity.
  void exchange_memory(ChunkMemory& other) noexcept { std::swap(memory_, other); }

 private:
  ChunkMemory memory_;
};

}  // namespace grace::core
