// Execution step by step, verification against the stream, rollback.
#include <algorithm>

#include "grace/core/assert.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "investigation.h"
#include "run_records.h"
#include "scheduler_impl.h"

namespace grace::schedule {

using core::RunState;
using core::StepKind;
using core::StepResult;

namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

std::string failure_text(const StepResult& result, std::chrono::milliseconds timeout) {
  if (result.timed_out)
    return "timed out after " + core::format_duration(timeout.count() * kNsPerMs);
  std::string text = result.exit_code >= 0 ? "exit code " + std::to_string(result.exit_code)
                                           : std::string("did not end by itself");
  if (!result.output_tail.empty()) {
    text += ": " + std::string(shortened(result.output_tail, 160));
  }
  return text;
}

std::string_view outcome_of(const StepResult& result) {
  return result.ok ? "succeeded" : result.timed_out ? "timed_out" : "failed";
}

}  // namespace

const ActionSpec& Scheduler::Impl::action_of(const Run& run, std::uint32_t index) const {
  if (index == core::kProbeStepIndex) return *run.playbook->verification->probe;
  if (index >= core::kRollbackStepBase) {
    return *run.playbook->steps[index - core::kRollbackStepBase].rollback;
  }
  return run.playbook->steps[index].action;
}

std::string Scheduler::Impl::step_name(const Run& run, std::uint32_t index) const {
  if (index == core::kProbeStepIndex) return "probe";
  const bool rollback = index >= core::kRollbackStepBase;
  const std::uint32_t step = rollback ? index - core::kRollbackStepBase : index;
  std::string name = run.playbook->steps[step].name;
  if (name.empty()) name = "step " + std::to_string(step + 1);
  return rollback ? "rollback of " + name : name;
}

void Scheduler::Impl::record_step(const Run& run, std::uint32_t index, std::string_view result,
                                  const StepResult* outcome, std::string_view report) {
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object()
      .field("run_id", run.view.run_id)
      .field("incident_id", run.view.incident_id)
      .field("playbook", run.view.playbook)
      .field("service", run.view.service)
      .field("step", index)
      .field("name", step_name(run, index));
  if (outcome == nullptr) {
    const auto command = command_of(action_of(run, index), run.parameters, run.view.run_id, index);
    if (!command.argv.empty()) json.array_field("argv", command.argv);
    if (!command.url.empty()) json.field("url", command.url).field("method", command.method);
  } else {
    json.field("exit_code", outcome->exit_code)
        .field("output_tail", shortened(outcome->output_tail, 1024));
  }
  if (report.size() > 2) json.raw_field("report", report);
  json.end_object();
  wiring_.records.append(core::Record{moment_.now_ns, kSchedulerActor, kStepAction,
                                      run.view.service, kSelfHeal, result, payload});
}

void Scheduler::Impl::advance(Run& run) {
  while (!run.view.ended && !run.in_flight) {
    if (run.view.state == RunState::kExecuting) {
      if (run.next_step == run.playbook->steps.size()) {
        begin_verifying(run);
        return;
      }
      do_step(run, run.next_step, run.playbook->steps[run.next_step].action);
    } else if (run.view.state == RunState::kRollingBack) {
      if (run.rollback_queue.empty()) {
        finish_rollback(run);
        return;
      }
      const std::uint32_t step = run.rollback_queue.front();
      do_step(run, core::kRollbackStepBase + step, *run.playbook->steps[step].rollback);
    } else {
      return;
    }
  }
}

StepResult Scheduler::Impl::do_internal(Run& run, const ActionSpec& action, std::string& report) {
  StepResult result;
  result.exit_code = 0;
  if (action.kind == StepKind::kEmit) {
    result.ok = wiring_.builtins.emit(action.event_type, run.view, moment_);
  } else if (action.builtin == "adjust_threshold") {
    BuiltinResult built = wiring_.builtins.adjust_threshold(run.view, run.incident, moment_);
    result.ok = built.ok;
    result.output_tail = std::move(built.message);
    report = std::move(built.report);
  } else {
    // investigate_root_cause, immediate_investigation: validation knows no other name.
    report = investigate(run.incident, wiring_.topology);
    result.ok = true;
  }
  if (!result.ok) result.exit_code = 1;
  return result;
}

void Scheduler::Impl::do_step(Run& run, std::uint32_t index, const ActionSpec& action) {
  record_step(run, index, "started", nullptr, "{}");
  StepResult result;
  std::string report = "{}";
  run.in_flight = true;
  run.in_flight_index = index;
  if (action.kind == StepKind::kBuiltin || action.kind == StepKind::kEmit) {
    result = do_internal(run, action, report);
  } else {
    const auto command = command_of(action, run.parameters, run.view.run_id, index);
    if (wiring_.executor.synchronous()) {
      result = wiring_.executor.run(command);
    } else if (wiring_.executor.submit(command)) {
      run.deadline_ns = moment_.now_ns + action.timeout.count() * kNsPerMs +
                        config_.step_result_grace.count() * core::kNsPerMinute;
      return;  // on_step_result() continues
    } else {
      result.output_tail = "the executor did not accept the step";
    }
  }
  result.run_id = run.view.run_id;
  result.step_index = index;
  settle_step(run, result, report);
}

