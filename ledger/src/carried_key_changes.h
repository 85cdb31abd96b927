#pragma once
#include <string>
#include <vector>

#include "grace/ledger/file_system.h"
#include "grace/ledger/key_change.h"

namespace grace::ledger::internal {

// Key changes outlive the segments that held them: before retention removes one, the note of each
// change in it becomes a file, named by its record's sequence. docs/ledger_format.md, section 20.

// Durable when it returns. Only changes that hold are carried; those of a damaged segment as far as
// it can be read. What is carried already is written once more, the same.
[[nodiscard]] Result<void> carry_key_changes(FileSystem& fs, const std::string& directory,
                                             std::uint64_t segment_number);

// Those whose records came before `first_sequence`, oldest first, each following the one before.
// kCorrupt names a file that does not hold.
[[nodiscard]] Result<std::vector<RecordedKeyChange>> read_carried_key_changes(
    const std::string& directory, const std::array<std::uint8_t, 16>& log_id,
    std::uint64_t first_sequence);

}  // namespace grace::ledger::internal
