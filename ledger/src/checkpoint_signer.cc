#include "checkpoint_signer.h"

#include <span>
#include <utility>

#include "block_writer.h"
#include "directory.h"
#include "whole_file.h"

namespace grace::ledger::internal {

Result<std::optional<Checkpoint>> held_checkpoint(const LogConfig& config) {
  const std::string path = checkpoint_path(config.directory);
  const auto note = load_note(path);
  if (!note) return tl::unexpected<Error>(note.error());
  if (!*note) return std::nullopt;
  auto opened = open_checkpoint(**note, config.checkpoint.known_keys(*config.checkpoint.signer));
  if (opened) return std::move(opened->checkpoint);
  // Signed with an earlier key: who holds that one can check it, with verify.
  if (opened.error().code == ErrorCode::kNotFound) return std::nullopt;
  Error error = std::move(opened.error());
  error.message = path + ": " + error.message;
  return tl::unexpected<Error>(std::move(error));
}

bool CheckpointSigner::publish(const Statement& statement) {
  const CheckpointConfig& how = config_.checkpoint;
  Checkpoint checkpoint;
  checkpoint.origin = how.signer->verifier().name();
  checkpoint.tree_size = statement.blocks.size();
  checkpoint.root = statement.blocks.root();
  checkpoint.log_id = statement.log_id;
  checkpoint.sequence = statement.sequence;
  checkpoint.time_ns = wall_clock_ns(config_);
  auto note = sign_checkpoint(checkpoint, *how.signer);
  if (!note) {
    note_failure(note.error());
    return false;
  }
  bool witnessed = false;
  if (how.countersign) {
    // Without the witness the checkpoint is as good as it was: its own signature stands.
    if (auto more = how.countersign(*note)) {
      const auto opened = open_checkpoint(*more, how.known_keys(*how.signer));
      witnessed = opened && opened->checkpoint == checkpoint && opened->signatures.size() > 1;
      if (witnessed) *note = std::move(*more);
    }
  }
  const auto store = [&](const std::string& directory, const std::string& suffix) {
    return store_whole(*config_.file_system, directory, "checkpoint" + suffix,
                       std::as_bytes(std::span(*note)));
  };
  auto stored = store(config_.directory, "");
  if (stored && !how.export_directory.empty()) {
    stored = store(how.export_directory, "");
    if (stored && statement.at_seal) {
      stored = store(how.export_directory, "-" + std::to_string(checkpoint.tree_size));
    }
  }
  if (!stored) {
    note_failure(stored.error());
    return false;
  }
  const std::lock_guard lock(mutex_);
  error_.reset();
  signed_sequence_ = checkpoint.sequence;
  if (witnessed) witnessed_sequence_ = checkpoint.sequence;
  return true;
}

void CheckpointSigner::note_failure(Error error) {
  const std::lock_guard lock(mutex_);
  error_ = std::move(error);
}

std::optional<Error> CheckpointSigner::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

std::uint64_t CheckpointSigner::signed_sequence() const {
  const std::lock_guard lock(mutex_);
  return signed_sequence_;
}

std::uint64_t CheckpointSigner::witnessed_sequence() const {
  const std::lock_guard lock(mutex_);
  return witnessed_sequence_;
}

}  // namespace grace::ledger::internal
