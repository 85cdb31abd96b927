#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/sha256.h"
#include "grace/ledger/signed_note.h"

// What a log says of itself at one moment, to be signed: a checkpoint as in
// https://c2sp.org/tlog-checkpoint, which is the text of a signed note.
//
//   grace.example/ledger/7                             origin: the log's name, and its key's
//   20852163                                           tree size: count of blocks
//   CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=       root of the tree over the blocks' hashes
//   log 3edf746f23d5998075816553e876cfa6               extension lines: the log's id
//   sequence 94881133                                  its last record
//   time 1735689600000000000                           when, in nanoseconds since 1970
//
// Each of our three extension lines may be absent, but they come in this order and before any
// other; a line that begins with one of their words and is not as above is refused. Other lines are
// kept as they are. So every text that parses is the text of its checkpoint, byte for byte.
//
// All calls are pure, safe on any bytes, and may run on any thread; they allocate no more than the
// text's size. The text is at most what a note takes (kNoteBytesMax).
namespace grace::ledger {

struct Checkpoint {
  std::string origin;                     // not empty, one line
  std::uint64_t tree_size = 0;            // count of leaves
  Hash root{};                            // MTH(tree_size); see merkle_tree.h
  std::array<std::uint8_t, 16> log_id{};  // zeros: not said
  std::uint64_t sequence = 0;             // 0: none, or not said
  std::int64_t time_ns = 0;               // 0: not said. Never negative
  std::vector<std::string> other_lines;   // further extension lines, each not empty

  // kInvalidArgument where a field is not as above: a name with a newline would forge a line.
  [[nodiscard]] Result<std::string> to_text() const;

  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// kCorrupt where this is no checkpoint; the message names the line.
[[nodiscard]] Result<Checkpoint> parse_checkpoint(std::string_view text);

// The note of the checkpoint. The signer's name must be the origin: kInvalidArgument.
[[nodiscard]] Result<std::string> sign_checkpoint(const Checkpoint& checkpoint,
                                                  const NoteSigner& signer);

struct OpenedCheckpoint {
  Checkpoint checkpoint;
  std::vector<NoteSignature> signatures;  // verified; one at least has the origin for its name
  std::size_t unverified_count = 0;
};

// As open_note(); besides, one of the known keys that signed must have the origin for its name
// (kNotFound), so that a witness among `verifiers` cannot speak for a log.
[[nodiscard]] Result<OpenedCheckpoint> open_checkpoint(std::string_view note,
                                                       std::span<const NoteVerifier> verifiers);

}  // namespace grace::ledger
