#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/checkpoint.h"
#include "grace/ledger/error.h"
#include "grace/ledger/format.h"
#include "grace/ledger/merkle_tree.h"
#include "grace/ledger/proof_text.h"

// What a log proves about itself, and how anybody checks it: docs/ledger_format.md, sections 8 and
// 12. Reading calls work beside a live writer, read headers and footers only (and one whole block
// for a record), and say kNotFound where there is no log, kCorrupt where the log is damaged on the
// way. Checking calls need no log and are safe on any bytes: kCorrupt where something does not
// hold, with a reason that names it. All are pure but for reading, and may run on any thread.
//
// A log with Integrity::kCrc32c has its hashes in tree files, one for each hashed segment: the
// calls read those beside the headers, and hash a segment themselves where its file is missing and
// needed (kNotFound where that cannot be done, since older segments were removed). That a segment's
// records are those of its tree file is for verify() to say.
namespace grace::ledger {

// The tree over a log's blocks, as far as they are there: from the first block of the last segment
// that begins at or before `from_block`. With kCrc32c: as far as segments have been hashed, and
// from an earlier segment where the tree before that one is not known.
struct LogTree {
  std::array<std::uint8_t, 16> log_id{};
  LeafRange leaves;
  // The last record before leaves.first(), then up to each; empty where nothing is hashed yet.
  std::vector<std::uint64_t> sequences;
  std::uint64_t last_sequence = 0;
};
[[nodiscard]] Result<LogTree> read_tree(const std::string& directory, std::uint64_t from_block = 0);

// That the log still holds all that the checkpoint speaks of: finds a log that was cut, rolled back
// to an older copy, or rewritten, or whose last record then was another (kCorrupt). kNotFound: the
// blocks around the checkpoint's end were removed by retention, so nothing can be said.
[[nodiscard]] Result<void> check_log(const std::string& directory, const Checkpoint& checkpoint);

// `checkpoint_note` must open with `verifiers` and speak of the record. kUnsupported where the
// record's block has no record tree (LogConfig::record_trees).
[[nodiscard]] Result<RecordProof> prove_record(const std::string& directory, std::uint64_t sequence,
                                               std::string_view checkpoint_note,
                                               std::span<const NoteVerifier> verifiers);

struct ProvenRecord {
  RecordHeader header;
  std::string payload;
  std::int64_t block_time_ns = 0;
  Checkpoint checkpoint;
};
[[nodiscard]] Result<ProvenRecord> check_record_proof(const RecordProof& proof,
                                                      std::span<const NoteVerifier> verifiers);

// That the log of the newer checkpoint begins with the log of the older one.
[[nodiscard]] Result<ConsistencyProofText> prove_consistency(
    const std::string& directory, std::string_view old_note, std::string_view new_note,
    std::span<const NoteVerifier> verifiers);
[[nodiscard]] Result<void> check_consistency_proof(const ConsistencyProofText& proof,
                                                   std::span<const NoteVerifier> verifiers);

}  // namespace grace::ledger
