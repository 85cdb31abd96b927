// Proofs behind a right signature: the input chooses a proof of a small log and changes some of its
// parts, its block header and checkpoint too, and the fuzzer signs what comes out. A proof that
// holds must say what the log says.
//
// An input is the choice of a proof, then commands of four bytes: which part, place, value, how.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "grace/ledger/log_proofs.h"

namespace {

using namespace grace::ledger;

constexpr std::size_t kBlocks = 11;
constexpr std::uint32_t kRecordsInBlock = 3;
constexpr std::size_t kCommandsMax = 8;

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "a proof held that should not, or the reverse: %s\n", what);
  std::abort();
}

const NoteSigner& signer() {
  static const NoteSigner instance =
      std::move(*NoteSigner::from_seed("log.example", std::array<std::uint8_t, 32>{1, 2, 3}));
  return instance;
}

std::vector<NoteVerifier> keys() {
  return {signer().verifier()};
}

std::string record_of(std::uint64_t sequence) {
  const std::string payload = "payload " + std::to_string(sequence);
  RecordHeader header{};
  header.length = static_cast<std::uint32_t>(payload.size());
  header.sequence = sequence;
  header.type = RecordType::kNote;
  std::string bytes(sizeof(header), '\0');
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes + payload;
}

Hash leaf_of(std::string_view bytes) {
  return merkle_leaf_hash(std::as_bytes(std::span(bytes)));
}

// Blocks as far as proofs look at them.
struct Log {
  std::vector<LeafRange> records;
  std::vector<BlockHeader> headers;
  LeafRange blocks;
};

const Log& log() {
  static const Log instance = [] {
    Log made;
    for (std::size_t number = 0; number < kBlocks; ++number) {
      LeafRange records;
      BlockHeader header{};
      header.magic = kBlockMagic;
      header.flags = kBlockRecordTree;
      header.block_number = number;
      header.first_sequence = 1 + number * kRecordsInBlock;
      header.record_count = kRecordsInBlock;
      for (std::uint32_t index = 0; index < kRecordsInBlock; ++index) {
        records.push(leaf_of(record_of(header.first_sequence + index)));
      }
      header.records_hash = *records.root_at(kRecordsInBlock);
      made.blocks.push(merkle_leaf_hash(std::as_bytes(std::span(&header, 1))));
      made.headers.push_back(header);
      made.records.push_back(std::move(records));
    }
    return made;
  }();
  return instance;
}

Checkpoint checkpoint_of(std::uint64_t size) {
  Checkpoint checkpoint;
  checkpoint.origin = signer().verifier().name();
  checkpoint.tree_size = size;
  checkpoint.root = *log().blocks.root_at(size);
  checkpoint.log_id.fill(7);
  checkpoint.sequence = size * kRecordsInBlock;
  return checkpoint;
}

struct Command {
  std::uint8_t part = 0;
  std::uint8_t place = 0;
  std::uint8_t value = 0;
  std::uint8_t how = 0;
};

void change(std::uint64_t& number, const Command& command) {
  if (command.how % 3 == 0) number ^= std::uint64_t{1} << command.value % 64;
  if (command.how % 3 == 1) number += command.value;
  if (command.how % 3 == 2) number = command.value;
}

template <typename Container>
void change_byte(Container& bytes, const Command& command) {
  if (bytes.empty()) return;
  auto& byte = bytes[command.place % bytes.size()];
  byte = static_cast<std::decay_t<decltype(byte)>>(static_cast<std::uint8_t>(byte) ^ command.value);
}

void change(std::vector<Hash>& path, const Command& command) {
  const std::size_t at = command.place % (path.size() + 1);
  if (command.how % 4 == 0) path.insert(path.begin() + static_cast<std::ptrdiff_t>(at), Hash{});
  if (path.empty()) return;
  if (command.how % 4 == 1) path.pop_back();
  if (command.how % 4 == 2) change_byte(path[at % path.size()], command);
  if (command.how % 4 == 3) std::swap(path.front(), path[at % path.size()]);
}

void change(Checkpoint& checkpoint, const Command& command) {
  if (command.place % 4 == 0) change(checkpoint.tree_size, command);
  if (command.place % 4 == 1) change(checkpoint.sequence, command);
  if (command.place % 4 == 2) change_byte(checkpoint.log_id, command);
  if (command.place % 4 == 3) change_byte(checkpoint.root, command);
}

std::string signed_note(const Checkpoint& checkpoint) {
  auto note = sign_checkpoint(checkpoint, signer());
  require(note.has_value(), "a checkpoint is signed");
  return std::move(*note);
}

RecordProof record_proof(std::uint64_t size, std::uint64_t sequence) {
  RecordProof proof;
  const std::uint64_t number = (sequence - 1) / kRecordsInBlock;
  proof.sequence = sequence;
  proof.block_number = number;
  std::memcpy(proof.block_header.data(), &log().headers[number], sizeof(BlockHeader));
  proof.record_index = static_cast<std::uint32_t>((sequence - 1) % kRecordsInBlock);
  proof.record_count = kRecordsInBlock;
  proof.record_path = *log().records[number].inclusion_proof(proof.record_index, kRecordsInBlock);
  proof.record_bytes = record_of(sequence);
  proof.block_path = *log().blocks.inclusion_proof(number, size);
  return proof;
}

