#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "checkpoint_signer.h"
#include "grace/ledger/log_config.h"
#include "hash_segment.h"

namespace grace::ledger::internal {

// Makes a kCrc32c log tamper-evident behind its writer: hashes each sealed segment, in order, into
// a tree file, and signs the tree up to the newest where there is a signer.
//
// It trusts nothing that the writer has in memory: it reads the segment files again and checks each
// block. A segment's turn comes when a record behind it is durable (written, in a log without
// syncs: then the segment is synced here), or when the log was closed or had it when it was opened:
// its seal is final then. Tree files that are there from earlier are taken at their word if they
// follow one another; one that is missing or damaged is made again.
//
// Thread: one of its own, of low priority; looks for sealed segments each checkpoint interval.
// Bounds: one segment at a time, ten blocks of it in memory, and a thread beside this one while it
// lasts. What fails is kept in error() and tried again, but for a sync, and for damage to a segment
// or a tree file: those end the hashing.
class SegmentHasher {
 public:
  // `opened_blocks`: how many the log had when it was opened. `signs_from`: no tree of fewer blocks
  // is signed. `safe_sequence`: what is durable by now, from any thread.
  SegmentHasher(const LogConfig& config, std::uint64_t opened_blocks, std::uint64_t signs_from,
                std::function<std::uint64_t()> safe_sequence);
  ~SegmentHasher();  // stop(false)
  SegmentHasher(const SegmentHasher&) = delete;
  SegmentHasher& operator=(const SegmentHasher&) = delete;

  // Ends the thread. `closed_cleanly`: the log's last segment is sealed; what is left is hashed
  // first, for at most config.hash_close_wait.
  void stop(bool closed_cleanly);
  [[nodiscard]] std::optional<Error> error() const;
  [[nodiscard]] std::optional<Error> checkpoint_error() const { return signer_.error(); }
  // Last record of the newest hashed segment; 0: none yet.
  [[nodiscard]] std::uint64_t hashed_sequence() const;
  [[nodiscard]] std::uint64_t hashed_segments() const;  // by this object
  [[nodiscard]] std::uint64_t signed_sequence() const { return signer_.signed_sequence(); }
  [[nodiscard]] std::uint64_t witnessed_sequence() const { return signer_.witnessed_sequence(); }

 private:
  void run();
  void hash_what_is_there();
  [[nodiscard]] bool find_first();
  // One segment further, from its tree file or by hashing it. False: nothing more to do now.
  [[nodiscard]] bool step();
  [[nodiscard]] bool adopt(const TreeFile& file, const SegmentHeader& header);
  [[nodiscard]] bool is_ready(std::uint64_t number, bool was_there);
  void move_over(const TreeFile& file, bool hashed);
  void sign();
  void note_failure(Error error, bool for_good);
  [[nodiscard]] bool should_stop() const;

  const LogConfig& config_;
  const std::uint64_t opened_blocks_;
  const std::uint64_t signs_from_;
  const std::function<std::uint64_t()> safe_sequence_;
  CheckpointSigner signer_;

  // The thread's.
  std::uint64_t next_number_ = 0;  // 0: not known yet
  Frontier blocks_;                // over all segments before next_number_
  LogId log_id_{};
  std::uint64_t last_sequence_ = 0;
  // No smaller tree is signed; none: not known yet, an older checkpoint may say it.
  std::optional<std::uint64_t> sign_from_;
  bool ended_ = false;  // an error for good

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  bool stop_ = false;
  bool closed_cleanly_ = false;
  std::chrono::steady_clock::time_point stop_at_{};  // with closed_cleanly_
  std::optional<Error> error_;
  std::uint64_t hashed_sequence_ = 0;
  std::uint64_t hashed_segments_ = 0;
  std::thread thread_;  // last: runs as soon as it exists
};

}  // namespace grace::ledger::internal
