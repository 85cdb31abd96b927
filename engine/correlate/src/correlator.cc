#include "grace/correlate/correlator.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <tuple>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/hash.h"

namespace grace::correlate {
namespace {

std::int64_t to_ns(std::chrono::seconds duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

constexpr std::array<std::string_view, core::kTriggerTypeCount> kIdPrefixes{
    "directive_", "systemic_",     "ml_forecast_", "ml_capacity_", "ml_risk_",
    "ml_drift_",  "cross_domain_", "health_",      "pattern_",     "sequence_"};

}  // namespace

std::uint64_t fingerprint_of(const core::Finding& finding) {
  std::uint64_t hash = core::mix(static_cast<std::uint64_t>(core::source_of(finding.type)) + 1);
  hash = core::combine(hash, core::hash_bytes(finding.service));
  hash = core::combine(hash, core::hash_bytes(finding.diagnosis_code));
  return core::combine(hash, core::hash_bytes(finding.what));
}

std::string trigger_id_of(const core::Finding& finding, std::uint64_t sequence,
                          std::uint32_t rank) {
  const auto type = static_cast<std::size_t>(finding.type);
  std::uint64_t hash = core::combine(fingerprint_of(finding), type);
  hash = core::combine(core::combine(hash, sequence), rank);
  return std::string(kIdPrefixes[type]) + core::hex(hash);
}

bool is_diagnostic_playbook(std::string_view playbook) noexcept {
  return playbook == "investigate_root_cause" || playbook == "immediate_investigation";
}

std::string_view to_string(IncidentEvent event) noexcept {
  static constexpr std::array<std::string_view, 3> kNames{"opened", "updated", "resolved"};
  return kNames[static_cast<std::size_t>(event)];
}

Correlator::Correlator(CorrelateConfig config, const core::Topology& topology,
                       const core::LearnedState& learned)
    : config_(config),
      topology_(topology),
      learned_(learned),
      cause_finder_(config_.root_cause, topology),
      // What a trigger is about is a name or a short text: two say the same when they differ in
      // identifiers only.
      history_({.templates = {.similarity_min = 0.9, .split_names = true}}) {}

std::optional<Correlator::Duplicate> Correlator::find_duplicate(std::uint64_t fingerprint) const {
  const auto number = by_fingerprint_.find(fingerprint);
  if (number == by_fingerprint_.end()) return std::nullopt;
  const Case& open = cases_.at(number->second);
  const auto member = std::find_if(open.members.begin(), open.members.end(),
                                   [&](const Member& m) { return m.fingerprint == fingerprint; });
  GRACE_ASSERT(member != open.members.end(), "fingerprint of no member");
  return Duplicate{open.incident.incident_id, member->opinion.trigger_id};
}

std::optional<IncidentChange> Correlator::merge_duplicate(const core::Trigger& trigger,
                                                          bool may_raise) {
  const auto number = by_fingerprint_.find(trigger.fingerprint);
  GRACE_ASSERT(number != by_fingerprint_.end(), "not a duplicate");
  Case& open = cases_.at(number->second);
  const auto member = std::find_if(open.members.begin(), open.members.end(), [&](const Member& m) {
    return m.fingerprint == trigger.fingerprint;
  });
  GRACE_ASSERT(member != open.members.end(), "fingerprint of no member");
  look(trigger);  // how often the like comes
  ++member->duplicate_count;
  // The problem is still reported: its incident is not quiet.
  open.incident.updated_ts_ns =
      std::max(open.incident.updated_ts_ns, std::max(now_ns_, trigger.created_ts_ns));
  const bool surer = trigger.confidence > member->opinion.confidence;
  const bool graver = trigger.finding.impact > member->impact;
  if (!may_raise || (!surer && !graver)) return std::nullopt;
  if (surer) {
    const Member now = member_of(trigger, member->kind);
    member->opinion.confidence = now.opinion.confidence;
    member->opinion.evidence = now.opinion.evidence;
  }
  member->impact = std::max(member->impact, trigger.finding.impact);
  refresh(open);
  return IncidentChange{IncidentEvent::kUpdated,
                        member->opinion.trigger_id + " was reported again, " +
                            (surer ? "with more confidence" : "with a higher impact"),
                        open.incident, open.causes};
}

void Correlator::renumber() {
  if (nodes_version_ == topology_.version()) return;
  nodes_version_ = topology_.version();
  for (auto& [number, open] : cases_) {
    for (Member& member : open.members) member.node = topology_.node_of(member.service);
  }
}

Correlator::Member Correlator::member_of(const core::Trigger& trigger, std::uint64_t kind) const {
  const core::Finding& finding = trigger.finding;
  Member member;
  member.kind = kind;
  member.opinion = {trigger.source, trigger.trigger_id, trigger.confidence, {}};
  member.fingerprint = trigger.fingerprint;
  member.type = finding.type;
  member.service = finding.service;
  member.node = topology_.node_of(finding.service);
  member.diagnosis_code = finding.diagnosis_code;
  member.alarm = alarm_of(finding);
  member.impact = finding.impact;
  member.suggested_playbooks = finding.suggested_playbooks;
  member.predicted_ts_ns = finding.predicted_ts_ns;
  member.weak = trigger.weak;
  member.onset_ts_ns = trigger.created_ts_ns;
  auto& sequences = member.opinion.evidence;
  for (const core::Evidence& evidence : finding.evidence) {
    sequences.push_back(evidence.sequence);
    if (evidence.ts_ns > 0) member.onset_ts_ns = std::min(member.onset_ts_ns, evidence.ts_ns);
  }
  std::sort(sequences.begin(), sequences.end());
  sequences.erase(std::unique(sequences.begin(), sequences.end()), sequences.end());
  return member;
}

Correlator::Place Correlator::place_of(const core::Trigger& trigger) const {
  return {trigger.finding.service, topology_.node_of(trigger.finding.service)};
}

std::optional<std::uint32_t> Correlator::distance_to(const Case& open, const Place& place) const {
  std::optional<std::uint32_t> nearest;
  // Members of an incident have few services; what is beyond these is looked for again.
  std::array<std::uint32_t, 16> tried;
  auto tried_end = tried.begin();
  for (const Member& member : open.members) {
    if (member.weak) continue;  // weak evidence does not pull others in
    if (member.service == place.service) return 0;
    if (config_.topology_hops_max == 0 || nearest == 1U ||
        std::find(tried.begin(), tried_end, member.node) != tried_end) {
      continue;
    }
    if (tried_end != tried.end()) *tried_end++ = member.node;
    const auto hops = topology_.distance(place.node, member.node, config_.topology_hops_max);
    if (hops && (!nearest || *hops < *nearest)) nearest = hops;
  }
  return nearest;
}

bool Correlator::Nearness::before(const Nearness& other) const {
  if (by_likeness != other.by_likeness) return !by_likeness;
  if (hops != other.hops) return hops < other.hops;
  return says_the_same && !other.says_the_same;
}

models::SeenAlert Correlator::look(const core::Trigger& trigger) {
  const core::Finding& finding = trigger.finding;
  history_.move_to(std::max(now_ns_, trigger.created_ts_ns));
  const std::string signature =
      std::string(core::to_string(trigger.source)) + '/' + finding.diagnosis_code;
  return history_.add(finding.service, signature, finding.what, arrival_count_);
}

std::optional<Correlator::Nearness> Correlator::nearness(const Case& open, const Place& place,
                                                         const models::SeenAlert& seen,
                                                         std::int64_t now_ns) const {
  const auto says_the_same = [&](const Member& member) {
    return !member.weak && member.kind == seen.kind;
  };
  if (const auto hops = distance_to(open, place)) {
    return Nearness{*hops, false,
                    std::any_of(open.members.begin(), open.members.end(), says_the_same)};
  }
  const double pause_s = static_cast<double>(now_ns - open.incident.updated_ts_ns) /
                         static_cast<double>(core::kNsPerSecond);
  if (config_.topology_hops_max == 0 || history_.is_coincidence(seen, pause_s)) return std::nullopt;
  const bool is_like =
      std::any_of(open.members.begin(), open.members.end(), [&](const Member& member) {
        return says_the_same(member) &&
               (member.service == place.service ||
                topology_.linked(place.node, member.node, config_.topology_hops_max));
      });
  if (!is_like) return std::nullopt;
  return Nearness{config_.topology_hops_max, true, true};
}

const Correlator::Case* Correlator::best_case(const core::Trigger& trigger,
                                              const models::SeenAlert& seen,
                                              bool* by_likeness) const {
  if (trigger.finding.type == core::TriggerType::kDirective) return nullptr;
  const std::int64_t now = std::max(now_ns_, trigger.created_ts_ns);
  const Place place = place_of(trigger);
  const Case* best = nullptr;
  Nearness best_near;
  for (const auto& [number, open] : cases_) {
    if (open.stands_alone) continue;
    if (now - open.incident.updated_ts_ns > to_ns(config_.join_window)) continue;
    const auto near = nearness(open, place, seen, now);
    if (!near) continue;
    const bool better =
        best == nullptr || near->before(best_near) ||
        (!best_near.before(*near) && open.incident.updated_ts_ns > best->incident.updated_ts_ns);
    if (!better) continue;
    best = &open;
    best_near = *near;
  }
  if (by_likeness != nullptr) *by_likeness = best != nullptr && best_near.by_likeness;
  return best;
}

std::string Correlator::plan(const core::Trigger& trigger) {
  renumber();
  const Case* const open = best_case(trigger, look(trigger));
  return open == nullptr ? std::string() : open->incident.incident_id;
}

void Correlator::add(core::Trigger& trigger, std::vector<IncidentChange>& changes) {
  renumber();
  const models::SeenAlert seen = look(trigger);
  bool by_likeness = false;
  const Case* const joined = best_case(trigger, seen, &by_likeness);
  if (joined != nullptr) {
    Case& open = *find_case(joined->incident.incident_id);
    trigger.incident_id = open.incident.incident_id;
    join(open, trigger, seen.kind);
    if (by_likeness) ++counters_.joined_by_likeness;
    if (!trigger.weak) absorb_weak(open);  // it may have brought another service near
    refresh(open);
    changes.push_back({IncidentEvent::kUpdated,
                       trigger.trigger_id + (trigger.weak ? " supports it" : " joined") +
                           (by_likeness ? ": a related service says the same" : ""),
                       open.incident, open.causes});
    return;
  }
  if (trigger.weak) {
    std::erase_if(weak_, [&](const WeakEvidence& waiting) {
      return waiting.trigger.fingerprint == trigger.fingerprint;
    });
    if (weak_.size() >= config_.weak_max) {
      ++counters_.weak_evicted;
      if (weak_.empty()) return;
      weak_.pop_front();
    }
    weak_.push_back({std::max(now_ns_, trigger.created_ts_ns), seen.kind, trigger});
    return;
  }
  if (cases_.size() >= config_.incidents_max) make_room(changes);
  const std::uint64_t number = next_number_++;
  Case& open = cases_[number];
  open.stands_alone = trigger.finding.type == core::TriggerType::kDirective;
  open.incident.incident_id =
      "incident_" +
      core::hex(core::combine(core::combine(trigger.fingerprint, trigger.sequence), trigger.rank));
  open.incident.opened_ts_ns = std::max(now_ns_, trigger.created_ts_ns);
  by_id_[open.incident.incident_id] = number;
  trigger.incident_id = open.incident.incident_id;
  join(open, trigger, seen.kind);
  if (!open.stands_alone) absorb_weak(open);
  refresh(open);
  ++opened_count_;
  changes.push_back(
      {IncidentEvent::kOpened, "opened by " + trigger.trigger_id, open.incident, open.causes});
}

void Correlator::join(Case& open, const core::Trigger& trigger, std::uint64_t kind) {
  core::Incident& incident = open.incident;
  incident.updated_ts_ns = std::max({incident.updated_ts_ns, now_ns_, trigger.created_ts_ns});
  // Weak evidence may fill half of an incident, so that there is room for what may act.
  const std::size_t member_bound =
      trigger.weak ? config_.triggers_per_incident_max / 2 : config_.triggers_per_incident_max;
  const auto known = std::find_if(open.members.begin(), open.members.end(), [&](const Member& m) {
    return m.fingerprint == trigger.fingerprint;
  });
  if (known != open.members.end()) {
    // Seen here before: weak evidence again, or weak evidence that has become a trigger.
    const bool replaces =
        known->weak && (!trigger.weak || trigger.confidence > known->opinion.confidence);
    const std::uint32_t duplicate_count = known->duplicate_count + 1;
    if (replaces) *known = member_of(trigger, kind);
    known->duplicate_count = duplicate_count;
  } else if (open.members.size() < member_bound) {
    open.members.push_back(member_of(trigger, kind));
  } else {
    ++counters_.triggers_over_bound;
    return;
  }
  if (!trigger.weak) by_fingerprint_[trigger.fingerprint] = by_id_.at(incident.incident_id);
  const auto at =
      std::lower_bound(incident.services.begin(), incident.services.end(), trigger.finding.service);
  if (at == incident.services.end() || *at != trigger.finding.service) {
    incident.services.insert(at, trigger.finding.service);
    ++arrival_count_;
  }
}

void Correlator::absorb_weak(Case& open) {
  const std::int64_t oldest = open.incident.updated_ts_ns - to_ns(config_.join_window);
  for (auto waiting = weak_.begin(); waiting != weak_.end();) {
    if (waiting->ts_ns < oldest || !distance_to(open, place_of(waiting->trigger))) {
      ++waiting;
      continue;
    }
    const std::int64_t updated_ts_ns = open.incident.updated_ts_ns;
    join(open, waiting->trigger, waiting->kind);
    open.incident.updated_ts_ns = updated_ts_ns;  // old evidence is no new report
    waiting = weak_.erase(waiting);
  }
}

void Correlator::make_room(std::vector<IncidentChange>& changes) {
  auto quietest = cases_.begin();
  for (auto at = cases_.begin(); at != cases_.end(); ++at) {
    if (at->second.incident.updated_ts_ns < quietest->second.incident.updated_ts_ns) quietest = at;
  }
  ++counters_.incidents_evicted;
  resolve(quietest, core::IncidentState::kResolved, now_ns_,
          "made room: incidents_max = " + std::to_string(config_.incidents_max), changes);
}

void Correlator::resolve(std::map<std::uint64_t, Case>::iterator at, core::IncidentState state,
                         std::int64_t now_ns, std::string reason,
                         std::vector<IncidentChange>& changes) {
  Case& closed = at->second;
  for (const Member& member : closed.members) {
    const auto owner = by_fingerprint_.find(member.fingerprint);
    if (owner != by_fingerprint_.end() && owner->second == at->first) by_fingerprint_.erase(owner);
  }
  by_id_.erase(closed.incident.incident_id);
  closed.incident.state = state;
  closed.incident.resolved_ts_ns = std::max(now_ns, closed.incident.opened_ts_ns);
  changes.push_back({IncidentEvent::kResolved, std::move(reason), std::move(closed.incident),
                     std::move(closed.causes)});
  cases_.erase(at);
}

void Correlator::on_tick(std::int64_t now_ns, std::vector<IncidentChange>& changes) {
  now_ns_ = std::max(now_ns_, now_ns);
  history_.move_to(now_ns_);
  for (auto at = cases_.begin(); at != cases_.end();) {
    const auto open = at++;  // resolve() erases it
    const std::int64_t quiet_ns = now_ns_ - open->second.incident.updated_ts_ns;
    if (open->second.run_working || quiet_ns < to_ns(config_.quiet_resolve)) continue;
    resolve(open, core::IncidentState::kResolved, now_ns_,
            "no trigger for " + std::to_string(config_.quiet_resolve.count() / 60) + " minutes",
            changes);
  }
  while (!weak_.empty() && now_ns_ - weak_.front().ts_ns > to_ns(config_.join_window)) {
    ++counters_.weak_expired;
    weak_.pop_front();
  }
}

void Correlator::on_run(const core::PlaybookRun& run, std::vector<IncidentChange>& changes) {
  Case* const open = find_case(run.incident_id);
  if (open == nullptr) return;
  open->run_active = !core::is_final(run.state);
  open->run_working = run.state == core::RunState::kExecuting ||
                      run.state == core::RunState::kVerifying ||
                      run.state == core::RunState::kRollingBack;
  if (run.state != core::RunState::kSucceeded || run.diagnostic) return;
  resolve(cases_.find(by_id_.at(run.incident_id)), core::IncidentState::kHealed,
          std::max(now_ns_, run.changed_ts_ns),
          "healed: " + run.playbook + " was verified (" + run.run_id + ")", changes);
}

std::vector<core::Incident> Correlator::ready(std::int64_t now_ns) const {
  std::vector<core::Incident> incidents;
  for (const auto& [number, open] : cases_) {
    if (open.run_active) continue;
    const core::Incident& incident = open.incident;
    const bool critical = incident.impact == core::Impact::kCritical;
    const std::int64_t wait_ns = to_ns(critical ? config_.critical_group_wait : config_.group_wait);
    if (now_ns - incident.opened_ts_ns < wait_ns) continue;
    const bool rose =
        incident.confidence >= open.announced_confidence + config_.announce_rise_min ||
        incident.impact > open.announced_impact;
    if (!open.announced || rose) incidents.push_back(incident);
  }
  return incidents;
}

void Correlator::mark_announced(std::string_view incident_id) {
  Case* const open = find_case(incident_id);
  if (open == nullptr) return;
  open->announced = true;
  open->announced_confidence = open->incident.confidence;
  open->announced_impact = open->incident.impact;
}

Correlator::Case* Correlator::find_case(std::string_view incident_id) {
  const auto number = by_id_.find(incident_id);
  return number == by_id_.end() ? nullptr : &cases_.at(number->second);
}

const core::Incident* Correlator::find(std::string_view incident_id) const {
  const auto number = by_id_.find(incident_id);
  return number == by_id_.end() ? nullptr : &cases_.at(number->second).incident;
}

std::vector<core::Incident> Correlator::open_incidents() const {
  std::vector<core::Incident> incidents;
  for (const auto& [number, open] : cases_) incidents.push_back(open.incident);
  return incidents;
}

}  // namespace grace::correlate
