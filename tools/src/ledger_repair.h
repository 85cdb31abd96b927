#pragma once
#include <CLI/CLI.hpp>

namespace grace::tools {

// repair: below `grace ledger`. Explains what is wrong with a ledger, asks, and repairs it.
void add_ledger_repair_command(CLI::App& ledger, int& exit_code);

}  // namespace grace::tools
