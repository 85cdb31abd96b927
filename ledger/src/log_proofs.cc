#include "grace/ledger/log_proofs.h"

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "block.h"
#include "directory.h"
#include "hashed_tree.h"
#include "segment_index.h"
#include "segment_scanner.h"

namespace grace::ledger {
namespace {

using internal::ChainState;
using internal::SegmentScanner;
using Step = SegmentScanner::Step;

tl::unexpected<Error> refused(std::string reason) {
  return make_error(ErrorCode::kCorrupt, std::move(reason));
}

struct OpenSegment {
  std::unique_ptr<SegmentScanner> scanner;
  ChainState chain;  // before its first block
};

tl::unexpected<Error> located(Error error, const std::string& directory, std::uint64_t number) {
  return tl::unexpected<Error>(internal::located(std::move(error), directory, number));
}

Result<OpenSegment> open_segment(const std::string& directory, std::uint64_t number) {
  auto scanner = SegmentScanner::open(directory, number, /*check_hashes=*/false);
  if (!scanner) return tl::unexpected<Error>(scanner.error());
  OpenSegment open{std::move(*scanner), {}};
  const auto header = open.scanner->read_header();
  if (!header) return located(header.error(), directory, number);
  open.chain = open.scanner->chain();
  return open;
}

// The last segment of which `before` holds; the first one where it holds of none.
template <typename Before>
Result<std::size_t> find_segment(const std::string& directory,
                                 const std::vector<std::uint64_t>& numbers, Before&& before) {
  std::size_t low = 0;
  std::size_t high = numbers.size();
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    const auto open = open_segment(directory, numbers[middle]);
    if (!open) return tl::unexpected<Error>(open.error());
    (before(open->chain) ? low : high) = middle;
  }
  return low;
}

// Passes over the segment's blocks; `on_block` sees each header and its chain value, and says
// whether to go on.
template <typename OnBlock>
Result<void> walk(OpenSegment& open, const std::string& directory, std::uint64_t number,
                  OnBlock&& on_block) {
  Step step = Step::kBlock;
  while ((step = open.scanner->skip(open.chain)) == Step::kBlock) {
    if (!on_block(open.scanner->header(), open.chain)) return {};
  }
  if (step == Step::kIo) return located(open.scanner->error(), directory, number);
  if (step == Step::kInvalid) {
    Error error{ErrorCode::kCorrupt, open.scanner->fault().reason, 0, number,
                open.scanner->fault().offset};
    return located(std::move(error), directory, number);
  }
  return {};
}

Result<Checkpoint> open_for(std::string_view note, std::span<const NoteVerifier> verifiers) {
  auto opened = open_checkpoint(note, verifiers);
  if (!opened) return tl::unexpected<Error>(opened.error());
  return std::move(opened->checkpoint);
}

struct FoundBlock {
  BlockHeader header;
  std::vector<std::byte> records;
};

Result<FoundBlock> find_block(const std::string& directory, std::uint64_t sequence) {
  const auto numbers = internal::segments_of_log(directory);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  const auto at = find_segment(directory, *numbers, [&](const ChainState& chain) {
    return chain.next_sequence <= sequence;
  });
  if (!at) return tl::unexpected<Error>(at.error());
  const std::uint64_t number = (*numbers)[*at];
  auto open = open_segment(directory, number);
  if (!open) return tl::unexpected<Error>(open.error());
  internal::pass_by_index(
      *open->scanner, open->chain, directory, number,
      [&](const internal::IndexEntry& entry) { return entry.first_sequence <= sequence; });
  FoundBlock found;
  bool is_found = false;
  auto walked = walk(*open, directory, number, [&](const BlockHeader& header, const ChainState&) {
    is_found =
        header.first_sequence <= sequence && sequence < header.first_sequence + header.record_count;
    if (is_found) found.header = header;
    return !is_found;
  });
  if (!walked) return tl::unexpected<Error>(walked.error());
  if (!is_found) {
    return make_error(ErrorCode::kNotFound,
                      "record " + std::to_string(sequence) + " is not in " + directory);
  }
  found.records.resize(found.header.records_bytes);
  const std::uint64_t begin = open->scanner->offset() - found.header.block_bytes;
  const auto got = open->scanner->source().read(begin + sizeof(BlockHeader), found.records);
  if (!got) return tl::unexpected<Error>(got.error());
  if (*got != found.records.size()) return refused("the segment was cut short while it was read");
  return found;
}

}  // namespace

