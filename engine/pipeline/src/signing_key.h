#pragma once
#include <string>

#include "grace/core/error.h"
#include "grace/ledger/signed_note.h"

namespace grace::pipeline {

// The key that signs the ledger's checkpoints, from a file with one line, as `grace ledger keygen`
// writes it. Refuses a file that others than its owner may read. No message holds any of it; they
// name the configured field.
[[nodiscard]] core::Result<ledger::NoteSigner> read_signing_key(const std::string& field,
                                                                const std::string& path);

}  // namespace grace::pipeline
