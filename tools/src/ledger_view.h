#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "grace/core/error.h"
#include "grace/parse/json_value.h"

namespace grace::tools {

// One decision record of a ledger. `json` is the whole object as written.
struct LedgerRecord {
  std::uint64_t sequence = 0;
  std::string_view text;
  parse::JsonValue json;
};

// Visits the engine's own JSON records of the ledger in order, from `from_sequence` on, beside a
// live writer too; not what other programs logged. `visit` returns false to stop. Errors: no ledger
// there, damage (position in the message).
[[nodiscard]] core::Result<void> visit_ledger(
    const std::string& directory, std::uint64_t from_sequence,
    const std::function<bool(const LedgerRecord&)>& visit);

// Whether an engine answers on the control socket of this ledger ("" is the default one).
[[nodiscard]] bool engine_answers(const std::string& ledger);

// `grace runs list|show` without an engine: the last state of each run in the ledger. An empty id
// prints all. Exit code of the command.
[[nodiscard]] int print_runs_of_ledger(const std::string& ledger, const std::string& id, bool json);

}  // namespace grace::tools
