#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "block.h"
#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"

// What recovery and repair both do to a log: look behind the place where it ends, save bytes, mend
// headers, seal. Every step is durable when it returns, and may be done again after a crash in its
// middle. The directory's lock is held by the caller.
namespace grace::ledger::internal {

// Whether a segment that claims to begin at `claimed` is the one after `chain`.
[[nodiscard]] inline bool continues(const ChainState& claimed, const ChainState& chain) {
  return claimed.log_id == chain.log_id && claimed.root == chain.root &&
         claimed.next_block_number == chain.next_block_number && claimed.blocks == chain.blocks &&
         claimed.next_sequence == chain.next_sequence;
}

// What lies behind the place where the valid log ends, in its segment and in all later ones.
struct Behind {
  std::vector<std::uint64_t> used_bytes;  // by segment, from the place on
  bool anything = false;                  // some byte is not zero
  bool promised = false;                  // something says that the expected record was durable
  std::optional<std::size_t> stray;       // index of a segment that no writer left there
};
// `numbers`: all segments. The place is `offset` in segment `index`, a multiple of the block
// alignment; 0 where that segment's header is no good. Looks no further than to the
// first stray or promise.
[[nodiscard]] Result<Behind> inspect_behind(const std::string& directory,
                                            const std::vector<std::uint64_t>& numbers,
                                            std::size_t index, std::uint64_t offset,
                                            const ChainState& chain);

// Copies bytes of a file, or as many as there are, to the file `saved`; gives how many.
[[nodiscard]] Result<std::uint64_t> save_range(FileSystem& fs, const std::string& path,
                                               std::uint64_t offset, std::uint64_t bytes,
                                               const std::string& saved);
[[nodiscard]] Result<void> make_quarantine(FileSystem& fs, const std::string& directory);
// Both the log's directory and its quarantine.
[[nodiscard]] Result<void> sync_names(FileSystem& fs, const std::string& directory);

// Writes the header copy at `damaged_at` anew from the other one, which is intact.
[[nodiscard]] Result<void> mend_header(FileSystem& fs, const std::string& path,
                                       std::uint64_t damaged_at);

// Makes the file durable as it is.
[[nodiscard]] Result<void> sync_whole(FileSystem& fs, const std::string& path);

// Cuts the segment at `offset` and seals it there. Everything kept is durable before the seal
// promises it. The chain moves over the seal.
[[nodiscard]] Result<void> cut_and_seal(FileSystem& fs, const std::string& path,
                                        std::uint64_t offset, ChainState& chain,
                                        std::int64_t wall_time_ns);

}  // namespace grace::ledger::internal
