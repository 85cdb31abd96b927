#include "tree_check.h"

#include <algorithm>
#include <utility>

#include "directory.h"

namespace grace::ledger::internal {

Result<std::vector<std::string>> TreeCheck::begin_segment(std::uint64_t number,
                                                          const ChainState& chain) {
  std::vector<std::string> faults;
  if (number_ != 0 && number != number_ + 1) tree_.reset();
  if (number == 1) tree_.emplace();
  number_ = number;
  blocks_ = 0;
  file_.reset();
  begin_ = chain;
  before_ = tree_;
  if (before_ && before_->size() != chain.next_block_number) before_.reset();
  if (number > newest_ || chain.integrity != Integrity::kCrc32c) {
    tree_.reset();
    return faults;
  }
  // One that does not follow is a fault by itself; its tree file may still be right.
  if (tree_ && tree_->size() != chain.next_block_number) tree_.reset();
  auto read = read_tree_file(directory_, number);
  if (!read && read.error().code == ErrorCode::kIo) return tl::unexpected<Error>(read.error());
  if (!read) {
    if (read.error().code != ErrorCode::kNotFound) faults.push_back(read.error().message);
    return faults;
  }
  if (read->log_id != chain.log_id || read->first_sequence != chain.next_sequence ||
      read->before.size() != chain.next_block_number) {
    faults.emplace_back("the tree file is not of this segment");
    return faults;
  }
  if (tree_ && *tree_ != read->before) {
    faults.emplace_back("the tree file does not follow from the blocks before");
  }
  tree_ = read->before;
  before_ = read->before;
  file_ = std::move(*read);
  return faults;
}

bool TreeCheck::fits(const RecordedKeyChange& found) const {
  return found.sequence == begin_.next_sequence &&
         found.change.tree_size == begin_.next_block_number &&
         (!before_ || found.change.root == before_->root());
}

std::optional<Hash> TreeCheck::expected_hash() const {
  if (!file_ || blocks_ >= file_->records_hashes.size()) return std::nullopt;
  return file_->records_hashes[static_cast<std::size_t>(blocks_)];
}

void TreeCheck::add_block(const BlockHeader& header, const Hash& records_hash) {
  ++blocks_;
  if (tree_) tree_->push(hashed_block_leaf(header, records_hash));
}

std::optional<std::string> TreeCheck::end_segment(bool ended, std::uint64_t next_sequence) {
  if (!file_) {
    // Of a segment that is damaged the tree behind it is not known.
    if (!ended) tree_.reset();
    return std::nullopt;
  }
  const Frontier computed = *std::exchange(tree_, file_->after);
  if (blocks_ < file_->records_hashes.size()) {
    return "the tree file speaks of " + std::to_string(file_->records_hashes.size()) +
           " blocks: there are " + std::to_string(blocks_);
  }
  if (ended && (blocks_ > file_->records_hashes.size() ||
                next_sequence != file_->last_sequence + 1 || computed != file_->after)) {
    return "the segment's blocks are not those that were hashed into its tree file";
  }
  return std::nullopt;
}

std::optional<std::string> TreeCheck::end_log(std::uint64_t last_number, bool is_torn) const {
  if (newest_ <= (is_torn ? number_ : last_number)) return std::nullopt;
  return "a tree file speaks of segment " + std::to_string(newest_) + ": the log was cut";
}

void TreeCheck::count(HashProgress& progress, std::uint64_t number, std::uint64_t records,
                      std::uint64_t bytes, std::uint64_t next_sequence) const {
  if (number <= newest_) {
    progress.segments += 1;
    progress.missing_files += file_ && number == number_ ? 0 : 1;
    progress.last_sequence = next_sequence - 1;
    return;
  }
  if (progress.unhashed_from == 0 && records > 0) progress.unhashed_from = next_sequence - records;
  progress.unhashed_records += records;
  progress.unhashed_bytes += bytes;
}

Result<HashProgress> look_at_hashing(const std::string& directory,
                                     const std::vector<std::uint64_t>& numbers,
                                     std::uint64_t last_end, const LogStats& stats) {
  HashProgress progress;
  // Beside a writer a file may be newer than what was counted.
  std::uint64_t newest = std::min(newest_tree_file(directory), numbers.back());
  progress.last_sequence = stats.first_sequence - 1;
  // One that is damaged is verify()'s to report: the newest sound one counts here.
  for (; newest >= numbers.front(); --newest) {
    const auto file = read_tree_file(directory, newest);
    if (!file) continue;
    progress.last_sequence = std::min(file->last_sequence, stats.last_sequence);
    break;
  }
  for (const std::uint64_t number : numbers) {
    if (number <= newest) {
      progress.segments += 1;
      continue;
    }
    if (number == numbers.back()) {
      progress.unhashed_bytes += last_end;
      continue;
    }
    const auto segment = SegmentScanner::open(directory, number, /*check_hashes=*/false);
    if (!segment) return tl::unexpected<Error>(segment.error());
    const auto size = (*segment)->source().size();
    if (!size) return tl::unexpected<Error>(size.error());
    progress.unhashed_bytes += *size;
  }
  progress.unhashed_records = stats.last_sequence - progress.last_sequence;
  if (progress.unhashed_records > 0) progress.unhashed_from = progress.last_sequence + 1;
  if (progress.segments == 0) progress.last_sequence = 0;
  return progress;
}

}  // namespace grace::ledger::internal
