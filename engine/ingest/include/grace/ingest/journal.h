#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "grace/core/chunk.h"
#include "grace/core/error.h"
#include "grace/ingest/source.h"

namespace grace::ingest {

// What the ingest stage records chunks with.
class JournalSink {
 public:
  virtual ~JournalSink() = default;
  // Where the next chunk goes: behind the last one that is recorded.
  [[nodiscard]] virtual InputPosition end() const = 0;
  // Takes a copy of the chunk and gives a mark for is_safe(); marks grow. May wait for the disk.
  [[nodiscard]] virtual core::Result<std::uint64_t> record(const core::Chunk& chunk) = 0;
  // Everything up to this mark survives the end of this process (not a power cut: see flush()).
  [[nodiscard]] virtual bool is_safe(std::uint64_t mark) const = 0;
  // None while recording works.
  [[nodiscard]] virtual core::Result<void> health() const = 0;
  // Everything recorded is on the disk when it returns.
  [[nodiscard]] virtual core::Result<void> flush() = 0;
};

// One recorded chunk. `text` is valid until the next call of the reader.
struct RecordedChunk {
  std::uint64_t number = 0;
  std::uint64_t first_sequence = 0;
  std::int64_t arrival_ns = 0;
  std::uint16_t source_index = 0;
  core::SourceKind source_kind = core::SourceKind::kNone;
  bool trusted = false, operator_allowed = false;
  bool begins_cut = false, ends_cut = false, last_of_source = false, packed = false;
  std::string_view text;
};

struct JournalConfig {
  // --- behaviour ---
  std::string directory = {};  // created if missing; its parent must exist
  // True: synced to the disk in the background. False: survives the process, not a power cut.
  bool sync = true;
  // True: each segment is hashed once it is full, on a thread of low priority, so that a later
  // change of it is found even if its CRCs were made to fit.
  bool hash = true;
  // --- cost ---
  // Longest time a chunk waits to be safe: see IngestConfig::journal_before_publish.
  std::chrono::microseconds commit_interval{1'000};
  std::uint64_t segment_bytes = 64ULL << 20;
  // A block is written, and then synced, once it holds so much or by commit_interval: with the
  // fourth of four full chunks. Larger: fewer writes and syncs at full speed, but chunks wait
  // longer to be safe, so more must be in flight. Against two chunks a block 3% for a replay by two
  // workers, 6% for one.
  std::uint64_t block_bytes = 896ULL << 10;
  // The chunk_capacity_bytes() of the engine that writes.
  std::size_t chunk_bytes_max = 256 * 1024 + 1024 * 1024 + 2 * kReadBytes;
};

// How far a journal is tamper-evident. Counts records: chunks, and notes of recoveries.
struct JournalHashing {
  std::uint64_t recorded = 0;  // last record that is written
  std::uint64_t hashed = 0;    // last record of the newest hashed segment
  std::string error;           // why the next segment could not be hashed; empty: it can be
};

// The recorded input stream in the ledger library's segments (integrity: CRC32C), one record of
// type kChunk for each chunk. Layout: the module's README. Thread: the ingest stage's.
class JournalWriter final : public JournalSink {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<JournalWriter>> open(
      const JournalConfig& config);
  ~JournalWriter() override;
  [[nodiscard]] InputPosition end() const override;
  [[nodiscard]] core::Result<std::uint64_t> record(const core::Chunk& chunk) override;
  [[nodiscard]] bool is_safe(std::uint64_t mark) const override;
  [[nodiscard]] core::Result<void> health() const override;
  [[nodiscard]] core::Result<void> flush() override;
  // Any thread.
  [[nodiscard]] JournalHashing hashing() const;

 private:
  class Impl;
  explicit JournalWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Reads a journal, in order or by position. Works beside a running writer. Thread: the caller's.
class JournalReader {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<JournalReader>> open(
      const std::string& directory);
  ~JournalReader();
  // The next chunk in order; nullopt at the end (a torn tail is a normal end). Chunks must follow
  // one another in number and sequence: a gap is kCorrupt.
  [[nodiscard]] core::Result<std::optional<RecordedChunk>> next();
  // The line that starts at (or contains) this sequence, without its newline; of a packed event,
  // the line that says the same. kNotFound when no chunk has it. Moves the reading position.
  [[nodiscard]] core::Result<std::string> find_line(std::uint64_t sequence);

 private:
  class Impl;
  explicit JournalReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Replays a journal: every chunk with the number, sequence, arrival time, source and flags it was
// recorded with, so that a live run replays exactly. Must be the stage's only source. A chunk
// larger than this engine's chunk capacity ends it with an error that names both sizes.
class JournalSource final : public Source {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<JournalSource>> open(
      const std::string& directory);
  ~JournalSource() override;
  [[nodiscard]] InputPosition begin() const noexcept override { return begin_; }
  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override { stopped_ = true; }

 private:
  JournalSource(const std::string& directory, std::unique_ptr<JournalReader> reader);
  bool load_next();
  std::unique_ptr<JournalReader> reader_;
  std::optional<RecordedChunk> pending_;
  InputPosition begin_;
  bool ended_ = false;
  bool stopped_ = false;
};

}  // namespace grace::ingest
