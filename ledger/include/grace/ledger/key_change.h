#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/checkpoint.h"
#include "grace/ledger/error.h"
#include "grace/ledger/log_config.h"
#include "grace/ledger/signed_note.h"

// How the key that signs a log's checkpoints changes: docs/ledger_format.md, section 20. A change
// is a record of the log (RecordType::kKeyChange), and a signed note of this text, signed by the
// key that goes and by the one that comes:
//
//   grace ledger key change/v1
//   log 3edf746f23d5998075816553e876cfa6     the log's id
//   epoch 2                                  of the new key; the log's first key has epoch 1
//   old grace.example/ledger+38b27...        verifier key
//   new grace.example/ledger+a1f04...        of the same name
//   blocks 128                               how many come before the one with this record
//   root mOoh4lYTXa1+Y9UrLyZ9rxrCTx3t...=    root of the tree over them
//   sequence 5012                            the record before this one; 0: none
//   time 1736899200000000000
//
// So trust in one key leads to the later ones, and a change holds at one place of one log only.
namespace grace::ledger {

struct KeyChange {
  std::array<std::uint8_t, 16> log_id{};
  std::uint64_t epoch = 2;
  NoteVerifier old_key;
  NoteVerifier new_key;
  std::uint64_t tree_size = 0;
  Hash root{};
  std::uint64_t last_sequence = 0;
  std::int64_t time_ns = 0;

  friend bool operator==(const KeyChange&, const KeyChange&) = default;
};

// kInvalidArgument where the signers are not the change's two keys, or these are one key, or have
// different names.
[[nodiscard]] Result<std::string> sign_key_change(const KeyChange& change,
                                                  const NoteSigner& old_signer,
                                                  const NoteSigner& new_signer);
// What a note says that both its keys have signed. Whether one believes the old key is another
// matter. Pure, safe on any bytes; kCorrupt names what is wrong.
[[nodiscard]] Result<KeyChange> open_key_change(std::string_view note);

struct RecordedKeyChange {
  KeyChange change;
  std::uint64_t sequence = 0;  // of its record
};

// Whether a change, found as that record of that log, continues the one before it (null: none was
// seen, and `from_start` says whether there was none). Its tree is not looked at.
[[nodiscard]] Result<void> check_key_change(const RecordedKeyChange& found,
                                            const std::array<std::uint8_t, 16>& log_id,
                                            const RecordedKeyChange* before, bool from_start);

// All changes of a log from a record on, each signed by the key before it, at its place, and with
// the root that the log has there; those whose segments retention has removed, too, which are kept
// in files. kCorrupt names the record or the file of one that does not hold. Reads all records from
// there on.
[[nodiscard]] Result<std::vector<RecordedKeyChange>> read_key_changes(
    const std::string& directory, std::uint64_t from_sequence = 1);

// A key that somebody else has, by its id (of which a verifier key has the hex digits): what it
// signs over trees of that many blocks and more is nobody's word, neither checkpoints nor changes.
// Its thief can sign smaller trees, too, and forge them: such a checkpoint is worth what is known
// of when it was held.
struct DistrustedKey {
  std::uint32_t key_id = 0;
  std::uint64_t from_size = 0;  // 0: nothing that it signs counts
};

struct TracedCheckpoint {
  OpenedCheckpoint opened;
  NoteVerifier key;         // that signed it
  std::uint64_t steps = 0;  // key changes from a trusted key to that one; 0: it is itself trusted
};
// Opens a checkpoint that one of the trusted keys has signed, or one that the log's changes lead to
// from a trusted key. A key counts for the blocks of its time only: kUntrustedKey where it had been
// replaced by the checkpoint's size, did not sign yet, or is distrusted there; a change that a
// distrusted key made leads nowhere. kNotFound: no such key signed it.
[[nodiscard]] Result<TracedCheckpoint> trace_checkpoint(
    std::string_view note, std::span<const RecordedKeyChange> changes,
    std::span<const NoteVerifier> trusted, std::span<const DistrustedKey> distrusted = {});

// kInvalidArgument where a distrusted key is neither trusted nor named by a change: a mistyped id
// would distrust nothing.
[[nodiscard]] Result<void> check_distrusted(std::span<const DistrustedKey> distrusted,
                                            std::span<const RecordedKeyChange> changes,
                                            std::span<const NoteVerifier> trusted);

struct ProvenTree {
  std::uint64_t size = 0;  // blocks
  Hash root{};
  NoteVerifier key;  // that has signed it
};
// The largest tree that a change in the log stands for: one of its two keys is believed there (its
// time has come, and it is not distrusted at that size). `changes` of a log that begins with
// `first_sequence`, as verify() gives them: it has compared their trees. Nothing: there is none.
[[nodiscard]] std::optional<ProvenTree> proven_by_key_changes(
    std::span<const RecordedKeyChange> changes, std::uint64_t first_sequence,
    std::span<const NoteVerifier> trusted, std::span<const DistrustedKey> distrusted = {});

// Ends the old key's time and begins the new one's. No writer may be open: opens the log itself,
// reads and checks all of it (what is signed is what was read), appends the record and closes. With
// kCrc32c hash_sealed must be set, what is not hashed yet is hashed for it, and the change is the
// first record of a segment. Of `config`, the signer is not used. `epoch`: of the old key, where
// what tells it was removed with the oldest segments; 0: as the log says. kNotFound where there is
// no log, kUntrustedKey where the old key is not the newest, kCorrupt where the log is damaged.
// What a crash leaves is the log with either key.
[[nodiscard]] Result<RecordedKeyChange> rotate_key(LogConfig config, const NoteSigner& old_signer,
                                                   const NoteSigner& new_signer,
                                                   std::uint64_t epoch = 0);

}  // namespace grace::ledger
