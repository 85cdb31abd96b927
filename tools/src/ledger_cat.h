#pragma once
#include <CLI/CLI.hpp>

namespace grace::tools {

// cat: below `grace ledger`. Prints records in order, beside a live writer too.
void add_ledger_cat_command(CLI::App& ledger, int& exit_code);

}  // namespace grace::tools