// Through its text, as a stranger gets it; a proof that cannot be one has no text.
template <typename Proof>
bool survives_text(const Proof& proof) {
  const auto text = proof.to_text();
  if (!text) return false;
  const auto parsed = Proof::parse(*text);
  require(parsed && *parsed == proof, "a proof's text is its own");
  return true;
}

void check_record(std::uint64_t size, std::uint64_t sequence, std::span<const Command> commands) {
  RecordProof proof = record_proof(size, sequence);
  const RecordProof original = proof;
  Checkpoint checkpoint = checkpoint_of(size);
  for (const Command& command : commands) {
    std::uint64_t index = proof.record_index;
    std::uint64_t count = proof.record_count;
    switch (command.part % 9) {
      case 0:
        change(proof.sequence, command);
        break;
      case 1:
        change(proof.block_number, command);
        break;
      case 2:
        change_byte(proof.block_header, command);
        break;
      case 3:
        change(index, command);
        break;
      case 4:
        change(count, command);
        break;
      case 5:
        change(proof.record_path, command);
        break;
      case 6:
        change_byte(proof.record_bytes, command);
        break;
      case 7:
        change(proof.block_path, command);
        break;
      default:
        change(checkpoint, command);
        break;
    }
    proof.record_index = static_cast<std::uint32_t>(index);
    proof.record_count = static_cast<std::uint32_t>(count);
  }
  // The root of whoever signs may be any: there the header and paths are another tree's.
  const bool same_root = checkpoint.root == checkpoint_of(size).root;
  proof.checkpoint_note = signed_note(checkpoint);
  const auto proven = survives_text(proof) ? check_record_proof(proof, keys())
                                           : Result<ProvenRecord>(tl::unexpected(Error{}));
  if (proven) {
    require(same_root, "a path leads to one root");
    require(proof.sequence == sequence && proof.record_bytes == original.record_bytes &&
                proof.block_header == original.block_header,
            "of a tree's leaf only this can be said");
    require(proven->payload == original.record_bytes.substr(sizeof(RecordHeader)), "payload");
  }
  const bool changed =
      std::tie(proof.record_path, proof.block_path, proof.record_index, proof.record_count,
               proof.block_number) != std::tie(original.record_path, original.block_path,
                                               original.record_index, original.record_count,
                                               original.block_number) ||
      proof.sequence != sequence || proof.record_bytes != original.record_bytes ||
      proof.block_header != original.block_header || !same_root || checkpoint.tree_size != size;
  if (!changed) require(proven.has_value(), "a right proof holds");
}

void check_consistency(std::uint64_t old_size, std::uint64_t new_size,
                       std::span<const Command> commands) {
  ConsistencyProofText proof;
  proof.old_size = old_size;
  proof.new_size = new_size;
  proof.path = *log().blocks.consistency_proof(old_size, new_size);
  const auto path = proof.path;
  Checkpoint older = checkpoint_of(old_size);
  Checkpoint newer = checkpoint_of(new_size);
  for (const Command& command : commands) {
    switch (command.part % 5) {
      case 0:
        change(proof.old_size, command);
        break;
      case 1:
        change(proof.new_size, command);
        break;
      case 2:
        change(proof.path, command);
        break;
      case 3:
        change(older, command);
        break;
      default:
        change(newer, command);
        break;
    }
  }
  proof.old_checkpoint_note = signed_note(older);
  proof.new_checkpoint_note = signed_note(newer);
  const bool held = survives_text(proof) && check_consistency_proof(proof, keys());
  const bool same = proof.old_size == old_size && proof.new_size == new_size &&
                    proof.path == path && older.tree_size == old_size &&
                    newer.tree_size == new_size && older.root == checkpoint_of(old_size).root &&
                    newer.root == checkpoint_of(new_size).root && older.log_id == newer.log_id;
  if (same) require(held, "a right proof holds");
  if (!held) return;
  require(older.log_id == newer.log_id && older.tree_size == proof.old_size &&
              newer.tree_size == proof.new_size,
          "two checkpoints of one log");
  // With one root as it was, the other is settled by a path of that tree.
  if (newer.root == checkpoint_of(new_size).root && newer.tree_size == new_size &&
      older.tree_size <= new_size) {
    require(older.root == checkpoint_of(older.tree_size).root, "the newer tree's first leaves");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  std::vector<Command> commands;
  for (std::size_t at = 3; at + sizeof(Command) <= size && commands.size() < kCommandsMax;
       at += sizeof(Command)) {
    commands.emplace_back();
    std::memcpy(&commands.back(), data + at, sizeof(Command));
  }
  if (data[0] % 2 == 0) {
    const std::uint64_t tree_size = 1 + data[1] % kBlocks;
    check_record(tree_size, 1 + data[2] % (tree_size * kRecordsInBlock), commands);
  } else {
    const std::uint64_t new_size = data[1] % (kBlocks + 1);
    check_consistency(data[2] % (new_size + 1), new_size, commands);
  }
  return 0;
}
