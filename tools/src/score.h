#pragma once
#include <CLI/CLI.hpp>

namespace grace::tools {

// The subcommands of `grace score`, a file each. They run the production models with the default
// constants, streaming, over one data set. Wrong input: exit code 2 and a line that names the file,
// the line number and what is wrong.
void add_score_changepoints(CLI::App& score, int& exit_code);
void add_score_series(CLI::App& score, int& exit_code);
void add_score_groups(CLI::App& score, int& exit_code);
void add_score_sessions(CLI::App& score, int& exit_code);
void add_score_rootcause(CLI::App& score, int& exit_code);

}  // namespace grace::tools
