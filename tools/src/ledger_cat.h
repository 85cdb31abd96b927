#pragma once
#include "command_line.h"

namespace grace::tools {

// cat: below `grace ledger`. Prints records in order, beside a live writer too.
void add_ledger_cat_command(Command& ledger, int& exit_code);

}  // namespace grace::tools