namespace {

// `blocks_min`: how many the caller needs. Of a log with kCrc32c some may have to be hashed first.
Result<LogTree> read_tree_of(const std::string& directory, std::uint64_t from_block,
                             std::uint64_t blocks_min) {
  const auto numbers = internal::segments_of_log(directory);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  const auto from = find_segment(directory, *numbers, [&](const ChainState& chain) {
    return chain.next_block_number <= from_block;
  });
  if (!from) return tl::unexpected<Error>(from.error());
  const auto first = open_segment(directory, (*numbers)[*from]);
  if (!first) return tl::unexpected<Error>(first.error());
  if (first->chain.integrity == Integrity::kCrc32c) {
    auto hashed = internal::read_hashed_tree(directory, *numbers, *from, blocks_min);
    if (hashed) hashed->log_id = first->chain.log_id;  // also where nothing is hashed yet
    return hashed;
  }
  LogTree tree;
  ChainState end;
  for (std::size_t index = *from; index < numbers->size(); ++index) {
    auto open = open_segment(directory, (*numbers)[index]);
    if (!open) return tl::unexpected<Error>(open.error());
    if (index == *from) {
      tree.log_id = open->chain.log_id;
      tree.leaves = LeafRange(open->chain.blocks);
      tree.sequences.push_back(open->chain.next_sequence - 1);
    } else if (open->chain.root != end.root || open->chain.blocks != end.blocks ||
               open->chain.log_id != end.log_id) {
      return located(Error{ErrorCode::kCorrupt, "segment does not follow the one before", 0, 0, 0},
                     directory, (*numbers)[index]);
    }
    auto walked =
        walk(*open, directory, (*numbers)[index], [&](const BlockHeader&, const ChainState& chain) {
          tree.leaves.push(chain.root);
          tree.sequences.push_back(chain.next_sequence - 1);
          return true;
        });
    if (!walked) return tl::unexpected<Error>(walked.error());
    end = open->chain;
  }
  tree.last_sequence = end.next_sequence - 1;
  return tree;
}

}  // namespace

Result<LogTree> read_tree(const std::string& directory, std::uint64_t from_block) {
  return read_tree_of(directory, from_block, 0);
}

Result<void> check_log(const std::string& directory, const Checkpoint& checkpoint) {
  // From the segment that holds the checkpoint's last block: its frontier says all that came
  // before.
  const auto tree = read_tree_of(
      directory, checkpoint.tree_size == 0 ? 0 : checkpoint.tree_size - 1, checkpoint.tree_size);
  if (!tree) return tl::unexpected<Error>(tree.error());
  const std::string size = std::to_string(checkpoint.tree_size);
  if (checkpoint.log_id != decltype(checkpoint.log_id){} && checkpoint.log_id != tree->log_id) {
    return refused("this is another log than the checkpoint's: its id is " + to_hex(tree->log_id) +
                   ", not " + to_hex(checkpoint.log_id));
  }
  if (tree->leaves.size() < checkpoint.tree_size) {
    return refused("the log was cut or rolled back: it has " + std::to_string(tree->leaves.size()) +
                   " blocks and ends with record " + std::to_string(tree->last_sequence) +
                   ", the checkpoint speaks of " + size + " blocks and record " +
                   std::to_string(checkpoint.sequence));
  }
  const auto root = tree->leaves.root_at(checkpoint.tree_size);
  if (!root) return tl::unexpected<Error>(root.error());
  if (*root != checkpoint.root) {
    return refused("the log was rewritten: the root over its first " + size + " blocks is " +
                   to_hex(*root) + ", the checkpoint's is " + to_hex(checkpoint.root));
  }
  // Below the first block that is there, and where nothing is hashed yet, it is not known.
  const bool is_known = !tree->sequences.empty() && checkpoint.tree_size >= tree->leaves.first();
  if (checkpoint.sequence == 0 || !is_known) return {};
  const std::uint64_t sequence = tree->sequences[checkpoint.tree_size - tree->leaves.first()];
  if (sequence != checkpoint.sequence) {
    return refused("the last record in the first " + size + " blocks is " +
                   std::to_string(sequence) + ", not " + std::to_string(checkpoint.sequence) +
                   " as the checkpoint says");
  }
  return {};
}

