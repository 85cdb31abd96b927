#include "key_continuity.h"

#include <chrono>
#include <memory>
#include <utility>

#include "block_writer.h"
#include "directory.h"
#include "grace/ledger/log_proofs.h"
#include "grace/ledger/reader.h"
#include "hashed_tree.h"
#include "text_codec.h"
#include "whole_file.h"
#include "writer_core.h"

namespace grace::ledger {
namespace internal {
namespace {

constexpr std::chrono::minutes kTimeout{1};

// The last record that a note claims to speak of. Nothing hangs on it but how far back is read: a
// false one spoils the signature.
std::uint64_t claimed_sequence(const std::string& note) {
  const auto checkpoint =
      parse_checkpoint(std::string_view(note).substr(0, note.rfind("\n\n") + 1));
  return checkpoint ? checkpoint->sequence : 0;
}

Result<void> check_newest(const std::vector<RecordedKeyChange>& changes, const NoteSigner& signer) {
  if (changes.empty() || changes.back().change.new_key == signer.verifier()) return {};
  return make_error(ErrorCode::kUntrustedKey, "record " + std::to_string(changes.back().sequence) +
                                                  " has made another key the log's: " +
                                                  changes.back().change.new_key.to_text() +
                                                  ", not " + signer.verifier().to_text());
}

// Not through a Producer, which refuses records of this type. The ring is new and empty: it has
// room for whatever is not too large.
Result<std::uint64_t> append_change(WriterCore& writer, std::string_view note) {
  const auto lease = writer.lease_ring(Importance::kEssential);
  if (!lease) return tl::unexpected<Error>(lease.error());
  ByteRing& ring = *lease->ring;
  const std::uint64_t sequence = writer.next_sequence(ring);
  const AppendStatus status =
      writer.try_append(ring, Importance::kEssential, RecordType::kKeyChange, as_bytes(note), {});
  if (status != AppendStatus::kOk) {
    if (auto health = writer.health(); !health) return tl::unexpected<Error>(health.error());
    return make_error(ErrorCode::kInvalidArgument,
                      "record_bytes_max is too small for a key change");
  }
  const auto deadline = std::chrono::steady_clock::now() + kTimeout;
  if (auto safe =
          writer.wait_safe(ring, Importance::kEssential, ring.producer_position(), deadline);
      !safe) {
    return tl::unexpected<Error>(safe.error());
  }
  return sequence;
}

// A writer on a log of which all that was appended is durable. With kCrc32c nothing is in its
// newest segment: the change must be the first record of one, since the tree reaches up to a seal.
Result<std::unique_ptr<WriterCore>> open_for_change(const LogConfig& config) {
  constexpr int kOpensMax = 2;  // the first one may have left a recovery record
  for (int opens = 1;; ++opens) {
    auto writer = WriterCore::open(config, /*keeper_runs=*/false);
    if (!writer) return writer;
    if (auto flushed = (*writer)->flush(kTimeout); !flushed) {
      return tl::unexpected<Error>(flushed.error());
    }
    const bool has_begun = (*writer)->written_sequence() > (*writer)->recovery().last_sequence;
    if (config.integrity == Integrity::kSha256 || !has_begun || opens == kOpensMax) return writer;
    if (auto closed = (*writer)->close(); !closed) return tl::unexpected<Error>(closed.error());
  }
}

// Over all blocks that are there; with kCrc32c all are hashed for it that are not yet.
Result<LogTree> tree_for_change(const LogConfig& config) {
  if (config.integrity == Integrity::kSha256) return read_tree(config.directory, ~0ULL);
  const auto numbers = segments_of_log(config.directory);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  return read_hashed_tree(config.directory, *numbers, numbers->size() - 1, ~0ULL);
}

}  // namespace

Result<std::uint64_t> check_continuity(const LogConfig& config, const NoteSigner& signer,
                                       bool log_is_new) {
  const std::string path = checkpoint_path(config.directory);
  const auto loaded = load_note(path);
  if (!loaded) return tl::unexpected<Error>(loaded.error());
  const std::optional<std::string>& note = *loaded;
  const auto named = [&path](Error error) {
    error.message = path + ": " + error.message;
    return tl::unexpected<Error>(std::move(error));
  };
  if (log_is_new && !note) return 0;
  if (log_is_new) {
    return named({ErrorCode::kCorrupt, "the log that it speaks of is gone", 0, 0, 0});
  }
  const std::uint64_t from = note ? claimed_sequence(*note) : 0;
  const auto changes = read_key_changes(config.directory, from == ~0ULL ? from : from + 1);
  if (!changes) return tl::unexpected<Error>(changes.error());
  if (auto newest = check_newest(*changes, signer); !newest) {
    return tl::unexpected<Error>(newest.error());
  }
  const std::uint64_t signs_from = changes->empty() ? 0 : changes->back().change.tree_size + 1;
  if (!note) return signs_from;
  std::vector<NoteVerifier> trusted = config.checkpoint.witnesses;
  trusted.insert(trusted.begin(),
                 changes->empty() ? signer.verifier() : changes->front().change.old_key);
  const auto traced = trace_checkpoint(*note, *changes, trusted);
  if (!traced && traced.error().code == ErrorCode::kNotFound) {
    return named({ErrorCode::kUntrustedKey,
                  "it is not signed with " + signer.verifier().to_text() +
                      ", and no key change in the log leads from its key to that one",
                  0, 0, 0});
  }
  if (!traced) return named(traced.error());
  const auto checked = check_log(config.directory, traced->opened.checkpoint);
  if (!checked && checked.error().code != ErrorCode::kNotFound) return named(checked.error());
  return signs_from;
}

}  // namespace internal

Result<RecordedKeyChange> rotate_key(LogConfig config, const NoteSigner& old_signer,
                                     const NoteSigner& new_signer, std::uint64_t epoch) {
  config.checkpoint.signer = nullptr;
  config.retention = {};  // makes records of its own, and the change is for one place only
  if (config.integrity == Integrity::kCrc32c && !config.hash_sealed) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a log with crc32c needs hash_sealed: else it has no signing key");
  }
  const std::string directory = config.directory;
  if (auto there = internal::segments_of_log(directory); !there) {
    return tl::unexpected<Error>(there.error());
  }
  auto opened = internal::open_for_change(config);
  if (!opened) return tl::unexpected<Error>(opened.error());
  internal::WriterCore& writer = **opened;
  if (auto held = internal::check_continuity(config, old_signer, false); !held) {
    return tl::unexpected<Error>(held.error());
  }
  const auto report = verify(directory);
  if (!report) return tl::unexpected<Error>(report.error());
  if (!report->ok) {
    return make_error(ErrorCode::kCorrupt, directory + " does not verify: no key is changed on it");
  }
  const auto& changes = report->key_changes;
  if (auto newest = internal::check_newest(changes, old_signer); !newest) {
    return tl::unexpected<Error>(newest.error());
  }
  if (!changes.empty()) epoch = changes.back().change.epoch;
  if (changes.empty() && report->first_sequence == 1) epoch = 1;
  if (epoch == 0) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the segments that tell the old key's epoch were removed: name it");
  }
  const auto tree = internal::tree_for_change(config);
  if (!tree) return tl::unexpected<Error>(tree.error());
  if (tree->last_sequence != report->last_sequence) {
    return make_error(ErrorCode::kCorrupt, directory + ": the tree ends with record " +
                                               std::to_string(tree->last_sequence) + ", the log " +
                                               "with " + std::to_string(report->last_sequence));
  }
  const auto root = tree->leaves.root_at(tree->leaves.size());
  if (!root) return tl::unexpected<Error>(root.error());
  KeyChange change{.log_id = tree->log_id,
                   .epoch = epoch + 1,
                   .old_key = old_signer.verifier(),
                   .new_key = new_signer.verifier(),
                   .tree_size = tree->leaves.size(),
                   .root = *root,
                   .last_sequence = tree->last_sequence,
                   .time_ns = internal::wall_clock_ns(config)};
  const auto note = sign_key_change(change, old_signer, new_signer);
  if (!note) return tl::unexpected<Error>(note.error());
  const auto sequence = internal::append_change(writer, *note);
  if (!sequence) return tl::unexpected<Error>(sequence.error());
  if (auto closed = writer.close(); !closed) return tl::unexpected<Error>(closed.error());
  return RecordedKeyChange{std::move(change), *sequence};
}

}  // namespace grace::ledger
