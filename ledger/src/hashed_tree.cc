#include "hashed_tree.h"

#include <optional>
#include <utility>

#include "directory.h"
#include "hash_segment.h"

namespace grace::ledger::internal {
namespace {

using Step = SegmentScanner::Step;

tl::unexpected<Error> corrupt(const std::string& directory, std::uint64_t number,
                              std::uint64_t offset, std::string reason) {
  return tl::unexpected<Error>(
      located({ErrorCode::kCorrupt, std::move(reason), 0, 0, offset}, directory, number));
}

// A sound tree file; none where there is none or it is damaged, which verify() reports.
Result<std::optional<TreeFile>> usable_tree_file(const std::string& directory,
                                                 std::uint64_t number) {
  auto file = read_tree_file(directory, number);
  if (file) return std::optional<TreeFile>(std::move(*file));
  const ErrorCode why = file.error().code;
  if (why == ErrorCode::kNotFound || why == ErrorCode::kCorrupt) return std::nullopt;
  return tl::unexpected<Error>(file.error());
}

// What comes before the first segment's blocks.
void begin(const TreeFile& file, LogTree& tree) {
  if (tree.sequences.empty()) tree.sequences.push_back(file.first_sequence - 1);
}

// The leaves of a segment from its block headers and its tree file.
Result<void> add_leaves(const std::string& directory, const TreeFile& file, LogTree& tree) {
  auto opened = SegmentScanner::open(directory, file.segment_number, /*check_hashes=*/false);
  if (!opened) return tl::unexpected<Error>(opened.error());
  SegmentScanner& segment = **opened;
  const std::uint64_t number = file.segment_number;
  const auto header = segment.read_header();
  if (!header) return tl::unexpected<Error>(located(header.error(), directory, number));
  if (header->log_id != file.log_id || header->first_block_number != file.before.size() ||
      header->integrity != Integrity::kCrc32c) {
    return corrupt(directory, number, 0, "segment is not the one of its tree file");
  }
  ChainState chain = segment.chain();
  for (const Hash& records_hash : file.records_hashes) {
    const Step step = segment.skip(chain);
    if (step == Step::kIo) {
      return tl::unexpected<Error>(located(segment.error(), directory, number));
    }
    if (step == Step::kInvalid) {
      return corrupt(directory, number, segment.fault().offset, segment.fault().reason);
    }
    if (step == Step::kEnd) {
      return corrupt(directory, number, segment.offset(),
                     "segment was cut: its tree file speaks of more blocks");
    }
    tree.leaves.push(hashed_block_leaf(segment.header(), records_hash));
    tree.sequences.push_back(chain.next_sequence - 1);
  }
  tree.last_sequence = chain.next_sequence - 1;
  return {};
}

}  // namespace

Result<LogTree> read_hashed_tree(const std::string& directory,
                                 const std::vector<std::uint64_t>& numbers, std::size_t from,
                                 std::uint64_t blocks_min) {
  const std::uint64_t newest = newest_tree_file(directory);
  // Back to where the tree over what came before is known.
  std::optional<TreeFile> file;
  for (;; --from) {
    auto found = usable_tree_file(directory, numbers[from]);
    if (!found) return tl::unexpected<Error>(found.error());
    file = std::move(*found);
    if (file || numbers[from] == 1) break;
    if (from == 0) {
      return make_error(ErrorCode::kNotFound,
                        directory + " has no hashes to prove by: the tree over the blocks before " +
                            "segment " + std::to_string(numbers[0]) + " is in no tree file",
                        0, numbers[0]);
    }
  }
  Frontier end = file ? file->before : Frontier{};
  LogTree tree;
  tree.leaves = LeafRange(end);
  for (std::size_t index = from; index < numbers.size(); ++index) {
    const std::uint64_t number = numbers[index];
    if (index > from) {
      if (number != numbers[index - 1] + 1) {
        return corrupt(directory, number, 0, "the segment before this one is missing");
      }
      auto found = usable_tree_file(directory, number);
      if (!found) return tl::unexpected<Error>(found.error());
      file = std::move(*found);
    }
    if (file) {
      if (file->before != end || (tree.log_id != LogId{} && file->log_id != tree.log_id)) {
        return corrupt(directory, number, 0, "the segment's tree file does not follow");
      }
      begin(*file, tree);
      if (auto added = add_leaves(directory, *file, tree); !added) {
        return tl::unexpected<Error>(added.error());
      }
    } else {
      if (number > newest && tree.leaves.size() >= blocks_min) break;
      std::vector<HashedBlock> blocks;
      auto hashed = hash_segment(directory, number, end, &blocks);
      if (!hashed) return tl::unexpected<Error>(hashed.error());
      if (!*hashed) break;  // the live one
      file = std::move(*hashed);
      begin(*file, tree);
      for (const HashedBlock& block : blocks) {
        tree.leaves.push(block.leaf);
        tree.sequences.push_back(block.last_sequence);
      }
      tree.last_sequence = file->last_sequence;
    }
    tree.log_id = file->log_id;
    end = file->after;
  }
  return tree;
}

}  // namespace grace::ledger::internal