Result<RecordProof> prove_record(const std::string& directory, std::uint64_t sequence,
                                 std::string_view checkpoint_note,
                                 std::span<const NoteVerifier> verifiers) {
  const auto checkpoint = open_for(checkpoint_note, verifiers);
  if (!checkpoint) return tl::unexpected<Error>(checkpoint.error());
  const auto block = find_block(directory, sequence);
  if (!block) return tl::unexpected<Error>(block.error());
  if ((block->header.flags & kBlockRecordTree) == 0) {
    return make_error(ErrorCode::kUnsupported, "the log was written without record trees");
  }
  RecordProof proof;
  proof.sequence = sequence;
  proof.block_number = block->header.block_number;
  std::memcpy(proof.block_header.data(), &block->header, sizeof(BlockHeader));
  proof.record_index = static_cast<std::uint32_t>(sequence - block->header.first_sequence);
  proof.record_count = block->header.record_count;
  LeafRange records;
  std::uint64_t at = 0;
  for (std::uint32_t index = 0; index < proof.record_count; ++index) {
    if (block->records.size() - at < sizeof(RecordHeader))
      return refused("record leaves its block");
    const auto record = internal::load<RecordHeader>(block->records, at);
    const std::uint64_t footprint = record_footprint_bytes(record.length);
    if (footprint > block->records.size() - at) return refused("record leaves its block");
    const auto bytes = std::span<const std::byte>(block->records)
                           .subspan(at, sizeof(RecordHeader) + record.length);
    records.push(merkle_leaf_hash(bytes));
    if (index == proof.record_index) {
      proof.record_bytes.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    at += footprint;
  }
  auto record_path = records.inclusion_proof(proof.record_index, proof.record_count);
  if (!record_path) return tl::unexpected<Error>(record_path.error());
  proof.record_path = std::move(*record_path);
  const auto tree = read_tree(directory, proof.block_number);
  if (!tree) return tl::unexpected<Error>(tree.error());
  auto block_path = tree->leaves.inclusion_proof(proof.block_number, checkpoint->tree_size);
  if (!block_path) return tl::unexpected<Error>(block_path.error());
  proof.block_path = std::move(*block_path);
  proof.checkpoint_note = checkpoint_note;
  // Nobody gets a proof that does not hold: the log or the checkpoint may be another one.
  if (auto checked = check_record_proof(proof, verifiers); !checked) {
    return tl::unexpected<Error>(checked.error());
  }
  return proof;
}

Result<ProvenRecord> check_record_proof(const RecordProof& proof,
                                        std::span<const NoteVerifier> verifiers) {
  auto checkpoint = open_for(proof.checkpoint_note, verifiers);
  if (!checkpoint) return tl::unexpected<Error>(checkpoint.error());
  BlockHeader block;
  std::memcpy(&block, proof.block_header.data(), sizeof(block));
  if (block.magic != kBlockMagic) return refused("this is no block header");
  if (block.block_number != proof.block_number || block.record_count != proof.record_count ||
      proof.record_index >= block.record_count ||
      block.first_sequence + proof.record_index != proof.sequence) {
    return refused("the proof's numbers contradict its block header");
  }
  if ((block.flags & kBlockRecordTree) == 0) return refused("the block has no record tree");
  const auto record_bytes = std::as_bytes(std::span(proof.record_bytes));
  if (record_bytes.size() < sizeof(RecordHeader)) return refused("the record is cut short");
  ProvenRecord proven;
  proven.header = internal::load<RecordHeader>(record_bytes);
  if (proven.header.sequence != proof.sequence ||
      proven.header.length != record_bytes.size() - sizeof(RecordHeader)) {
    return refused("the record contradicts the proof");
  }
  if (!verify_inclusion(merkle_leaf_hash(record_bytes), proof.record_index, proof.record_count,
                        proof.record_path, block.records_hash)) {
    return refused("the record is not in the block");
  }
  if (!verify_inclusion(internal::block_leaf_hash(block), proof.block_number, checkpoint->tree_size,
                        proof.block_path, checkpoint->root)) {
    return refused("the block is not in the checkpoint's log");
  }
  proven.payload = proof.record_bytes.substr(sizeof(RecordHeader));
  proven.block_time_ns = block.wall_time_ns;
  proven.checkpoint = std::move(*checkpoint);
  return proven;
}

Result<ConsistencyProofText> prove_consistency(const std::string& directory,
                                               std::string_view old_note, std::string_view new_note,
                                               std::span<const NoteVerifier> verifiers) {
  const auto older = open_for(old_note, verifiers);
  if (!older) return tl::unexpected<Error>(older.error());
  const auto newer = open_for(new_note, verifiers);
  if (!newer) return tl::unexpected<Error>(newer.error());
  const auto tree = read_tree_of(directory, 0, newer->tree_size);
  if (!tree) return tl::unexpected<Error>(tree.error());
  auto path = tree->leaves.consistency_proof(older->tree_size, newer->tree_size);
  if (!path) return tl::unexpected<Error>(path.error());
  ConsistencyProofText proof{older->tree_size, newer->tree_size, std::move(*path),
                             std::string(old_note), std::string(new_note)};
  if (auto checked = check_consistency_proof(proof, verifiers); !checked) {
    return tl::unexpected<Error>(checked.error());
  }
  return proof;
}

Result<void> check_consistency_proof(const ConsistencyProofText& proof,
                                     std::span<const NoteVerifier> verifiers) {
  const auto older = open_for(proof.old_checkpoint_note, verifiers);
  if (!older) return tl::unexpected<Error>(older.error());
  const auto newer = open_for(proof.new_checkpoint_note, verifiers);
  if (!newer) return tl::unexpected<Error>(newer.error());
  if (older->origin != newer->origin || older->log_id != newer->log_id) {
    return refused("the two checkpoints are of different logs");
  }
  if (older->tree_size != proof.old_size || newer->tree_size != proof.new_size ||
      !verify_consistency(proof.old_size, proof.new_size, older->root, newer->root, proof.path)) {
    return refused("the newer checkpoint's log does not begin with the older one's");
  }
  return {};
}

}  // namespace grace::ledger
