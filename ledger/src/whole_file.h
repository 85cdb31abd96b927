#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"

namespace grace::ledger::internal {

// Gives `name` in `directory` these bytes, as a whole or not at all: they are written and synced
// under the name with ".new" behind it, which then takes the place of what was there; at last the
// directory is synced. What a crash leaves under the other name is overwritten by the next call.
// kIo or kNoSpace on failure; the file is then what it was, or new already but not durable.
[[nodiscard]] Result<void> store_whole(FileSystem& fs, const std::string& directory,
                                       const std::string& name, std::span<const std::byte> bytes);

// The text of a signed note, cut behind what no note is long enough for; nothing where there is no
// such file.
[[nodiscard]] Result<std::optional<std::string>> load_note(const std::string& path);

}  // namespace grace::ledger::internal
