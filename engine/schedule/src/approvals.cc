// What people decide, and the last gate before a run executes.
#include <algorithm>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "run_records.h"
#include "scheduler_impl.h"

namespace grace::schedule {

using core::RunState;

namespace {

std::string with_reason(std::string text, std::string_view reason) {
  if (!reason.empty()) text += ": " + std::string(shortened(reason));
  return text;
}

std::string radius_text(bool known, std::uint32_t services) {
  return known ? std::to_string(services) : std::string("unknown");
}

}  // namespace

void Scheduler::Impl::record_person(std::string_view action, std::string_view result,
                                    std::string_view actor, std::string_view resource,
                                    std::string_view subject, std::string_view reason) {
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object()
      .field("decision_type", action.substr(action.find('_') + 1))
      .key("reasoning")
      .begin_array();
  if (!reason.empty()) json.value(shortened(reason));
  json.end_array()
      .field("confidence", 1.0)
      .field("rule", "person")
      .field("subject", shortened(subject, 128))
      .end_object();
  const std::string_view who = actor.empty() ? std::string_view("unknown") : actor;
  wiring_.records.append(core::Record{moment_.now_ns, shortened(who, 128), action,
                                      shortened(resource, 128), kSelfHeal, result, payload});
}

bool Scheduler::Impl::approve(std::string_view run_id, std::string_view actor,
                              std::string_view reason, const Moment& moment) {
  Entry entry(*this, moment);
  Run* run = active(run_id);
  if (run == nullptr || run->view.state != RunState::kAwaitingApproval) {
    const auto* known = find(run_id);
    record_person(kApprovalAction, "ignored", actor, known == nullptr ? "" : known->service, run_id,
                  known == nullptr ? std::string("there is no such run")
                                   : "the run is " + std::string(core::to_string(known->state)));
    return false;
  }
  if (moment_.now_ns >= run->view.expires_ts_ns) {
    record_person(kApprovalAction, "ignored", actor, run->view.service, run_id,
                  "the request expired at " + core::format_rfc3339(run->view.expires_ts_ns));
    expire(*run, "nobody decided in time; an approval came too late");
    return false;
  }
  record_person(kApprovalAction, "approved", actor, run->view.service, run_id, reason);
  run->approved_by_person = true;
  run->view.approved_by = std::string(shortened(actor, 128));
  run->view.expires_ts_ns = moment_.now_ns + config_.approval_expiry.count() * core::kNsPerSecond;
  transition(*run, RunState::kApproved,
             with_reason("approved by " + run->view.approved_by, reason));
  try_start(*run);
  return true;
}

bool Scheduler::Impl::reject(std::string_view run_id, std::string_view actor,
                             std::string_view reason, const Moment& moment) {
  Entry entry(*this, moment);
  Run* run = active(run_id);
  // Also an approved run that has not begun: whoever is in doubt may still stop it.
  const bool can = run != nullptr && (run->view.state == RunState::kAwaitingApproval ||
                                      run->view.state == RunState::kApproved);
  if (!can) {
    const auto* known = find(run_id);
    record_person(kApprovalAction, "ignored", actor, known == nullptr ? "" : known->service, run_id,
                  known == nullptr ? std::string("there is no such run")
                                   : "the run is " + std::string(core::to_string(known->state)));
    return false;
  }
  record_person(kApprovalAction, "rejected", actor, run->view.service, run_id, reason);
  run->view.ended = true;
  transition(*run, RunState::kDenied,
             with_reason("rejected by " + std::string(shortened(actor, 128)), reason));
  return true;
}

void Scheduler::Impl::set_paused(bool paused, std::string_view actor, std::string_view reason,
                                 const Moment& moment) {
  Entry entry(*this, moment);
  record_person(kPauseAction, paused ? "paused" : "resumed", actor, "scheduler", "scheduler",
                reason);
  paused_ = paused;
  if (!paused) wake("", "");  // everything that waited; approved runs start at the next tick
}

bool Scheduler::Impl::acknowledge(std::string_view breaker, std::string_view actor,
                                  const Moment& moment) {
  Entry entry(*this, moment);
  const auto closed = breakers_.acknowledge(breaker);
  if (closed.empty()) {
    record_person(kBreakerAction, "ignored", actor, breaker, breaker, "no such breaker is open");
    return false;
  }
  for (const auto& name : closed) {
    record_person(kBreakerAction, "acknowledged", actor, name, name, "");
  }
  return true;
}

void Scheduler::Impl::expire(Run& run, std::string reason) {
  run.view.ended = true;
  transition(run, RunState::kExpired, std::move(reason));
}

// The incident is over before its run began: there is nothing left to heal.
void Scheduler::Impl::withdraw_runs_of(const core::Incident& incident) {
  for (auto& [id, run] : active_) {
    if (run->view.ended || run->view.incident_id != incident.incident_id) continue;
    if (run->view.state != RunState::kAwaitingApproval && run->view.state != RunState::kApproved) {
      continue;
    }
    expire(*run, incident.state == core::IncidentState::kHealed
                     ? "the incident healed before the run began"
                     : "the incident resolved before the run began");
  }
}

bool Scheduler::Impl::must_wait(const Run& run) const {
  if (paused_ || executing_count() >= config_.executing_max) return true;
  std::uint32_t same_playbook = 0;
  for (const auto& [id, other] : active_) {
    const RunState state = other->view.state;
    if (other->view.ended || state == RunState::kProposed || state == RunState::kApproved ||
        state == RunState::kAwaitingApproval) {
      continue;
    }
    if (other->view.playbook == run.view.playbook) ++same_playbook;
    // Two remediations of one service would each judge the other's effect.
    if (other->view.service == run.view.service && !other->view.diagnostic &&
        !run.view.diagnostic) {
      return true;
    }
  }
  return same_playbook >= run.playbook->concurrency_max;
}

// What has changed since the approval so that it no longer holds; empty when nothing has.
std::string Scheduler::Impl::objection_to_start(Run& run) {
  const bool known_before = run.view.blast_radius_known;
  const std::uint32_t before = run.view.blast_radius;
  measure_blast_radius(run);
  const TrustDecision decision = decide(run);
  if (decision.verdict == Verdict::kDeny) {
    record_decision(run, decision);
    return "denied by " + decision.rule;
  }
  if (run.approved_by_person) {
    const bool grew =
        known_before && (!run.view.blast_radius_known || run.view.blast_radius > before);
    if (!grew) return "";
    return "the blast radius was " + radius_text(known_before, before) + " when approved and is " +
           radius_text(run.view.blast_radius_known, run.view.blast_radius);
  }
  if (decision.verdict == Verdict::kAllow) return "";
  record_decision(run, decision);
  return "no longer allowed automatically: " + decision.rule;
}

void Scheduler::Impl::try_start(Run& run) {
  if (moment_.now_ns >= run.view.expires_ts_ns) {
    expire(run, "the approval expired before the run could begin");
    return;
  }
  if (trust_.config().mode != Mode::kAuto) {
    run.view.ended = true;
    transition(run, RunState::kDenied,
               "mode is " + std::string(to_string(trust_.config().mode)) +
                   ": nothing is executed, approved or not");
    return;
  }
  if (must_wait(run)) return;  // stays approved; asked again at each tick
  const std::string objection = objection_to_start(run);
  if (!objection.empty()) {
    run.view.ended = true;
    transition(run, RunState::kDenied, objection);
    return;
  }
  if (!run.view.diagnostic) breakers_.note_start(moment_.now_ns);
  transition(run, RunState::kExecuting,
             "blast radius " + radius_text(run.view.blast_radius_known, run.view.blast_radius) +
                 " confirmed just before execution");
  advance(run);
}

}  // namespace grace::schedule
