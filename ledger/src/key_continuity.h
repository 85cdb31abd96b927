#pragma once
#include <vector>

#include "grace/ledger/key_change.h"

namespace grace::ledger::internal {

// What this log has signed of itself must still be true, or it was cut or put back by somebody; and
// `signer` must be its newest key. With a checkpoint there, the records behind it are read, else
// all. kUntrustedKey: another key's turn, or a checkpoint of which nothing leads to the signer.
// Of how many blocks at least the tree must be that the signer may sign: more than were there when
// it took over, if the records that were read say.
[[nodiscard]] Result<std::uint64_t> check_continuity(const LogConfig& config,
                                                     const NoteSigner& signer, bool log_is_new);

}  // namespace grace::ledger::internal
