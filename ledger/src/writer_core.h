#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "block.h"
#include "block_buffer.h"
#include "block_store.h"
#include "byte_ring.h"
#include "checkpointer.h"
#include "directory.h"
#include "grace/ledger/writer.h"
#include "hand_off.h"
#include "record_stage.h"
#include "recovery.h"
#include "segment_hasher.h"
#include "segment_keeper.h"
#include "segment_preparer.h"
#include "watermarks.h"

namespace grace::ledger::internal {

// What stands behind Writer and Producer.
//
//   producers == rings ==> committer ==> hasher ==> closer ==> BlockStore <== syncer
//                             ^                                    ^
//                    BlockBufferPool                       preparer: segments
//
// The committer copies records into a buffer and gives them their sequences; the hasher hashes a
// filled block; the closer puts it into a segment; the syncer makes it durable, and the buffer goes
// back. Without config_.pipelined the committer's thread does the hasher's and the closer's work,
// with crc32c the hasher is missing. A producer with a large record takes the committer's place for
// the length of it, if nothing is in the way (append_in_place()). The opening thread touches
// committer_ before the threads start.
class WriterCore {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  // `keeper_runs`: on a thread of its own; else keep_now() does its work.
  [[nodiscard]] static Result<std::unique_ptr<WriterCore>> open(LogConfig config,
                                                                bool keeper_runs = true);
  ~WriterCore();
  WriterCore(const WriterCore&) = delete;
  WriterCore& operator=(const WriterCore&) = delete;

  // --- producers ---
  struct Lease {
    ByteRing* ring;
    std::uint32_t slot;
  };
  [[nodiscard]] Result<Lease> lease_ring(Importance importance);
  void return_ring(std::uint32_t slot);
  [[nodiscard]] AppendStatus try_append(ByteRing& ring, Importance importance, RecordType type,
                                        std::span<const std::byte> head,
                                        std::span<const std::byte> body) noexcept;
  // The same, but the caller may do what else the committer would.
  [[nodiscard]] AppendStatus try_commit(ByteRing& ring, Importance importance, RecordType type,
                                        std::span<const std::byte> head,
                                        std::span<const std::byte> body);
  [[nodiscard]] std::uint64_t next_sequence(const ByteRing& ring) const;
  [[nodiscard]] bool is_safe(const ByteRing& ring, std::uint64_t position) const noexcept;
  void wake_committer();
  [[nodiscard]] Result<void> wait_safe(const ByteRing& ring, Importance importance,
                                       std::uint64_t position, Deadline deadline);

  // --- anybody ---
  [[nodiscard]] Result<std::uint64_t> flush(std::chrono::milliseconds timeout);
  [[nodiscard]] Result<void> close();
  [[nodiscard]] Result<void> health() const;
  [[nodiscard]] Result<void> checkpoint_health() const;
  [[nodiscard]] std::optional<Error> last_fail_over() const { return store_->last_fail_over(); }
  [[nodiscard]] Result<void> keeper_health() const;
  [[nodiscard]] Result<void> keep_now();
  [[nodiscard]] KeeperStats keeper_stats() const;
  [[nodiscard]] Result<void> hash_health() const;
  [[nodiscard]] std::uint64_t written_sequence() const noexcept { return watermarks_.written(); }
  [[nodiscard]] std::uint64_t durable_sequence() const noexcept { return watermarks_.durable(); }
  // What will not be lost, as far as the log was asked to promise it.
  [[nodiscard]] std::uint64_t safe_sequence() const noexcept;
  [[nodiscard]] WriterStats stats() const;
  [[nodiscard]] std::uint64_t signed_sequence() const;
  [[nodiscard]] std::uint64_t witnessed_sequence() const;
  [[nodiscard]] std::uint64_t hashed_sequence() const;
  [[nodiscard]] const RecoveryReport& recovery() const { return recovery_; }
  [[nodiscard]] const LogId& log_id() const { return log_id_; }

 private:
  WriterCore(LogConfig config, DirectoryLock lock, Recovered recovered);

  Result<void> start(const std::vector<std::string>& pending, bool keeper_runs);
  void record_recovery(const std::vector<std::string>& pending);
  [[nodiscard]] Result<void> make_keeper();
  void fail(Error error);
  [[nodiscard]] std::optional<Error> failure() const;

  // Why nothing is appended, kOk: it may be.
  [[nodiscard]] AppendStatus refusal(Importance importance, std::uint64_t bytes) const noexcept;

