#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "grace/ledger/log_proofs.h"

namespace grace::ledger::internal {

// read_tree() for a log with kCrc32c: from the first block of segment numbers[from], or of an
// earlier one where its tree file is missing. As far as tree files reach, or are needed for a tree
// of `blocks_min`: where one is missing or damaged on the way, the segment is hashed here.
// kNotFound: the tree before the first segment that is there is in no file.
[[nodiscard]] Result<LogTree> read_hashed_tree(const std::string& directory,
                                               const std::vector<std::uint64_t>& numbers,
                                               std::size_t from, std::uint64_t blocks_min);

}  // namespace grace::ledger::internal
