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
#include "block_writer.h"
#include "byte_ring.h"
#include "checkpointer.h"
#include "directory.h"
#include "grace/ledger/writer.h"
#include "mapped_segment.h"
#include "recovery.h"
#include "segment_keeper.h"
#include "segment_preparer.h"

namespace grace::ledger::internal {

// What stands behind Writer and Producer.
//
//   producers == rings ==> committer == FilledBlock ==> closer --(under mutex_)--> syncer
//                             ^                                                      |
//             preparer == ready segments                       durable positions, progress_
//
// The committer copies records into the mapping and gives them their sequences; the closer hashes a
// filled block, completes it and begins segments. Without config_.hash_aside the committer's thread
// does both. committer_ and closer_ are touched by the opening thread before the threads start, and
// each by its own thread after.
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
  [[nodiscard]] Result<Lease> lease_ring();
  void return_ring(std::uint32_t slot);
  [[nodiscard]] AppendStatus try_append(ByteRing& ring, RecordType type,
                                        std::span<const std::byte> head,
                                        std::span<const std::byte> body) noexcept;
  [[nodiscard]] std::uint64_t next_sequence(const ByteRing& ring) const;
  [[nodiscard]] bool is_safe(const ByteRing& ring, std::uint64_t position) const noexcept;
  void wake_committer();
  [[nodiscard]] Result<void> wait_safe(const ByteRing& ring, std::uint64_t position,
                                       Deadline deadline);

  // --- anybody ---
  [[nodiscard]] Result<std::uint64_t> flush(std::chrono::milliseconds timeout);
  [[nodiscard]] Result<void> close();
  [[nodiscard]] Result<void> health() const;
  [[nodiscard]] Result<void> checkpoint_health() const;
  [[nodiscard]] Result<void> keeper_health() const;
  [[nodiscard]] Result<void> keep_now();
  [[nodiscard]] KeeperStats keeper_stats() const;
  [[nodiscard]] std::uint64_t written_sequence() const noexcept;
  [[nodiscard]] std::uint64_t durable_sequence() const noexcept;
  [[nodiscard]] WriterStats stats() const;
  [[nodiscard]] std::uint64_t signed_sequence() const;
  [[nodiscard]] std::uint64_t witnessed_sequence() const;
  [[nodiscard]] const RecoveryReport& recovery() const { return recovery_; }
  [[nodiscard]] const LogId& log_id() const { return log_id_; }

 private:
  WriterCore(LogConfig config, DirectoryLock lock, Recovered recovered);

  Result<void> start(const std::vector<std::string>& pending, bool keeper_runs);
  Result<void> record_recovery(const std::vector<std::string>& pending);
  [[nodiscard]] Result<void> make_keeper();
  void fail(Error error);
  [[nodiscard]] std::optional<Error> failure() const;

  // --- committer (committer.cc) ---
  void run_committer();
  struct Pass {
    std::uint64_t bytes = 0;
    bool emptied = true;  // each ring was seen empty at some time during the pass
  };
  [[nodiscard]] Pass drain();
  [[nodiscard]] bool append_record(RecordType type, std::span<const std::byte> payload);
  [[nodiscard]] bool has_room(std::uint64_t footprint_bytes) const;
  [[nodiscard]] bool take_segment();
  void close_open_block(std::uint32_t flags);
  [[nodiscard]] bool is_due(Deadline now) const;
  void idle(std::uint64_t asked, Deadline now);
  void finish();

  // --- closer (closer.cc) ---
  // A block whose records are in place. Its place in the log is known to the closer alone.
  struct FilledBlock {
    std::unique_ptr<MappedSegment> new_segment;  // the block is the first of this segment
    std::uint64_t at = 0;                        // where it begins in its segment
    OpenBlock open;
    std::uint64_t payload_bytes = 0;
    std::vector<std::uint64_t> positions;  // by ring: what the log holds up to this block
  };
  void run_closer();
  void hand_over(FilledBlock&& block);
  void close_filled(FilledBlock& block);
  [[nodiscard]] bool begin_segment(std::unique_ptr<MappedSegment> segment);
  void publish_commit(const FilledBlock& block, std::uint64_t block_bytes);
  [[nodiscard]] std::uint64_t promise() const;

  // --- syncer (syncer.cc) ---
  void run_syncer();
  struct SyncJob {
    MappedSegment* segment;  // owned by live_, which only the syncer shrinks
    std::uint64_t end;
    bool sealed;
  };
  [[nodiscard]] Result<void> sync_all(const std::vector<SyncJob>& jobs);

  const LogConfig config_;
  DirectoryLock lock_;
  RecoveryReport recovery_;
  const LogId log_id_;
  const std::uint64_t opened_blocks_;  // in the log when it was opened
  std::uint64_t first_sequence_ = 1;   // of the first producer's first record; constant after start

  // The committer's alone.
  struct Committer {
    std::uint64_t next_sequence = 1;             // of the open block's first record
    std::unique_ptr<MappedSegment> new_segment;  // taken, and goes with the next block
    std::span<std::byte> segment;                // empty until the first record
    std::uint64_t block_at = 0;                  // where the open block begins
    OpenBlock open;
    std::uint64_t open_payload_bytes = 0;
    Deadline opened_at{};
    std::uint64_t closes_done = 0;
    std::chrono::microseconds idle_sleep{0};
    bool asked_ahead = false;
  } committer_;

  // The closer's alone.
  struct Closer {
    ChainState chain;
    std::uint64_t next_segment_number = 1;
    MappedSegment* segment = nullptr;  // owned by live_
    // Those that could not be begun: the committer may still be writing into one.
    std::vector<std::unique_ptr<MappedSegment>> abandoned;
    Sha256 hasher;
  } closer_;

  // From committer to closer, at most kFilledMax: full, the committer waits.
  static constexpr std::size_t kFilledMax = 4;
  std::mutex filled_mutex_;
  std::condition_variable filled_changed_;
  std::deque<FilledBlock> filled_;  // guarded by filled_mutex_
  bool filled_ended_ = false;       // guarded by filled_mutex_: the committer hands over no more

  // Rings: slots are filled in order and never emptied; a returned ring is leased again.
  std::vector<std::unique_ptr<ByteRing>> rings_;
  std::vector<bool> leased_;  // guarded by mutex_
  std::atomic<std::uint32_t> ring_count_{0};

  mutable std::mutex mutex_;
  std::condition_variable committer_wake_;
  std::condition_variable syncer_wake_;
  std::condition_variable progress_;  // synced further, or failed
  // Guarded by mutex_: the hand-off from committer to syncer.
  std::deque<std::unique_ptr<MappedSegment>> live_;  // begun and not yet synced to their end
  std::vector<std::uint64_t> written_positions_;     // by ring
  std::uint64_t handed_sequence_ = 0;
  bool unsynced_ = false;
  bool closing_done_ = false;  // no more blocks will be closed
  bool woken_ = false;
  std::optional<Error> error_;
  WriterStats stats_;

  std::atomic<std::uint64_t> written_sequence_{0};
  std::atomic<std::uint64_t> durable_sequence_{0};
  std::atomic<std::uint64_t> closes_asked_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> closed_{false};
  std::atomic<bool> failed_{false};

  std::mutex close_mutex_;  // one close() at a time
  std::unique_ptr<SegmentPreparer> preparer_;
  std::unique_ptr<Checkpointer> checkpointer_;  // null: none are asked for
  std::unique_ptr<SegmentKeeper> keeper_;       // null: there is nothing to do for it
  std::thread committer_thread_;
  std::thread closer_thread_;
  std::thread syncer_thread_;
};

}  // namespace grace::ledger::internal
