#pragma once
#include "grace/core/step_executor.h"

namespace grace::schedule {

// A replay without --execute: every step succeeds at once and nothing runs.
class DryRunExecutor final : public core::StepExecutor {
 public:
  [[nodiscard]] bool synchronous() const noexcept override { return true; }
  core::StepResult run(const core::StepCommand& command) override;
  [[nodiscard]] bool submit(const core::StepCommand& command) override;
};

// A replay of a journal: results are in it as step_result events.
class RecordedExecutor final : public core::StepExecutor {
 public:
  [[nodiscard]] bool synchronous() const noexcept override { return false; }
  core::StepResult run(const core::StepCommand& command) override;
  [[nodiscard]] bool submit(const core::StepCommand& command) override;
};

}  // namespace grace::schedule
