// From incident to decision: should_propose, the choice of a playbook, the trust core's verdict.
#include <algorithm>
#include <set>

#include "grace/core/hash.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "run_records.h"
#include "scheduler_impl.h"

namespace grace::schedule {

using core::Incident;
using core::IncidentState;
using core::RunState;

void Scheduler::Impl::on_incident_ready(const Incident& incident, const Moment& moment) {
  Entry entry(*this, moment);
  if (incident.state != IncidentState::kOpen) return;
  const auto found = candidates_.find(incident.incident_id);
  if (found == candidates_.end() && candidates_.size() >= config_.incidents_max) {
    ++refused_count_;
    return;
  }
  Candidate& candidate = candidates_[incident.incident_id];
  candidate.incident = incident;
  consider(candidate);
}

void Scheduler::Impl::on_incident_update(const Incident& incident, const Moment& moment) {
  Entry entry(*this, moment);
  if (incident.state != IncidentState::kOpen) {
    candidates_.erase(incident.incident_id);
    withdraw_runs_of(incident);
    attempts_.erase(incident.incident_id);
    return;
  }
  const auto found = candidates_.find(incident.incident_id);
  if (found == candidates_.end()) return;  // not ready yet, or refused by the bound
  Candidate& candidate = found->second;
  const bool new_suggestions =
      candidate.incident.suggested_playbooks != incident.suggested_playbooks;
  candidate.incident = incident;
  // What was impossible with the old suggestions may be possible with the new ones.
  if (new_suggestions) consider(candidate);
}

void Scheduler::Impl::consider_due() {
  std::vector<Candidate*> due;
  for (auto& [id, candidate] : candidates_) {
    if (candidate.retry_at_ns <= moment_.now_ns) due.push_back(&candidate);
  }
  std::stable_sort(due.begin(), due.end(), [](const Candidate* a, const Candidate* b) {
    if (a->incident.impact != b->incident.impact) return a->incident.impact > b->incident.impact;
    return a->incident.confidence > b->incident.confidence;
  });
  for (Candidate* candidate : due) consider(*candidate);
  next_retry_ns_ = kNever;
  for (const auto& [id, candidate] : candidates_) {
    next_retry_ns_ = std::min(next_retry_ns_, candidate.retry_at_ns);
  }
}

void Scheduler::Impl::consider(Candidate& candidate) {
  candidate.retry_at_ns = kNever;
  if (candidate.healed) return;
  if (const auto refusal = should_propose(candidate.incident)) {
    refuse(candidate, *refusal);
    return;
  }
  Choice choice = choose(candidate.incident);
  if (choice.playbook == nullptr) {
    refuse(candidate, choice.refusal);
    return;
  }
  candidate.refusal.clear();
  // Asked again when the run has ended: on_ended() wakes the candidate.
  propose(candidate.incident, std::move(choice));
}

std::optional<Scheduler::Impl::Refusal> Scheduler::Impl::should_propose(
    const Incident& incident) const {
  const std::int64_t now = moment_.now_ns;
  if (trust_.config().mode == Mode::kObserve) {
    return Refusal{"mode", "mode is observe: nothing is proposed", kNever};
  }
  if (paused_) return Refusal{"paused", "paused: nothing new starts", kNever};
  for (const auto& [id, run] : active_) {
    if (run->view.ended) continue;
    if (run->view.incident_id == incident.incident_id) {
      return Refusal{"run_in_progress", "run " + id + " is in progress for this incident", kNever};
    }
    if (run->view.service == incident.service && !run->view.diagnostic) {
      return Refusal{"service_busy", "run " + id + " is in progress for this service", kNever};
    }
  }
  if (active_.size() >= config_.runs_active_max) {
    return Refusal{"runs_active_max", "as many runs are in progress as configured",
                   now + core::kNsPerMinute};
  }
  const auto attempts = attempts_.find(incident.incident_id);
  if (attempts != attempts_.end() && attempts->second.count >= config_.attempts_per_incident_max) {
    return Refusal{"attempts_per_incident",
                   std::to_string(attempts->second.count) + " runs for this incident", kNever};
  }
  if (const auto until = limits_.hourly_until_ns(incident.service, now); until != 0) {
    return Refusal{"proposals_per_hour",
                   std::to_string(config_.proposals_per_hour_max) + " proposals for " +
                       incident.service + " in an hour",
                   until};
  }
  const auto until = limits_.backoff_until_ns(incident.service, incident.diagnosis_code, now);
  if (until != 0) {
    return Refusal{"backoff", "backing off after a failure until " + core::format_rfc3339(until),
                   until};
  }
  return std::nullopt;
}

std::string Scheduler::Impl::run_id_of(const Incident& incident, std::string_view playbook) const {
  // Attempts, not the sequence alone: two proposals at one sequence are still two runs.
  const auto attempts = attempts_.find(incident.incident_id);
  const std::uint64_t count = attempts == attempts_.end() ? 0 : attempts->second.count;
  const std::uint64_t what =
      core::combine(core::hash_bytes(incident.incident_id), core::hash_bytes(playbook));
  return "run_" + core::hex(core::combine(core::combine(what, moment_.sequence), count));
}

Scheduler::Impl::Choice Scheduler::Impl::choose(const Incident& incident) const {
  Choice choice;
  std::string why;
  std::int64_t retry_at_ns = kNever;
  const auto tried = attempts_.find(incident.incident_id);
  const core::ServiceNode* node = wiring_.topology.find(incident.service);
  // First what has not been tried for this incident, then what failed before.
  for (const bool again : {false, true}) {
    for (const auto& name : incident.suggested_playbooks) {
      const Playbook* playbook = playbooks_.find(name);
      if (playbook == nullptr) {
        if (!again) why += "; " + std::string(shortened(name, 64)) + " is not configured";
        continue;
      }
      std::optional<RunState> before;
      if (tried != attempts_.end()) {
        const auto state = tried->second.playbooks.find(name);
        if (state != tried->second.playbooks.end()) before = state->second;
      }
      const bool failed = before == RunState::kFailed || before == RunState::kRolledBack;
      if (before && !failed) {  // denied, expired, or a diagnostic that is done: not again
        if (!again) why += "; " + name + " was " + std::string(core::to_string(*before));
        continue;
      }
      if (before.has_value() != again) continue;
      const auto until = limits_.cooldown_until_ns(name, incident.service, moment_.now_ns);
      if (until != 0) {
        why += "; " + name + " cools down until " + core::format_rfc3339(until);
        retry_at_ns = std::min(retry_at_ns, until);
        continue;
      }
      choice.run_id = run_id_of(incident, name);
      const Parameters known{
          {"service", incident.service},
          {"diagnosis", incident.diagnosis_code},
          {"root_cause", incident.root_cause.empty() ? incident.service : incident.root_cause},
          {"domain", node == nullptr ? std::string() : node->domain},
          {"incident_id", incident.incident_id},
          {"run_id", choice.run_id}};
      auto parameters = resolve_parameters(*playbook, known);
      if (!parameters) {
        why += "; " + name + ": " + parameters.error().message;
        continue;
      }
      choice.playbook = playbook;
      choice.parameters = std::move(*parameters);
      return choice;
    }
  }
  choice.refusal = Refusal{"no_playbook", "no suggested playbook can be used" + why, retry_at_ns};
  return choice;
}

void Scheduler::Impl::refuse(Candidate& candidate, const Refusal& refusal) {
  candidate.retry_at_ns = refusal.retry_at_ns;
  next_retry_ns_ = std::min(next_retry_ns_, refusal.retry_at_ns);
  if (candidate.refusal == refusal.rule) return;  // recorded already
  candidate.refusal = refusal.rule;
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object()
      .field("decision_type", "proposal")
      .key("reasoning")
      .begin_array()
      .value(refusal.explanation)
      .end_array()
      .field("confidence", candidate.incident.confidence)
      .field("rule", refusal.rule)
      .field("incident_id", candidate.incident.incident_id)
      .field("service", candidate.incident.service)
      .field("diagnosis_code", candidate.incident.diagnosis_code)
      .end_object();
  wiring_.records.append(core::Record{moment_.now_ns, kSchedulerActor, kProposalAction,
                                      candidate.incident.service, kSelfHeal, "not_proposed",
                                      payload});
}

void Scheduler::Impl::note_attempt(const Run& run) {
  if (!attempts_.contains(run.view.incident_id) && attempts_.size() >= config_.incidents_max) {
    const auto oldest = std::min_element(
        attempts_.begin(), attempts_.end(),
        [](const auto& a, const auto& b) { return a.second.last_ns < b.second.last_ns; });
    attempts_.erase(oldest);
    ++refused_count_;
  }
  Attempts& attempts = attempts_[run.view.incident_id];
  ++attempts.count;
  attempts.last_ns = run.view.proposed_ts_ns;
  attempts.playbooks[run.view.playbook] = run.view.state;
}

// Only while the incident is open: a closed one's attempts are forgotten and must stay so.
void Scheduler::Impl::note_state(const Run& run) {
  const auto attempts = attempts_.find(run.view.incident_id);
  if (attempts != attempts_.end()) attempts->second.playbooks[run.view.playbook] = run.view.state;
}

void Scheduler::Impl::propose(const Incident& incident, Choice choice) {
  auto owned = std::make_unique<Run>();
  Run& run = *owned;
  run.playbook = choice.playbook;
  run.playbook_digest = core::hex(playbooks_.digest(*choice.playbook));
  run.incident = incident;
  run.parameters = std::move(choice.parameters);
  core::PlaybookRun& view = run.view;
  view.run_id = std::move(choice.run_id);
  view.incident_id = incident.incident_id;
  view.playbook = choice.playbook->name;
  view.service = incident.service;
  view.diagnosis_code = incident.diagnosis_code;
  view.proposed_ts_ns = moment_.now_ns;
  view.changed_ts_ns = moment_.now_ns;
  view.expires_ts_ns = moment_.now_ns + config_.approval_expiry.count() * core::kNsPerSecond;
  view.risk = std::string(to_string(choice.playbook->risk));
  view.requested_by = "intelligent_triggers";
  view.confidence = incident.confidence;
  view.proactive = incident.proactive_only;
  view.diagnostic = choice.playbook->diagnostic;
  view.reason = "suggested for " + incident.diagnosis_code + " of " + incident.service;
  measure_blast_radius(run);
  active_[view.run_id] = std::move(owned);
  limits_.note_proposal(view.service, moment_.now_ns);
  note_attempt(run);
  publish(run);

  const TrustDecision decision = decide(run);
  record_decision(run, decision);
  switch (decision.verdict) {
    case Verdict::kDeny:
      view.ended = true;
      transition(run, RunState::kDenied, "denied by " + decision.rule);
      break;
    case Verdict::kAllow:
      view.approved_by = decision.rule;
      transition(run, RunState::kApproved, "allowed by " + decision.rule);
      try_start(run);
      break;
    case Verdict::kRequireApproval:
      transition(run, RunState::kAwaitingApproval, "needs a person: " + decision.rule);
      break;
  }
}

void Scheduler::Impl::measure_blast_radius(Run& run) const {
  if (run.view.diagnostic) {  // touches no service
    run.view.blast_radius_known = true;
    run.view.blast_radius = 0;
    return;
  }
  const core::BlastRadius radius = wiring_.topology.blast_radius(run.view.service);
  run.view.blast_radius_known = radius.known;
  run.view.blast_radius = radius.known ? radius.services : 0;
}

TrustDecision Scheduler::Impl::decide(const Run& run) {
  if (!run.view.diagnostic) {
    std::set<std::string_view> services{run.view.service};
    for (const auto& [id, other] : active_) {
      const RunState state = other->view.state;
      const bool in_remediation = !other->view.ended && !other->view.diagnostic &&
                                  (state == RunState::kExecuting || state == RunState::kVerifying ||
                                   state == RunState::kRollingBack);
      if (in_remediation) services.insert(other->view.service);
    }
    for (const auto& trip :
         breakers_.before_start(moment_.now_ns, services.size(), wiring_.topology.size())) {
      record_trip(trip);
    }
  }
  TrustQuery query;
  query.service = run.view.service;
  if (const auto* node = wiring_.topology.find(run.view.service)) query.domain = node->domain;
  query.playbook = run.view.playbook;
  for (const auto& contribution : run.incident.contributions) {
    query.sources.push_back(contribution.source);
  }
  query.impact = run.incident.impact;
  query.confidence = run.view.confidence;
  query.risk = run.playbook->risk;
  query.blast_radius_known = run.view.blast_radius_known;
  query.blast_radius = run.view.blast_radius;
  query.proactive_only = run.view.proactive;
  query.now_ns = moment_.now_ns;
  query.open_breakers = breakers_.open_for(run.view.playbook);
  return trust_.decide(query);
}

void Scheduler::Impl::record_decision(const Run& run, const TrustDecision& decision) {
  const std::string payload = decision_payload(run, decision);
  wiring_.records.append(core::Record{moment_.now_ns, kTrustActor, kApprovalAction,
                                      run.view.service, kSelfHeal, to_string(decision.verdict),
                                      payload});
}

void Scheduler::Impl::record_trip(const BreakerBoard::Trip& trip) {
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object()
      .field("decision_type", "breaker")
      .key("reasoning")
      .begin_array()
      .value(trip.reason)
      .end_array()
      .field("confidence", 1.0)
      .field("rule", trip.breaker)
      .end_object();
  wiring_.records.append(core::Record{moment_.now_ns, kSchedulerActor, kBreakerAction, trip.breaker,
                                      kSelfHeal, "tripped", payload});
}

}  // namespace grace::schedule
