#pragma once
#include <string_view>

#include "command_line.h"
#include "grace/core/error.h"

namespace grace::tools {

// The subcommands of `grace score`, a file each. They run the production models with the default
// constants, streaming, over one data set. Wrong input: exit code 2 and a line that names the file,
// the line number and what is wrong.
void add_score_changepoints(Command& score, int& exit_code);
void add_score_series(Command& score, int& exit_code);
void add_score_groups(Command& score, int& exit_code);
void add_score_sessions(Command& score, int& exit_code);
void add_score_rootcause(Command& score, int& exit_code);

// The exit code of `grace score NAME`, whose work is done or failed: says on standard error what
// is wrong, also when the output could not be written.
[[nodiscard]] int finish_score(std::string_view name, const core::Result<void>& done);

}  // namespace grace::tools
