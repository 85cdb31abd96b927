#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "grace/ledger/error.h"
#include "grace/ledger/format.h"
#include "grace/ledger/log_config.h"

namespace grace::ledger {

enum class AppendStatus : std::uint8_t {
  kOk = 0,
  kFull = 1,      // the ring has no room now; nothing was appended
  kTooLarge = 2,  // longer than record_bytes_max; nothing was appended
  kFailed = 3,    // the writer has failed for good: Writer::health() says why
  kClosed = 4,    // the writer is closed, or this handle is empty
  kNoSpace = 5,   // what space is left is for essential records; nothing was appended
  kReserved = 6,  // the format's own type (is_reserved()); nothing was appended
};

[[nodiscard]] constexpr std::string_view to_string(AppendStatus status) {
  switch (status) {
    case AppendStatus::kOk:
      return "ok";
    case AppendStatus::kFull:
      return "full";
    case AppendStatus::kTooLarge:
      return "too_large";
    case AppendStatus::kFailed:
      return "failed";
    case AppendStatus::kClosed:
      return "closed";
    case AppendStatus::kNoSpace:
      return "no_space";
    case AppendStatus::kReserved:
      return "reserved";
  }
  return "unknown";
}

// What becomes of a producer's records when the file system is full and the reserve is begun
// (LogConfig::reserve).
enum class Importance : std::uint8_t {
  kEssential = 1,   // they are written while there is room at all
  kExpendable = 2,  // appends are refused with kNoSpace, and what waits in the ring stays there
};

// How safe a record is.
//   D0  in the producer's ring: lost with the process
//   D1  in its file: survives kill -9, but for one during a fail-over (written_sequence)
//   D2  synced: survives the loss of power (durable_sequence)
//   D3  in a checkpoint that a witness has countersigned: cannot be taken back unseen
//       (witnessed_sequence)

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// What open() found and did.
struct RecoveryReport {
  bool created = false;           // there was no log: this is a new one
  bool clean = true;              // the last writer had closed the log
  std::uint64_t cut_bytes = 0;    // torn tail, saved below quarantine/
  std::uint64_t cut_segment = 0;  // where it began
  std::uint64_t cut_offset = 0;
  std::uint64_t last_sequence = 0;  // of the last record that was kept, 0: none
  std::string quarantine_file;      // empty: nothing was cut
};

struct WriterStats {
  std::uint64_t records = 0;  // in closed blocks, since open()
  std::uint64_t payload_bytes = 0;
  std::uint64_t blocks = 0;
  std::uint64_t block_bytes = 0;  // with headers and padding
  std::uint64_t syncs = 0;
  std::uint64_t segments_begun = 0;
  std::uint64_t waits = 0;            // times that blocks waited for a segment or for a sync
  std::uint64_t fail_overs = 0;       // segments given up for a new one: Writer::last_fail_over()
  std::uint64_t segments_hashed = 0;  // LogConfig::hash_sealed: since open()
  std::uint64_t in_place = 0;         // records that their producers put into blocks themselves
};

// What has been done about sealed segments since open().
struct KeeperStats {
  std::uint64_t indexes_written = 0;
  std::uint64_t segments_compressed = 0;
  std::uint64_t plain_bytes = 0;   // of those
  std::uint64_t stored_bytes = 0;  // what they take now
  std::uint64_t segments_removed = 0;
  std::uint64_t removed_bytes = 0;
  std::uint64_t rounds = 0;  // of the writer's own keeper: all that was due was done, or failed
};

namespace internal {
class WriterCore;
class ByteRing;
}  // namespace internal

// One producer's end of a bounded SPSC byte ring. One thread at a time; different producers are
// independent. When the ring is full, try_append() says so and append_or_wait() waits. Must not
// outlive its Writer. No allocation, no lock and no system call in try_append().
class Producer {
 public:
  Producer() = default;
  ~Producer();
  Producer(Producer&& other) noexcept;
  Producer& operator=(Producer&& other) noexcept;

  [[nodiscard]] AppendStatus try_append(RecordType type,
                                        std::span<const std::byte> payload) noexcept {
    return try_append(type, payload, {});
  }
  // The payload in two parts, so that a header and a body need not be copied together first.
  [[nodiscard]] AppendStatus try_append(RecordType type, std::span<const std::byte> head,
                                        std::span<const std::byte> body) noexcept;
  // Never returns kFull: waits. A large payload takes a lock, and perhaps memory for a block:
  // LogConfig::in_place_bytes_min.
  [[nodiscard]] AppendStatus append_or_wait(RecordType type, std::span<const std::byte> head,
                                            std::span<const std::byte> body = {}) noexcept;

  // The sequence the next append will get. Only where this is the writer's one and only producer
  // since open(): with several, sequences are given in the order the committer takes records.
  // Nor with LogConfig::retention, of which the writer makes records.
  [[nodiscard]] std::uint64_t next_sequence() const;

  // Marks the place after everything appended so far. Opaque; grows; for the calls below.
  [[nodiscard]] std::uint64_t position() const noexcept;
  [[nodiscard]] bool is_written(std::uint64_t position) const noexcept;  // D1
  [[nodiscard]] bool is_durable(std::uint64_t position) const noexcept;  // D2
  // Closes the open block early and waits until everything before `position` is D2 (D1 where
  // SyncMode is kNone). kTimeout after `timeout`; the writer's error once it has failed.
  [[nodiscard]] Result<void> wait_durable(std::uint64_t position,
                                          std::chrono::milliseconds timeout);
  [[nodiscard]] Result<void> wait_durable(
      std::chrono::milliseconds timeout = std::chrono::minutes(1)) {
    return wait_durable(position(), timeout);
  }

