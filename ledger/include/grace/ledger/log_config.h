#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"
#include "grace/ledger/format.h"
#include "grace/ledger/signed_note.h"

namespace grace::ledger {

enum class SyncMode : std::uint8_t {
  kGroup = 1,  // each closed block is synced; several share one sync under load
  kNone = 2,   // never synced: survives the end of the process, not of the machine
};

// Signed statements of how far the log has come: docs/ledger_format.md, section 12.
struct CheckpointConfig {
  // Borrowed, outlives the writer. Null: none are made. With Integrity::kCrc32c it needs
  // LogConfig::hash_sealed, and a checkpoint speaks of hashed segments only: it ends at a seal.
  const NoteSigner* signer = nullptr;
  // Longest time between a record and its checkpoint; with kCrc32c between a seal and the hashing
  // of its segment, if none before it waits.
  std::chrono::milliseconds interval{1000};
  std::string export_directory;  // a second place for them, which exists. Empty: none
  // Gives each checkpoint to a witness and returns it with the witness's signature added, or
  // nothing. Called on the checkpointer's thread; may take its time.
  std::function<std::optional<std::string>(const std::string& note)> countersign;
  std::vector<NoteVerifier> witnesses;  // whose signatures count

  [[nodiscard]] std::vector<NoteVerifier> known_keys(const NoteSigner& own) const {
    std::vector<NoteVerifier> keys{own.verifier()};
    keys.insert(keys.end(), witnesses.begin(), witnesses.end());
    return keys;
  }
};

// Which of the oldest segments are removed: docs/ledger_format.md, section 16. Whole sealed ones
// only, and of these never the newest, one of which something may not be durable, nor, with a
// signer, the one that the newest checkpoint ends in or a later one (so none before the first
// checkpoint). Key changes in them stay as files. 0: no such limit.
struct RetentionConfig {
  std::uint64_t max_bytes = 0;      // of all segments and their side files, as stored
  std::chrono::seconds max_age{0};  // since the newest block of the segment was closed
  [[nodiscard]] bool is_on() const { return max_bytes > 0 || max_age.count() > 0; }
};

struct LogConfig {
  // --- behaviour ---
  std::string directory;  // created if missing; its parent must exist
  // Chosen when the log is created; opening an existing log with the other kind is an error.
  Integrity integrity = Integrity::kSha256;
  SyncMode sync = SyncMode::kGroup;
  // Longest time a record waits in an open block. Shorter: less is lost when the process is killed,
  // more blocks, and each block takes at least 4096 bytes. 0 closes a block each time the rings run
  // empty.
  std::chrono::microseconds commit_interval{4000};
  // Longest sleep of the committer while nothing arrives: adds to the age of the first record after
  // a quiet time. flush() and wait_durable() cut it short.
  std::chrono::microseconds idle_wait_max{4000};
  // With kSha256: each block holds the root of a Merkle tree over its records, so that one record
  // can be proven without the others. About half a microsecond a record.
  bool record_trees = false;
  // With a limit, the writer appends a record of its own each time: Producer::next_sequence() can
  // then not be asked.
  RetentionConfig retention;
  // A sealed segment is stored compressed when so many newer sealed ones exist. 0: never. Readers
  // of an older version refuse a log written with this.
  std::uint32_t compress_after_segments = 0;
  // Each sealed segment gets a side file by which readers find a sequence or a time without reading
  // all its headers: 24 bytes for each 16 blocks.
  bool index_segments = false;
  // With kCrc32c: sealed segments are read again and hashed on a thread of low priority, each into
  // a tree file beside it, so that a change is found that keeps the CRCs right. Costs a SHA-256 of
  // all records and two syncs a segment; appends wait for none of it.
  bool hash_sealed = false;
  // How long a clean close() goes on hashing. The segments left then wait for the next open().
  std::chrono::milliseconds hash_close_wait{2000};

  // --- cost ---
  std::uint64_t segment_bytes = 64ULL << 20;  // multiple of 4096. Larger: fewer files and rolls
  // A block closes when its records reach this, or by commit_interval. Larger: fewer hand-overs
  // between threads, but blocks leave the caches before they are hashed.
  std::uint64_t block_bytes = 512ULL << 10;
  std::uint64_t record_bytes_max = 2ULL << 20;  // payload; a ring holds at least two such records
  std::uint64_t ring_bytes = 8ULL << 20;        // per producer, rounded up to a power of two
  // Payloads from this size on are composed in their block by the thread that calls
  // append_or_wait(), if nothing is in the way: copied once instead of twice, with the CRC while
  // the caller's cache has them. Smaller ones cost less by the ring than the lock does. Only where
  // pipelined.
  std::uint64_t in_place_bytes_min = 16ULL << 10;
  std::uint32_t producers_max = 8;   // at most 64
  std::uint32_t segments_ahead = 1;  // allocated before they are needed
  // Blocks that are not durable yet are kept in memory, to be written anew should their file fail.
  // When this much waits for the disk, appends wait, too. At least two blocks.
  std::uint64_t unsynced_bytes_max = 64ULL << 20;
  // One segment more lies allocated for the day on which the file system has no space: then
  // producers of Importance::kExpendable are refused, and the others go on until it is full.
  bool reserve = false;
  // Blocks are hashed and written on threads of their own while the committer fills the next ones.
  // false: the committer does it all, and there are up to two threads less.
  bool pipelined = true;
  int compress_level = 3;                         // of zstd, 1 to 19: higher takes longer
  std::chrono::milliseconds keep_interval{1000};  // between two looks at the sealed segments

  CheckpointConfig checkpoint;
  // With SyncMode::kGroup: called on the syncer's thread before each sync. What it makes durable is
  // so before any record counts as D2 that was appended later. Outlives the writer.
  std::function<void()> before_sync;

  // Whether sealed segments are to be looked after.
  [[nodiscard]] bool keeps_segments() const {
    return retention.is_on() || compress_after_segments > 0 || index_segments;
  }

  // --- seams ---
  FileSystem* file_system = nullptr;          // borrowed, outlives the writer; null: the real one
  std::int64_t (*wall_clock_ns)() = nullptr;  // stamps blocks; null: the system's clock
};

[[nodiscard]] Result<LogConfig> validated(LogConfig config);

}  // namespace grace::ledger
