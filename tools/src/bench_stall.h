#pragma once
#include "command_line.h"

namespace grace::tools {

// `grace bench stall`: a real process is stopped by a signal under an open loop, and arithmetic
// says what must be seen; a closed loop beside it does not see it. The harness shows its own truth.
void add_bench_stall_command(Command& bench, int& exit_code);

}  // namespace grace::tools
