#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "block.h"
#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"
#include "grace/ledger/merkle_tree.h"

namespace grace::ledger::internal {

// What hashing one sealed segment of a kCrc32c log gave, and its file: the format document, section
// 21. With the segment's block headers it says the leaves of the tree over blocks.
struct TreeFile {
  LogId log_id{};
  std::uint64_t segment_number = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  Frontier before;                   // over all blocks of earlier segments
  std::vector<Hash> records_hashes;  // of the segment's blocks in order: SHA-256 of their records
  Frontier after;                    // over this segment's blocks too

  friend bool operator==(const TreeFile&, const TreeFile&) = default;
};

// The leaf of a block that has no hash of its own: that of its header with this one in place.
[[nodiscard]] Hash hashed_block_leaf(BlockHeader header, const Hash& records_hash);

[[nodiscard]] std::vector<std::byte> to_bytes(const TreeFile& file);
// Safe on any bytes; what parses is the file of what it parsed to, byte for byte. kCorrupt, or
// kUnsupported for a version that is not known.
[[nodiscard]] Result<TreeFile> parse_tree_file(std::span<const std::byte> bytes);

// kNotFound: there is none. kCorrupt, kUnsupported: as above, or it is of another segment than its
// name says. Reads at most as much as the largest segment's tree file has.
[[nodiscard]] Result<TreeFile> read_tree_file(const std::string& directory, std::uint64_t number);
// Whether a sound tree file says that the log's segment was whole and durable once.
[[nodiscard]] bool was_hashed(const std::string& directory, std::uint64_t number,
                              const LogId& log_id);
// Durable when it returns.
[[nodiscard]] Result<void> store_tree_file(FileSystem& fs, const std::string& directory,
                                           const TreeFile& file);
// The highest number of a tree file; 0: there is none.
[[nodiscard]] std::uint64_t newest_tree_file(const std::string& directory);

}  // namespace grace::ledger::internal
