#pragma once
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "block.h"
#include "checkpoint_signer.h"
#include "grace/ledger/log_config.h"
#include "segment_scanner.h"

namespace grace::ledger::internal {

// Signs what a log says of itself: each interval, where there is news, and after each seal.
//
// It trusts nothing that the writer has in memory: it reads the segment files again, from the last
// one that was there when it began, checks every block, hashes included, and signs the tree over
// what it has read. Only what is durable is signed (written, in a log without syncs), so that no
// crash can take back what a checkpoint speaks of; a seal counts once a record behind it is
// durable, since recovery may have to write another in its place. What was there when the log was
// opened is final, seals too, and nothing smaller is signed: no checkpoint is behind an older one.
//
// For kSha256 logs: those with kCrc32c have their SegmentHasher. Thread: one of its own. What fails
// is kept in error() and tried again with the next one.
class Checkpointer {
 public:
  // `opened_blocks`: how many the log had when it was opened. `safe_sequence`: what is durable by
  // now, from any thread. `config.checkpoint.signer` is set.
  Checkpointer(const LogConfig& config, std::uint64_t opened_blocks,
               std::function<std::uint64_t()> safe_sequence);
  ~Checkpointer();  // stop(false)
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // Signs once more what may be signed and ends the thread. `closed_cleanly`: that is all of it.
  void stop(bool closed_cleanly);
  [[nodiscard]] std::optional<Error> error() const { return signer_.error(); }
  // Last record of the newest checkpoint; 0: none yet.
  [[nodiscard]] std::uint64_t signed_sequence() const { return signer_.signed_sequence(); }
  [[nodiscard]] std::uint64_t witnessed_sequence() const { return signer_.witnessed_sequence(); }

 private:
  void run();
  void read_on(bool all);
  [[nodiscard]] bool read_block();
  [[nodiscard]] bool enter(std::uint64_t number);
  [[nodiscard]] bool enter_next();
  [[nodiscard]] bool go_back();
  [[nodiscard]] bool enter_safe();
  void sign();

  const LogConfig& config_;
  const std::uint64_t opened_blocks_;
  const std::function<std::uint64_t()> safe_sequence_;
  CheckpointSigner signer_;

  // The thread's.
  std::unique_ptr<SegmentScanner> segment_;  // null: to be entered; else read_ stands in it
  std::uint64_t segment_number_ = 0;
  ChainState read_;              // up to the last block read
  Frontier safe_;                // up to the last block that may be signed
  std::uint64_t safe_last_ = 0;  // its last record
  bool sealed_since_sign_ = false;
  bool went_back_ = false;
  bool unsafe_records_ = false;  // read_ ends with a block whose records are not yet safe
  std::uint64_t signed_size_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  bool stop_ = false;
  bool closed_cleanly_ = false;
  std::thread thread_;  // last: runs as soon as it exists
};

}  // namespace grace::ledger::internal
