#pragma once
#include <string>

#include "grace/core/error.h"

namespace grace::pipeline {

class OrderedStage;

// Gives the stage every decision record that the ledger holds, in order, so that it goes on where
// an earlier process ended: runs in the middle, the red button, what was learned. Reads through a
// bounded buffer; time and not memory grows with the ledger.
[[nodiscard]] core::Result<void> recover_from_ledger(const std::string& directory,
                                                     OrderedStage& stage);

// Whether a field may be named in EngineConfig::ledger_redact. kConfig names it, and why not.
[[nodiscard]] core::Result<void> check_redactable(const std::string& path);

}  // namespace grace::pipeline
