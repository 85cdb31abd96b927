#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"
#include "segment_scanner.h"
#include "tree_file.h"

namespace grace::ledger::internal {

struct HashedBlock {
  Hash leaf;
  std::uint64_t last_sequence;  // of the log so far
};

// A segment of a kCrc32c log, read whole: every check but those of earlier segments is made, and
// the records of each block are hashed. `before`: the tree over the blocks of earlier segments.
// `blocks`, where not null, gets one entry for each. Memory: ten blocks, and 256 bytes for each.
// Nothing: the segment has not ended, or `stopped` (asked once a block; may be empty) said so.
// kCorrupt: the segment is damaged or does not follow the tree; kIo: it could not be read.
using Stopped = std::function<bool()>;
[[nodiscard]] Result<std::optional<TreeFile>> hash_segment(const std::string& directory,
                                                           std::uint64_t number,
                                                           const Frontier& before,
                                                           std::vector<HashedBlock>* blocks,
                                                           const Stopped& stopped = {});

// The job for one segment: hashes it and leaves its tree file, durable, in the directory. Run again
// it finds its own file and changes nothing; a file that is damaged is written anew. A sound file
// that says something else than the segment is kCorrupt and stays: one of the two was changed.
//
// The tree file must not outlive what it speaks of. So either the caller knows that the segment is
// durable with its seal and its name, or it asks for `sync_first`. Its failure (kSyncFailed) must
// not be followed by another try: the kernel may call pages clean that it has dropped.
struct HashJob {
  FileSystem& file_system;
  const std::string& directory;
  bool sync_first = false;
  Stopped stopped = {};
};
[[nodiscard]] Result<std::optional<TreeFile>> hash_sealed_segment(const HashJob& job,
                                                                  std::uint64_t number,
                                                                  const Frontier& before);

}  // namespace grace::ledger::internal
