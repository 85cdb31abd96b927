#pragma once
#include "command_line.h"

namespace grace::tools {

// repair: below `grace ledger`. Explains what is wrong with a ledger, asks, and repairs it.
void add_ledger_repair_command(Command& ledger, int& exit_code);

}  // namespace grace::tools
