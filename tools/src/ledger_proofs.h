#pragma once
#include <string>
#include <vector>

#include "command_line.h"
#include "grace/ledger/error.h"
#include "grace/ledger/key_change.h"
#include "grace/ledger/signed_note.h"

namespace grace::tools {

// prove, check-proof, checkpoint, keygen: below `grace ledger`.
void add_ledger_proof_commands(Command& ledger, int& exit_code);
// rotate-key, keys.
void add_ledger_key_commands(Command& ledger, int& exit_code);
// reveal, check-value, redact.
void add_ledger_redaction_commands(Command& ledger, int& exit_code);

// Verifier keys as given on the command line: the key itself, or a file whose first line is one.
[[nodiscard]] ledger::Result<std::vector<ledger::NoteVerifier>> parse_verifier_keys(
    const std::vector<std::string>& texts);
// KEYID or KEYID@SIZE each: 8 hex digits as in a verifier key, and a count of blocks.
[[nodiscard]] ledger::Result<std::vector<ledger::DistrustedKey>> parse_distrusted_keys(
    const std::vector<std::string>& texts);
// A checkpoint, key or proof: at most 128 MiB.
[[nodiscard]] ledger::Result<std::string> read_small_file(const std::string& path);

}  // namespace grace::tools