void Scheduler::Impl::settle_step(Run& run, const StepResult& result, std::string_view report) {
  GRACE_ASSERT(run.in_flight && run.in_flight_index == result.step_index, "run %s step %u",
               run.view.run_id.c_str(), result.step_index);
  const std::uint32_t index = result.step_index;
  run.in_flight = false;
  record_step(run, index, outcome_of(result), &result, report);
  const std::string failure =
      result.ok ? std::string() : failure_text(result, action_of(run, index).timeout);
  if (index == core::kProbeStepIndex) {
    run.verification->on_probe(result.ok, moment_.now_ns);
    judge_verification(run);
    return;
  }
  if (index >= core::kRollbackStepBase) {
    run.rollback_queue.pop_front();
    // The others are still undone: each is worth having, and none depends on this one.
    if (!result.ok) run.rollback_failure += "; " + step_name(run, index) + " " + failure;
    return;
  }
  ++run.next_step;
  // A step that was killed in its middle may have had its effect: it is undone like one that ended.
  if (result.ok || result.timed_out) run.done.push_back(index);
  if (!result.ok) fail(run, step_name(run, index) + " failed: " + failure);
}

void Scheduler::Impl::begin_verifying(Run& run) {
  const auto& spec = run.playbook->verification;
  transition(run, RunState::kVerifying, "all steps done");
  if (!spec) {
    succeed(run, "built-in steps done; nothing outside the engine was changed");
    return;
  }
  run.verification.emplace(*spec, run.view.service, moment_.now_ns);
  run.next_probe_ns = moment_.now_ns;
  probe_if_due(run);
}

void Scheduler::Impl::probe_if_due(Run& run) {
  const auto& spec = run.playbook->verification;
  if (run.view.state != RunState::kVerifying || !spec || !spec->probe || run.in_flight) return;
  if (moment_.now_ns < run.next_probe_ns) return;
  run.next_probe_ns = moment_.now_ns + spec->probe_every.count() * core::kNsPerSecond;
  do_step(run, core::kProbeStepIndex, *spec->probe);
}

void Scheduler::Impl::judge_verification(Run& run) {
  if (run.view.state != RunState::kVerifying || !run.verification) return;
  switch (run.verification->state(moment_.now_ns)) {
    case Verification::State::kPending:
      return;
    case Verification::State::kPassed:
      succeed(run, "verified: " + run.verification->reason());
      return;
    case Verification::State::kFailed:
      // A probe still in flight must not be taken for a rollback's result.
      run.in_flight = false;
      fail(run, run.verification->reason());
      advance(run);
      return;
  }
}

void Scheduler::Impl::succeed(Run& run, std::string reason) {
  refused_count_ += run.verification ? run.verification->refused_count() : 0;
  run.verification.reset();
  run.in_flight = false;
  breakers_.note_success(run.view.playbook);
  if (!run.view.diagnostic) {
    limits_.note_verified_success(run.view.service, run.view.diagnosis_code);
    const auto candidate = candidates_.find(run.view.incident_id);
    if (candidate != candidates_.end()) candidate->second.healed = true;
  }
  run.view.settles = true;
  run.view.ended = true;
  transition(run, RunState::kSucceeded, std::move(reason));
}

void Scheduler::Impl::fail(Run& run, std::string reason) {
  refused_count_ += run.verification ? run.verification->refused_count() : 0;
  run.verification.reset();
  queue_rollback(run);
  limits_.note_failure(run.view.service, run.view.diagnosis_code, moment_.now_ns);
  if (const auto trip = breakers_.note_failure(run.view.playbook)) record_trip(*trip);
  run.view.settles = true;
  run.view.ended = run.rollback_queue.empty();
  transition(run, RunState::kFailed, std::move(reason));
  run.view.settles = false;
  if (!run.view.ended) begin_rollback(run);
}

void Scheduler::Impl::queue_rollback(Run& run) {
  run.rollback_queue.clear();
  if (run.playbook == nullptr) return;
  for (auto it = run.done.rbegin(); it != run.done.rend(); ++it) {
    if (run.playbook->steps[*it].rollback) run.rollback_queue.push_back(*it);
  }
}

// advance() does the steps.
void Scheduler::Impl::begin_rollback(Run& run) {
  transition(run, RunState::kRollingBack,
             "undoing " + std::to_string(run.rollback_queue.size()) + " of " +
                 std::to_string(run.done.size()) + " steps, last first");
}

void Scheduler::Impl::finish_rollback(Run& run) {
  run.view.ended = true;
  if (run.rollback_failure.empty()) {
    transition(run, RunState::kRolledBack, "every step that can be undone is undone");
  } else {
    transition(run, RunState::kFailed,
               "rollback incomplete, a person is needed" + run.rollback_failure);
  }
}

void Scheduler::Impl::check_deadlines(Run& run) {
  if (run.view.ended) return;
  const std::int64_t now = moment_.now_ns;
  if (run.view.state == RunState::kAwaitingApproval && now >= run.view.expires_ts_ns) {
    expire(run, "nobody decided in time");
    return;
  }
  if (run.in_flight && now >= run.deadline_ns) {
    StepResult lost;
    lost.run_id = run.view.run_id;
    lost.step_index = run.in_flight_index;
    lost.timed_out = true;  // whether it had its effect is not known
    lost.output_tail = "no result came";
    settle_step(run, lost, "{}");
    advance(run);
    return;
  }
  judge_verification(run);
  probe_if_due(run);
}

}  // namespace grace::schedule
