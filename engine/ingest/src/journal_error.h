#pragma once
#include "grace/core/error.h"
#include "grace/ledger/error.h"

namespace grace::ingest {

// The ledger library stands alone, so it has errors of its own.
[[nodiscard]] core::Error from_ledger(const ledger::Error& error);

}  // namespace grace::ingest
