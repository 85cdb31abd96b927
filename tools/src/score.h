#pragma once
#include <CLI/CLI.hpp>

namespace grace::tools {

// One a kind of public data. Each adds its subcommand to `score` and leaves its exit code behind.
void add_score_changepoints(CLI::App& score, int& exit_code);

}  // namespace grace::tools
