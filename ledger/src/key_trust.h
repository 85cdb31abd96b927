#pragma once
#include <string>

#include "grace/ledger/signed_note.h"

namespace grace::ledger::internal {

// A key as messages name it: its name and id, without the key itself.
[[nodiscard]] std::string short_name(const NoteVerifier& key);

}  // namespace grace::ledger::internal
