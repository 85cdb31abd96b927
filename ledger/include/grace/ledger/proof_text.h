#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/format.h"
#include "grace/ledger/sha256.h"
#include "grace/ledger/signed_note.h"

// Proofs as files that a third party can check without the log, in the manner of
// https://c2sp.org/tlog-proof: words and numbers, Base64, one hash a line, and after an empty line
// the log's signed checkpoint as it is. Lines end in a newline; their order is fixed.
//
//   grace-ledger-proof/v1                      grace-ledger-proof/v1
//   kind record                                kind consistency
//   sequence 7                                 old-size 3
//   block 3                                    new-size 8
//   block-header R1JCTE9DSzF/...               path 4
//   record-count 3                             <hash> ... 4 lines
//   record-index 1                             old-checkpoint-bytes 255
//   record-path 2                              <empty line>
//   <hash>                                     <the older checkpoint's note, 255 bytes>
//   <hash>                                     <empty line>
//   record YXNkZg...                           <the newer checkpoint's note, up to the end>
//   block-path 1
//   <hash>
//   <empty line>
//   <the checkpoint's note, up to the end>
//
// Here is only the text. What parses is well-formed and within bounds; that it proves anything is
// for who knows blocks and keys to check: the note by open_checkpoint(), the record's hash and
// record path against the header's root, header and block path against the checkpoint's root.
//
// Every text that parses is the text of its proof, byte for byte. All calls are pure, safe on any
// bytes, and may run on any thread; they allocate no more than a small multiple of the text.
// to_text() gives kInvalidArgument where a field is out of bounds, parse() gives kCorrupt and names
// the line, or kUnsupported where it is a proof of another version.
namespace grace::ledger {

inline constexpr std::size_t kRecordPathHashesMax = 32;  // a block counts records in 32 bits
inline constexpr std::size_t kBlockPathHashesMax = 64;   // as high as a tree of 2^64 leaves
inline constexpr std::size_t kConsistencyPathHashesMax = kBlockPathHashesMax + 1;
inline constexpr std::size_t kRecordBytesMax = kBlockBytesMax;  // header and payload

enum class ProofKind : std::uint8_t { kRecord, kConsistency };

// By the first two lines; the rest is not looked at.
[[nodiscard]] Result<ProofKind> proof_kind(std::string_view text);

// That a record is in the log that signed the checkpoint.
struct RecordProof {
  std::uint64_t sequence = 0;
  std::uint64_t block_number = 0;  // the leaf's index
  std::array<std::byte, sizeof(BlockHeader)> block_header{};
  std::uint32_t record_index = 0;  // in the block; below record_count
  std::uint32_t record_count = 0;
  std::vector<Hash> record_path;  // at most kRecordPathHashesMax
  std::string record_bytes;       // RecordHeader and payload, without the zeros behind
  std::vector<Hash> block_path;   // at most kBlockPathHashesMax
  std::string checkpoint_note;    // not empty, at most kNoteBytesMax

  [[nodiscard]] Result<std::string> to_text() const;
  [[nodiscard]] static Result<RecordProof> parse(std::string_view text);

  friend bool operator==(const RecordProof&, const RecordProof&) = default;
};

// That a log of new_size begins with the log of old_size.
struct ConsistencyProofText {
  std::uint64_t old_size = 0;  // at most new_size
  std::uint64_t new_size = 0;
  std::vector<Hash> path;  // at most kConsistencyPathHashesMax
  std::string old_checkpoint_note;
  std::string new_checkpoint_note;

  [[nodiscard]] Result<std::string> to_text() const;
  [[nodiscard]] static Result<ConsistencyProofText> parse(std::string_view text);

  friend bool operator==(const ConsistencyProofText&, const ConsistencyProofText&) = default;
};

}  // namespace grace::ledger
