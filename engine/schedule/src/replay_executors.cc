#include "grace/schedule/replay_executors.h"

#include "grace/core/assert.h"

namespace grace::schedule {

core::StepResult DryRunExecutor::run(const core::StepCommand& command) {
  core::StepResult result;
  result.run_id = command.run_id;
  result.step_index = command.step_index;
  result.ok = true;
  result.exit_code = 0;
  result.output_tail = "dry run: nothing was executed";
  return result;
}

bool DryRunExecutor::submit(const core::StepCommand& command) {
  static_cast<void>(command);
  return false;  // synchronous: run() is to be used
}

core::StepResult RecordedExecutor::run(const core::StepCommand& command) {
  GRACE_ASSERT(false, "a recorded result is not known before its event: run %s",
               command.run_id.c_str());
  return {};
}

bool RecordedExecutor::submit(const core::StepCommand& command) {
  static_cast<void>(command);
  return true;  // the step_result event follows in the journal
}

}  // namespace grace::schedule
