#pragma once
#include <CLI/CLI.hpp>

namespace grace::tools {

// Each adds one subcommand to `grace score` and leaves its exit code behind when it was the one.
void add_score_rootcause(CLI::App& score, int& exit_code);

}  // namespace grace::tools
