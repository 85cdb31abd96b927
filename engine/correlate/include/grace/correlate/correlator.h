#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grace/core/learned_state.h"
#include "grace/core/run.h"
#include "grace/core/topology.h"
#include "grace/core/trigger.h"
#include "grace/correlate/cause_finder.h"
#include "grace/correlate/cause_ranking.h"
#include "grace/correlate/correlate_config.h"
#include "grace/correlate/fusion.h"
#include "grace/models/alert_history.h"

namespace grace::correlate {

// Identity of a problem: the same (source, service, diagnosis, what) gives the same fingerprint
// whenever and on whatever evidence it is reported.
[[nodiscard]] std::uint64_t fingerprint_of(const core::Finding& finding);
// "ml_forecast_0123456789abcdef": from content and place in the input, so a replay gives it again.
[[nodiscard]] std::string trigger_id_of(const core::Finding& finding, std::uint64_t sequence,
                                        std::uint32_t rank);
// True for playbooks that look and ask but change nothing.
[[nodiscard]] bool is_diagnostic_playbook(std::string_view playbook) noexcept;

enum class IncidentEvent : std::uint8_t { kOpened = 0, kUpdated, kResolved };
[[nodiscard]] std::string_view to_string(IncidentEvent event) noexcept;  // "opened" ...

// What happened to an incident, with a copy of it afterwards.
struct IncidentChange {
  IncidentEvent event = IncidentEvent::kOpened;
  std::string reason;  // one line
  core::Incident incident;
  CauseRanking causes{};  // what incident.root_cause rests on
};

// Groups triggers into incidents, fuses their confidence and says when an incident may act.
//
// Joining: a trigger joins the open incident of its own service, else the nearest one over at most
// topology_hops_max edges of one dependency path, if that incident's last trigger is at most
// join_window old; else one in which a related service says the same: services are related when at
// most topology_hops_max edges join them in any direction (they share a dependency, say), and they
// say the same when source, diagnosis and the template of `what` agree and it is no coincidence at
// the rate that it came at so far (models::AlertHistory, as in `grace score groups`). Among equals
// an incident that says the same comes first, then the most recently updated. Otherwise it opens
// one. Directives speak
// about the engine itself, not about a service's health: each opens an incident of its own, and
// nothing joins that.
// Weak evidence (trigger.weak) opens nothing. It waits join_window for an incident to join and then
// raises that one's confidence; its playbooks count only where a trigger that may act suggests them
// too. Weak triggers never act, alone or among themselves.
// Duplicates: while an incident is open, a fingerprint in it is counted once. A duplicate that is
// surer than the first raises the first's part in the incident.
// Root cause: of the services with a trigger that may act, the one that CauseFinder ranks first, if
// it is more probable than "none of these"; `IncidentChange::causes` says how the ranking went. The
// incident is judged by its beginning, until four minutes after the first evidence.
// Else, and among equals, the one that most of the incident's other services depend on; then the
// earliest onset (first evidence); then the highest confidence; then by name. `Incident::service`
// is it.
// Playbooks: each source votes once for a playbook, with its highest confidence for it. Suggested
// for the root cause first, then those suggested for other services only, then diagnostics; ties
// by order of suggestion.
//
// Life: resolved after quiet_resolve without a report (not while a run is at work on it), or healed
// by a run that was verified; then its fingerprints are free again.
//
// Thread: the ordered stage's. Bounds: CorrelateConfig; counters() tells what they turned away.
// A function of its inputs alone; times never go backwards inside (a late trigger counts as now).
class Correlator {
 public:
  struct Counters {
    std::uint64_t incidents_evicted = 0;    // resolved early to make room
    std::uint64_t triggers_over_bound = 0;  // merged as duplicates: the incident was full
    std::uint64_t weak_evicted = 0;         // forgotten early
    std::uint64_t weak_expired = 0;         // found no incident in join_window
    std::uint64_t joined_by_likeness = 0;   // not by service or dependency: they say the same
  };
  // `config` must have passed validated(); the rest must outlive the correlator.
  Correlator(CorrelateConfig config, const core::Topology& topology,
             const core::LearnedState& learned);

  // The open incident and first trigger with this fingerprint; null when there is none. A weak
  // first trigger does not count: a stronger report of the same is news.
  struct Duplicate {
    std::string incident_id;
    std::string trigger_id;
  };
  [[nodiscard]] std::optional<Duplicate> find_duplicate(std::uint64_t fingerprint) const;
  // Counts a duplicate. `may_raise`: a surer one raises the incident's confidence (not so while it
  // is silenced). The change, if there was one.
  std::optional<IncidentChange> merge_duplicate(const core::Trigger& trigger, bool may_raise);

  // The incident that the trigger would join now; empty: it would open one (weak: it would wait).
  // For triggers that are not added: that it came is remembered.
  [[nodiscard]] std::string plan(const core::Trigger& trigger);
  // Joins or opens, and sets trigger.incident_id; it stays empty for a weak trigger that waits.
  // Appends what changed; that can be two: the quietest incident is resolved to make room.
  void add(core::Trigger& trigger, std::vector<IncidentChange>& changes);