  // --- committer (committer.cc) ---
  void run_committer();
  struct Rest {
    std::optional<Deadline> until;  // none: there is more to do
    std::uint64_t asked = 0;        // of closes_asked_, what has been seen
  };
  [[nodiscard]] bool commit_once(Rest& rest);
  // All with committing_mutex_ held, from here ...
  struct Pass {
    std::uint64_t bytes = 0;
    bool emptied = true;  // each ring was seen empty at some time during the pass
  };
  [[nodiscard]] Pass drain();
  [[nodiscard]] bool append_record(RecordType type, std::span<const std::byte> head,
                                   std::span<const std::byte> body);
  [[nodiscard]] bool make_room(std::uint64_t footprint_bytes);
  void close_open_block();
  [[nodiscard]] bool can_commit_now();
  [[nodiscard]] bool is_held_back(std::uint32_t slot) const;
  [[nodiscard]] bool is_due(Deadline now) const;
  // ... to here.
  [[nodiscard]] bool append_in_place(ByteRing& ring, RecordType type,
                                     std::span<const std::byte> head,
                                     std::span<const std::byte> body);
  void idle(const Rest& rest);
  void finish();

  // --- hasher and closer (closer.cc) ---
  // A block whose records are in place, or the order to seal the segment.
  struct FilledBlock {
    BlockStore::Filled filled;
    bool seals = false;
  };
  void hand_over(FilledBlock&& block);
  [[nodiscard]] bool needs_hash(const FilledBlock& block) const;
  [[nodiscard]] static RecordsOfBlock records_of(FilledBlock& block);
  void hash_filled(FilledBlock& block, Sha256& hasher) const;
  void store_filled(FilledBlock& block);
  void run_hasher();
  void run_closer();
  void end_closing();
  void publish(const std::vector<std::uint64_t>& positions);

  void run_syncer();  // syncer.cc

  const LogConfig config_;
  DirectoryLock lock_;
  RecoveryReport recovery_;
  const LogId log_id_;
  const std::uint64_t opened_blocks_;  // in the log when it was opened
  std::uint64_t signs_from_ = 0;       // see check_continuity(); constant after start
  std::uint64_t first_sequence_ = 1;   // of the first producer's first record; constant after start

  // Held by whoever is the committer: its thread, or for the length of one record a producer. Taken
  // before mutex_.
  std::mutex committing_mutex_;
  // Guarded by committing_mutex_.
  struct Committer {
    std::uint64_t next_sequence = 1;      // of the open block's first record
    std::unique_ptr<BlockBuffer> buffer;  // null until the open block's first record
    OpenBlock open;
    RecordStage stage;
    std::uint64_t open_payload_bytes = 0;
    Deadline opened_at{};
    std::uint64_t closes_done = 0;
    std::chrono::microseconds idle_sleep{0};
    Sha256 hasher;                           // without a thread for it
    std::atomic<std::uint64_t> in_place{0};  // read by any thread

    explicit Committer(bool hands_over) : stage(hands_over) {}
  } committer_;
  const std::uint64_t block_bytes_max_;  // an empty segment has room for it

  // Full, the one before waits.
  static constexpr std::size_t kFilledMax = 4;
  HandOff<FilledBlock> to_hasher_{kFilledMax};
  HandOff<FilledBlock> to_closer_{kFilledMax};

  // Rings: slots are filled in order and never emptied; a returned ring is leased again.
  std::vector<std::unique_ptr<ByteRing>> rings_;
  std::vector<Importance> importance_;  // of a slot's producers, once and for all
  std::vector<bool> leased_;            // guarded by mutex_
  std::atomic<std::uint32_t> ring_count_{0};

  mutable std::mutex mutex_;
  std::condition_variable committer_wake_;
  std::condition_variable syncer_wake_;
  std::condition_variable progress_;  // synced further, or failed
  // Guarded by mutex_.
  bool unsynced_ = false;
  bool closing_done_ = false;  // no more blocks will be stored
  bool woken_ = false;
  std::optional<Error> error_;
  WriterStats stats_;  // but for what the store counts

  Watermarks watermarks_;
  std::atomic<std::uint64_t> closes_asked_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> closed_{false};
  std::atomic<bool> failed_{false};

  std::mutex close_mutex_;  // one close() at a time
  BlockBufferPool pool_;
  std::unique_ptr<SegmentPreparer> preparer_;
  std::unique_ptr<BlockStore> store_;
  std::unique_ptr<Checkpointer>
      checkpointer_;  // null: none are asked for, or segment_hasher_ signs them
  std::unique_ptr<SegmentHasher> segment_hasher_;  // null: hash_sealed is not asked for
  std::unique_ptr<SegmentKeeper> keeper_;          // null: there is nothing to do for it
  std::thread committer_thread_;
  std::thread hasher_thread_;
  std::thread closer_thread_;
  std::thread syncer_thread_;
};

}  // namespace grace::ledger::internal
