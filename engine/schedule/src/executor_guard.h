#pragma once
#include "executor_wire.h"

namespace grace::schedule {

// The life of a guard process: runs one step, writes one reply to `reply_fd`, ends. Called in a
// fresh child of the executor, whose process id is `executor_pid`.
[[noreturn]] void run_guard(const StepRequest& request, const ExecutorConfig& limits, int reply_fd,
                            int executor_pid);

}  // namespace grace::schedule
