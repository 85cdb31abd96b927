#pragma once
#include "grace/core/step_executor.h"
#include "recorder.h"

namespace grace::pipeline {

// A step begins only when the record that announces it is on disk: a crash right after can then
// never hide an action that was taken. With a failed ledger nothing begins any more.
class DurableExecutor final : public core::StepExecutor {
 public:
  DurableExecutor(core::StepExecutor& inner, Recorder& recorder)
      : inner_(inner), recorder_(recorder) {}
  [[nodiscard]] bool synchronous() const noexcept override { return inner_.synchronous(); }
  core::StepResult run(const core::StepCommand& command) override {
    if (const auto durable = recorder_.make_durable(); !durable) {
      core::StepResult refused;
      refused.run_id = command.run_id;
      refused.step_index = command.step_index;
      refused.output_tail = durable.error().message;
      return refused;
    }
    return inner_.run(command);
  }
  [[nodiscard]] bool submit(const core::StepCommand& command) override {
    return recorder_.make_durable().has_value() && inner_.submit(command);
  }

 private:
  core::StepExecutor& inner_;
  Recorder& recorder_;
};

}  // namespace grace::pipeline
