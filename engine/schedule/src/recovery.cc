// Restart: the scheduler's state is what its own ledger records say. recover() rebuilds it record
// by record, so memory does not depend on the ledger's length; recovered() then continues what is
// safe to continue and fails the rest.
#include <algorithm>

#include "flat_json.h"
#include "grace/core/hash.h"
#include "grace/core/time.h"
#include "run_records.h"
#include "scheduler_impl.h"

namespace grace::schedule {

using core::Record;
using core::RunState;

void Scheduler::Impl::recover(const Record& record) {
  if (record.subsystem != kSelfHeal) return;
  moment_.now_ns = std::max(moment_.now_ns, record.ts_ns);
  if (record.action == kRunAction) {
    recover_run(record);
  } else if (record.action == kStepAction) {
    recover_step(record);
  } else if (record.action == kPauseAction) {
    paused_ = record.result == "paused";
  } else if (record.action == kBreakerAction) {
    if (record.result == "tripped") breakers_.restore_open(record.resource);
    if (record.result == "acknowledged") breakers_.acknowledge(record.resource);
  }
}

void Scheduler::Impl::recover_run(const Record& record) {
  const auto json = FlatJson::parse(record.payload);
  const auto state = core::run_state_from(record.result);
  if (!json || !state || json->text("run_id").empty()) return;
  auto& owned = active_[std::string(json->text("run_id"))];
  if (owned == nullptr) {
    owned = std::make_unique<Run>();
  } else {
    --runs_by_state_[static_cast<std::size_t>(owned->view.state)];
  }
  ++runs_by_state_[static_cast<std::size_t>(*state)];
  Run& run = *owned;
  core::PlaybookRun& view = run.view;
  view.state = *state;
  view.run_id = json->text("run_id");
  view.incident_id = json->text("incident_id");
  view.playbook = json->text("playbook");
  view.service = json->text("service");
  view.diagnosis_code = json->text("diagnosis_code");
  view.proposed_ts_ns = json->integer("proposed_ts_ns");
  view.changed_ts_ns = record.ts_ns;
  view.expires_ts_ns = json->integer("expires_ts_ns");
  view.blast_radius_known = json->text("blast_radius") != "null";
  view.blast_radius = static_cast<std::uint32_t>(json->integer("blast_radius"));
  view.risk = json->text("risk");
  view.requested_by = json->text("requested_by");
  view.approved_by = json->text("approved_by");
  view.reason = json->text("reason");
  view.confidence = json->number("confidence");
  view.proactive = json->flag("proactive");
  view.diagnostic = json->flag("diagnostic");
  view.settles = json->flag("settles");
  view.ended = json->flag("ended");
  run.approved_by_person = json->flag("by_person");
  run.playbook_digest = json->text("playbook_digest");
  const Playbook* playbook = playbooks_.find(view.playbook);
  const bool same =
      playbook != nullptr && core::hex(playbooks_.digest(*playbook)) == run.playbook_digest;
  run.playbook = same ? playbook : nullptr;
  if (const auto parameters = FlatJson::parse(json->text("parameters"))) {
    run.parameters = parameters->all();
  }
  core::Incident& incident = run.incident;
  incident.incident_id = view.incident_id;
  incident.service = view.service;
  incident.diagnosis_code = view.diagnosis_code;
  incident.confidence = view.confidence;
  incident.proactive_only = view.proactive;
  incident.impact = core::impact_from(json->text("impact")).value_or(core::Impact::kMedium);
  incident.contributions.clear();
  for (std::size_t i = 0; i < core::kSourceCount; ++i) {
    const auto source = static_cast<core::Source>(i);
    const std::string quoted = "\"" + std::string(core::to_string(source)) + "\"";
    if (json->text("sources").find(quoted) == std::string_view::npos) continue;
    core::Contribution contribution;
    contribution.source = source;
    incident.contributions.push_back(std::move(contribution));
  }
  run.in_flight = false;  // a run changes its state only between steps
  if (*state == RunState::kRollingBack) queue_rollback(run);
  recover_limits(run, record.ts_ns);
  sweep();
}

void Scheduler::Impl::recover_limits(const Run& run, std::int64_t ts_ns) {
  const core::PlaybookRun& view = run.view;
  switch (view.state) {
    case RunState::kProposed:
      limits_.note_proposal(view.service, ts_ns);
      note_attempt(run);
      break;
    case RunState::kExecuting:
      if (!view.diagnostic) breakers_.note_start(ts_ns);
      break;
    case RunState::kSucceeded:
      breakers_.note_success(view.playbook);
      if (!view.diagnostic) limits_.note_verified_success(view.service, view.diagnosis_code);
      break;
    case RunState::kFailed:
      if (!view.settles) break;
      limits_.note_failure(view.service, view.diagnosis_code, ts_ns);
      // A breaker that this trips has its own record, which follows.
      static_cast<void>(breakers_.note_failure(view.playbook));
      break;
    default:
      break;
  }
  note_state(run);
  const bool was_executed = view.state != RunState::kDenied && view.state != RunState::kExpired;
  if (view.ended && was_executed && run.playbook != nullptr) {
    limits_.note_run_ended(*run.playbook, view.service, ts_ns);
  }
}

void Scheduler::Impl::recover_step(const Record& record) {
  const auto json = FlatJson::parse(record.payload);
  if (!json) return;
  Run* run = active(json->text("run_id"));
  if (run == nullptr) return;
  const auto index = static_cast<std::uint32_t>(json->integer("step", -1));
  run->in_flight = record.result == "started";
  run->in_flight_index = index;
  if (run->in_flight || index == core::kProbeStepIndex) return;
  if (index >= core::kRollbackStepBase) {
    const std::uint32_t step = index - core::kRollbackStepBase;
    std::erase(run->rollback_queue, step);
    if (record.result != "succeeded") {
      run->rollback_failure += "; " + std::string(json->text("name")) + " failed";
    }
    return;
  }
  run->next_step = index + 1;
  run->step_failed = record.result != "succeeded";
  if (record.result != "failed") run->done.push_back(index);
}

void Scheduler::Impl::recovered(const Moment& moment) {
  Entry entry(*this, moment);
  for (Run* run : active_by_priority()) resume_recovered(*run);
}

void Scheduler::Impl::resume_recovered(Run& run) {
  const RunState state = run.view.state;
  const bool begun = state != RunState::kProposed && state != RunState::kAwaitingApproval &&
                     state != RunState::kApproved;
  run.view.settles = false;  // said already, in the run's life before the restart
  if (!begun) {
    const bool undecided = state == RunState::kProposed;
    if (run.playbook != nullptr && !undecided) return;  // approved runs start at the next tick
    run.view.ended = true;
    transition(run, RunState::kDenied,
               undecided ? "the engine restarted before a decision"
                         : "the playbook has changed since the proposal");
    return;
  }
  switch (state) {
    case RunState::kExecuting:
      resume_executing(run);
      break;
    case RunState::kVerifying:
      run.in_flight = false;  // a probe may be asked again
      if (run.playbook == nullptr) {
        fail(run, "the engine restarted with another version of the playbook");
      } else if (!run.playbook->verification) {
        succeed(run, "built-in steps done; nothing outside the engine was changed");
      } else {
        // From the beginning, but against the deadline it had.
        run.verification.emplace(*run.playbook->verification, run.view.service,
                                 run.view.changed_ts_ns);
        run.next_probe_ns = moment_.now_ns;
      }
      break;
    default:
      resume_rolling_back(run);
      break;
  }
  advance(run);
}

void Scheduler::Impl::resume_executing(Run& run) {
  if (run.playbook == nullptr) {
    fail(run, "the engine restarted with another version of the playbook");
    return;
  }
  if (run.step_failed) {  // the crash was between the step's end and the run's
    fail(run, step_name(run, run.next_step - 1) + " failed before the engine restarted");
    return;
  }
  if (!run.in_flight) return;  // between two steps: go on
  run.in_flight = false;
  const std::uint32_t index = run.in_flight_index;
  if (index < run.playbook->steps.size() && run.playbook->steps[index].idempotent) return;
  // It may have had its effect: never again, and undone like a step that ended.
  run.done.push_back(index);
  fail(run, "the engine restarted during " + step_name(run, index));
}

void Scheduler::Impl::resume_rolling_back(Run& run) {
  if (run.view.state == RunState::kFailed) {  // the crash was between the two
    queue_rollback(run);
    begin_rollback(run);
  }
  if (run.playbook == nullptr) {
    run.rollback_queue.clear();
    run.rollback_failure += "; the playbook has changed since";
  } else if (run.in_flight && !run.rollback_queue.empty()) {
    run.rollback_failure += "; the engine restarted during " + step_name(run, run.in_flight_index);
    run.rollback_queue.pop_front();
  }
  run.in_flight = false;
}

}  // namespace grace::schedule
