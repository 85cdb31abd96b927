#pragma once
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "block.h"
#include "grace/ledger/checkpoint.h"
#include "grace/ledger/log_config.h"

namespace grace::ledger::internal {

// The checkpoint in the log's directory that our key signed; none where there is no file, or one of
// another key. kCorrupt where its signature or its text is not right.
[[nodiscard]] Result<std::optional<Checkpoint>> held_checkpoint(const LogConfig& config);

// Signs, has countersigned and stores checkpoints: as the file `checkpoint` in the log's directory,
// replaced as a whole; the same, and `checkpoint-<blocks>` after a seal, in the export directory.
// publish() on one thread, the rest on any.
class CheckpointSigner {
 public:
  // `config` is borrowed and outlives this; its signer is set.
  explicit CheckpointSigner(const LogConfig& config) : config_(config) {}

  // The tree over the log's first blocks, which are durable. Those it is given must never shrink.
  struct Statement {
    const Frontier& blocks;
    LogId log_id;
    std::uint64_t sequence;  // last record in them
    bool at_seal;
  };
  // False: it could not be stored; error() says why.
  [[nodiscard]] bool publish(const Statement& statement);

  void note_failure(Error error);
  // Of what failed since the last checkpoint that was stored.
  [[nodiscard]] std::optional<Error> error() const;
  // Last record of the newest checkpoint; 0: none yet.
  [[nodiscard]] std::uint64_t signed_sequence() const;
  [[nodiscard]] std::uint64_t witnessed_sequence() const;

 private:
  const LogConfig& config_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::optional<Error> error_;
  std::uint64_t signed_sequence_ = 0;
  std::uint64_t witnessed_sequence_ = 0;
};

}  // namespace grace::ledger::internal
