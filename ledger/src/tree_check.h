#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "grace/ledger/reader.h"
#include "segment_scanner.h"
#include "tree_file.h"

namespace grace::ledger::internal {

// For a verifier of a kCrc32c log: follows its walk and compares every block with the tree file of
// its segment, and the tree files with one another. A segment whose file is missing is hashed, so
// that the next file must agree with what was there; behind the newest file nothing is hashed.
//
// Made before the segments are listed: then a segment that the newest file speaks of is in the
// list. One thread. Faults are for the caller to report, in the segment; in order of calls:
// begin_segment(), for each block expected_hash() and add_block(), end_segment().
class TreeCheck {
 public:
  explicit TreeCheck(const std::string& directory)
      : directory_(directory), newest_(newest_tree_file(directory)) {}

  // `chain`: before the segment's first block, as its header says. Only a failed system call is an
  // error.
  [[nodiscard]] Result<std::vector<std::string>> begin_segment(std::uint64_t number,
                                                               const ChainState& chain);
  // Whether a key change among the segment's records was made for its place: the segment's first
  // record, and the tree over the blocks before it, where tree files or those blocks tell that.
  [[nodiscard]] bool fits(const RecordedKeyChange& found) const;
  // Whether the segment's blocks are to be compared or hashed.
  [[nodiscard]] bool wants_blocks() const { return file_ || tree_; }
  // SHA-256 of the next block's records as the tree file has it; none where it has to be computed,
  // or there is no such block in it.
  [[nodiscard]] std::optional<Hash> expected_hash() const;
  // `records_hash`: as expected, or computed.
  void add_block(const BlockHeader& header, const Hash& records_hash);
  // `ended`: no block of it is missing, as far as the segment itself can tell.
  [[nodiscard]] std::optional<std::string> end_segment(bool ended, std::uint64_t next_sequence);
  // What tree files say about segments behind the last one that is there, `last_number`; where the
  // walk ended before it (`is_torn`), behind the last one that was walked. What has a tree file was
  // durable, so it is no torn tail.
  [[nodiscard]] std::optional<std::string> end_log(std::uint64_t last_number, bool is_torn) const;

  // Adds a segment that was walked to what is reported. `next_sequence`: behind its last record.
  void count(HashProgress& progress, std::uint64_t number, std::uint64_t records,
             std::uint64_t bytes, std::uint64_t next_sequence) const;

 private:
  const std::string& directory_;
  const std::uint64_t newest_;
  std::uint64_t number_ = 0;
  std::uint64_t blocks_ = 0;        // of this segment, so far
  std::optional<TreeFile> file_;    // of this segment
  ChainState begin_;                // before this segment
  std::optional<Frontier> before_;  // the tree there
  std::optional<Frontier> tree_;    // over all blocks so far, if it is known
};

// The same progress from file names, one tree file and what `stats` says already. `last_end`: where
// the last segment's blocks end.
[[nodiscard]] Result<HashProgress> look_at_hashing(const std::string& directory,
                                                   const std::vector<std::uint64_t>& numbers,
                                                   std::uint64_t last_end, const LogStats& stats);

}  // namespace grace::ledger::internal