  // What partitions see, for the search of root causes.
  void on_observation(const core::Observation& observation) {
    cause_finder_.on_observation(observation);
  }
  // Moves time on: resolves quiet incidents.
  void on_tick(std::int64_t now_ns, std::vector<IncidentChange>& changes);
  // A verified run heals its incident; runs under way keep it from being announced again.
  void on_run(const core::PlaybookRun& run, std::vector<IncidentChange>& changes);
  // Incidents that may act now and have not been announced at this confidence: opened at least the
  // group wait ago, no run under way. By opening order. The caller announces each it keeps with
  // mark_announced(); what it holds back (silence) is offered again.
  [[nodiscard]] std::vector<core::Incident> ready(std::int64_t now_ns) const;
  void mark_announced(std::string_view incident_id);

  // The open incident; null when it is resolved or unknown.
  [[nodiscard]] const core::Incident* find(std::string_view incident_id) const;
  [[nodiscard]] std::vector<core::Incident> open_incidents() const;  // by opening order
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::uint64_t opened_count() const noexcept { return opened_count_; }
  [[nodiscard]] std::size_t weak_count() const noexcept { return weak_.size(); }
  [[nodiscard]] const CauseFinder& cause_finder() const noexcept { return cause_finder_; }

 private:
  // What an incident keeps of a trigger.
  struct Member {
    Opinion opinion;
    std::uint64_t kind = 0;  // SeenAlert's: what it says
    std::uint64_t fingerprint = 0;
    std::uint32_t node = core::Topology::kNoNode;  // of its service, as of nodes_version_
    core::TriggerType type = core::TriggerType::kPatternDetected;
    std::string service;
    std::string diagnosis_code;
    std::string alarm;  // alarm_of() its finding
    core::Impact impact = core::Impact::kLow;
    std::vector<std::string> suggested_playbooks;
    std::int64_t onset_ts_ns = 0;
    std::int64_t predicted_ts_ns = 0;
    std::uint32_t duplicate_count = 0;
    bool weak = false;
  };
  struct Case {
    core::Incident incident;
    std::vector<Member> members;  // in order of joining
    bool stands_alone = false;    // a directive's
    CauseRanking causes;
    // How probable the services with alarms are, as ranked when `ranked_alarms` asked.
    std::vector<std::pair<std::string, double>> ranked;
    std::uint64_t ranked_alarms = 0;  // hash
    std::int64_t ranked_ts_ns = 0;    // as things were then; 0: not ranked yet
    bool announced = false;
    double announced_confidence = 0.0;
    core::Impact announced_impact = core::Impact::kLow;
    bool run_active = false;   // proposed and not yet final, awaiting approval too
    bool run_working = false;  // executing, verifying or rolling back
  };
  struct WeakEvidence {
    std::int64_t ts_ns = 0;
    std::uint64_t kind = 0;
    core::Trigger trigger;
  };

  // Where a trigger is.
  struct Place {
    std::string_view service;
    std::uint32_t node = core::Topology::kNoNode;  // good until the topology changes
  };
  // How a trigger may belong to an incident, nearest first: over so many edges of one dependency
  // path, or because a related service says the same.
  struct Nearness {
    std::uint32_t hops = 0;
    bool by_likeness = false;
    bool says_the_same = false;
    [[nodiscard]] bool before(const Nearness& other) const;
  };

  [[nodiscard]] Member member_of(const core::Trigger& trigger, std::uint64_t kind) const;
  // Numbers the members as the topology does, when that has changed.
  void renumber();
  models::SeenAlert look(const core::Trigger& trigger);
  [[nodiscard]] Place place_of(const core::Trigger& trigger) const;
  [[nodiscard]] std::optional<std::uint32_t> distance_to(const Case& open,
                                                         const Place& place) const;
  [[nodiscard]] std::optional<Nearness> nearness(const Case& open, const Place& place,
                                                 const models::SeenAlert& seen,
                                                 std::int64_t now_ns) const;
  [[nodiscard]] const Case* best_case(const core::Trigger& trigger, const models::SeenAlert& seen,
                                      bool* by_likeness = nullptr) const;
  void join(Case& open, const core::Trigger& trigger, std::uint64_t kind);
  void absorb_weak(Case& open);
  void refresh(Case& open);
  void refresh_playbooks(Case& open) const;
  struct Candidate;  // for the root cause
  [[nodiscard]] std::vector<Candidate> candidates_of(const Case& open) const;
  [[nodiscard]] static std::int64_t ranked_until(const Case& open);
  void rank_causes(Case& open);
  void find_root_cause(Case& open);
  void make_room(std::vector<IncidentChange>& changes);
  void resolve(std::map<std::uint64_t, Case>::iterator at, core::IncidentState state,
               std::int64_t now_ns, std::string reason, std::vector<IncidentChange>& changes);
  [[nodiscard]] Case* find_case(std::string_view incident_id);

  CorrelateConfig config_;
  const core::Topology& topology_;
  const core::LearnedState& learned_;
  CauseFinder cause_finder_;
  models::AlertHistory history_;
  std::uint64_t nodes_version_ = 0;  // the topology's, of the members' nodes
  std::uint64_t arrival_count_ = 0;  // services that came into an incident
  std::int64_t now_ns_ = 0;
  std::uint64_t next_number_ = 0;
  std::map<std::uint64_t, Case> cases_;  // by opening order
  std::map<std::string, std::uint64_t, std::less<>> by_id_;
  std::map<std::uint64_t, std::uint64_t> by_fingerprint_;  // fingerprint -> case
  std::deque<WeakEvidence> weak_;                          // by time
  Counters counters_;
  std::uint64_t opened_count_ = 0;
};

}  // namespace grace::correlate