 private:
  friend class Writer;
  Producer(internal::WriterCore* core, internal::ByteRing* ring, std::uint32_t slot,
           Importance importance)
      : core_(core), ring_(ring), slot_(slot), importance_(importance) {}
  void release() noexcept;

  internal::WriterCore* core_ = nullptr;
  internal::ByteRing* ring_ = nullptr;
  std::uint32_t slot_ = 0;
  Importance importance_ = Importance::kEssential;
};

// The one writer of a log directory.
//
// Threads: open() starts them and close() ends them.
//   committer     takes records from the rings, gives sequences, fills blocks
//   hasher        hashes filled blocks; with kSha256
//   closer        puts them into segments; without LogConfig::pipelined the committer does that and
//                 the hashing
//   syncer        makes them durable in order, cuts sealed segments to size
//   preparer      creates and allocates the next segments
//   checkpointer  re-reads what is durable and signs it; with kSha256, where a signer is configured
//   keeper        indexes, compresses and removes sealed segments; where any of it is configured
//   segment hasher  re-reads sealed segments, leaves their tree files and signs the tree; with
//                   LogConfig::hash_sealed
// Bounds: producers_max rings of ring_bytes; unsynced_bytes_max of blocks on their way; files open:
// segments_ahead + 1 + one for each segment that waits for its sync. When full: rings fill and
// appends say kFull or wait.
// Failure: a file that fails (a write, a sync, somebody who cuts it short) is given up, and all of
// it that was not durable is written anew into a new segment: last_fail_over(). Three times in a
// row without a sync between them, or no space for a segment that is needed, ends the writer for
// good: health() names it, appends return kFailed, waits return the error. What was reported
// durable stays so; what was not is never reported so afterwards.
// fork(): the child must not use the writer, and should exec at once: it inherits the lock.
class Writer {
 public:
  // Recovers the log if the last writer did not close it. kCorrupt (with the position) if anything
  // but a torn tail is found in the part that recovery reads; nothing is changed then.
  [[nodiscard]] static Result<std::unique_ptr<Writer>> open(LogConfig config);
  ~Writer();  // close()
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // A ring of its own for the caller. kInvalidArgument when producers_max are in use.
  [[nodiscard]] Result<Producer> producer(Importance importance = Importance::kEssential);

  // Everything appended before the call is durable (written, with SyncMode::kNone) when this
  // returns its highest sequence. Any thread.
  [[nodiscard]] Result<std::uint64_t> flush(
      std::chrono::milliseconds timeout = std::chrono::minutes(1));

  // Ends the log cleanly: rings are emptied, the last block and a seal are written and synced, the
  // file is cut to size, threads end. Idempotent. Producers must not append during it.
  Result<void> close();

  // The first error, or none. kNoSpace appears here as soon as preparing ahead fails, while the
  // current segment still takes records; it goes away if space returns in time.
  [[nodiscard]] Result<void> health() const;
  // Why a segment was given up the last time; nothing that had been written was lost by it.
  // kCorrupt where another program cut the file: what was durable in it is damaged, too, if its
  // offset says so.
  [[nodiscard]] std::optional<Error> last_fail_over() const;
  // Why the newest checkpoint could not be made or stored; it is tried again, and the log goes on
  // without.
  [[nodiscard]] Result<void> checkpoint_health() const;
  // Why the next sealed segment could not be hashed; it is tried again, unless the segment or a
  // tree file is damaged (kCorrupt) or a sync failed (kSyncFailed). The log goes on without.
  [[nodiscard]] Result<void> hash_health() const;

  // Why the newest index, compression or removal failed; it is tried again, and the log goes on.
  [[nodiscard]] Result<void> keeper_health() const;

  [[nodiscard]] std::uint64_t written_sequence() const noexcept;  // D1, 0: none
  [[nodiscard]] std::uint64_t durable_sequence() const noexcept;  // D2, 0: none
  // Of the newest checkpoint, and of the newest that a witness has countersigned (D3). 0: none.
  [[nodiscard]] std::uint64_t signed_sequence() const;
  [[nodiscard]] std::uint64_t witnessed_sequence() const;
  // Last record of the newest hashed segment: what lies behind is the unhashed tail. 0: none, or
  // LogConfig::hash_sealed is off.
  [[nodiscard]] std::uint64_t hashed_sequence() const;
  [[nodiscard]] WriterStats stats() const;
  [[nodiscard]] KeeperStats keeper_stats() const;
  [[nodiscard]] const RecoveryReport& recovery() const;
  [[nodiscard]] std::string log_id_hex() const;

 private:
  explicit Writer(std::unique_ptr<internal::WriterCore> core);
  std::unique_ptr<internal::WriterCore> core_;
};

// What the writer's keeper would do, at once, for a log that nobody writes: opens it as a writer
// (kLocked if there is one), indexes, compresses and removes what is due, and closes it. The log
// must exist: kNotFound.
[[nodiscard]] Result<KeeperStats> keep_segments(LogConfig config);

}  // namespace grace::ledger
