#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/finding.h"
#include "grace/core/learned_state.h"
#include "grace/core/outcome.h"
#include "grace/core/record_sink.h"
#include "grace/core/run.h"
#include "grace/core/topology.h"
#include "grace/core/trigger.h"
#include "grace/correlate/correlator.h"
#include "grace/correlate/outcome_tracker.h"
#include "grace/limit/gates.h"

namespace grace::pipeline {

// The gates, in order. A trigger that a gate stopped is recorded as "suppressed:" and its name.
enum class Gate : std::uint8_t {
  kPassed = 0,
  kDisabled,
  kMinConfidence,
  kDuplicate,
  kSilence,
  kHourlyLimit,
};
inline constexpr std::size_t kGateCount = 6;
[[nodiscard]] std::string_view to_string(Gate gate) noexcept;  // "disabled" ...; passed: "emitted"

// get_stats() of the founding document, about emitted triggers; what the gates stopped beside it.
struct TriggerStats {
  std::uint64_t total_triggers = 0;
  std::array<std::uint64_t, core::kSourceCount> by_source{};
  std::array<std::uint64_t, core::kTriggerTypeCount> by_type{};
  double confidence_sum = 0.0;
  std::array<std::uint64_t, kGateCount> suppressed{};  // kPassed stays 0
  [[nodiscard]] double avg_confidence() const noexcept {
    return total_triggers == 0 ? 0.0 : confidence_sum / static_cast<double>(total_triggers);
  }
  // {"total_triggers":..,"by_source":{..},"by_type":{..},"avg_confidence":..,"suppressed":{..}}.
  // Every source and gate is listed; types only when seen.
  [[nodiscard]] std::string to_json() const;
};

// Which threshold the meta loop wants moved, in a directive or with a systemic issue; nullopt when
// the trigger is neither or names none.
struct Directive {
  std::string parameter;
  double from = 0.0;
  double to = 0.0;
};
[[nodiscard]] std::optional<Directive> directive_of(const core::Trigger& trigger);

// Hears what the trigger manager decided, after it is recorded and the manager's own state is
// consistent: a listener may call the manager's on_run(), feedback() and queries from within. It
// must not call offer() from within; findings it causes are to be queued.
class TriggerListener {
 public:
  // Every trigger that passed the gates, or became weak evidence (trigger.weak).
  virtual void on_trigger(const core::Trigger& trigger) = 0;
  // The incident may act: its group wait is over, or its confidence or impact rose before any run.
  virtual void on_incident_ready(const core::Incident& incident) = 0;
  // Every change of an incident, also healed and resolved (incident.state). Precedes readiness.
  virtual void on_incident_update(const core::Incident& incident) = 0;
  virtual void on_outcome(const core::Outcome& outcome) = 0;

 protected:
  ~TriggerListener() = default;
};

struct TriggerManagerConfig {
  limit::LimitConfig limit;
  correlate::CorrelateConfig correlate;
  correlate::OutcomeConfig outcome;
  // Triggers kept for feedback and explain, suppressed ones too; the oldest makes room. At least 1.
  std::uint32_t recent_max = 16'384;
};
[[nodiscard]] core::Result<TriggerManagerConfig> validated(TriggerManagerConfig config);

// Takes findings through the gates of the specification, in its order:
//   enabled -> calibrate -> minimum confidence -> duplicate -> correlate -> silence -> hourly limit
//   -> records -> listener.
//
// Where a stop happens decides what it leaves behind; every stop leaves its ledger record:
//   disabled        nothing else.
//   min_confidence  weak evidence, unless it is silenced or its source's hour is full: what may not
//                   act may not push another one to act either. Takes nothing from the hour.
//   duplicate       the first one's count; its incident's confidence too, when this one is surer
//                   and not silenced. Takes nothing from the hour.
//   silence, hourly_limit
//                   nothing: correlation only plans until all gates are passed. So no incident
//                   rises by it, and the same problem reported after the silence is no duplicate.
// An incident that became ready while all of its acting triggers are silenced is held until the
// silence ends.
//
// Records, in order: intelligent_trigger; for those emitted self_heal.prediction; then incident.
//
// Thread: the ordered stage's. Bounds: its parts' and recent_max. A function of its input sequence.
class TriggerManager {
 public:
  struct Wiring {
    const core::Topology& topology;
    core::LearnedState& learned;
    core::RecordSink& records;
    TriggerListener& listener;
  };
  // Where a trigger's way through the gates ended, and why.
  struct Stop {
    Gate gate = Gate::kPassed;
    std::string why{};       // one line
    std::string cause_id{};  // the first of its duplicates, the silence
    double minimum = 0.0;    // the confidence that was asked for
  };
  // `config` must have passed validated(); everything in `wiring` must outlive the manager.
  // Declares the adjustable minimum confidences in wiring.learned.
  TriggerManager(TriggerManagerConfig config, const Wiring& wiring);

  // A finding caused by the event at `sequence`, the rank-th of that event. Gives the gate that
  // stopped it, or kPassed.
  Gate offer(core::Finding finding, std::uint64_t sequence, std::uint32_t rank);
  void on_tick(std::int64_t now_ns);
  void on_observation(const core::Observation& observation);
  // Every state change of a run.
  void on_run(const core::PlaybookRun& run);
  // A person says that a trigger was right or wrong. Errors: kNotFound (unknown or forgotten),
  // kInvalidArgument (a verdict was already given).
  core::Result<void> feedback(std::string_view trigger_id, bool right, std::string_view actor,
                              std::string_view reason, std::int64_t now_ns);
  // A silence from outside; recorded as decision_silence. See limit::Gates.
  core::Result<std::string> add_silence(limit::Silence silence, std::int64_t now_ns);
  core::Result<void> expire_silence(std::string_view silence_id, std::string_view actor,
                                    std::int64_t now_ns);

  [[nodiscard]] const TriggerStats& stats() const noexcept { return stats_; }
  // One of the last recent_max, without its reasoning and evidence; null: unknown or long past.
  [[nodiscard]] const core::Trigger* find_trigger(std::string_view trigger_id) const;
  [[nodiscard]] const limit::Gates& gates() const noexcept { return gates_; }
  [[nodiscard]] const correlate::Correlator& correlator() const noexcept { return correlator_; }
  [[nodiscard]] const correlate::OutcomeTracker& outcomes() const noexcept { return outcomes_; }
  [[nodiscard]] std::int64_t now_ns() const noexcept { return now_ns_; }

 private:
  struct Recent {
    core::Trigger trigger;
    bool judged = false;  // a person gave a verdict
  };

  Stop run_gates(core::Trigger& trigger, std::vector<correlate::IncidentChange>& changes);
  // Keeps a copy without reasoning and evidence, which are in its record. `trigger` ends as it was.
  void remember(core::Trigger& trigger);
  void count(const core::Trigger& trigger, Gate gate);
  void publish(const std::vector<correlate::IncidentChange>& changes);
  void publish(const std::vector<core::Outcome>& outcomes);
  void announce_ready();
  [[nodiscard]] bool held_by_silence(const core::Incident& incident) const;

  TriggerManagerConfig config_;
  Wiring wiring_;
  limit::Gates gates_;
  correlate::Correlator correlator_;
  correlate::OutcomeTracker outcomes_;
  TriggerStats stats_;
  std::int64_t now_ns_ = 0;
  std::unordered_map<std::string, Recent, core::TextHash, std::equal_to<>> recent_;
  std::deque<const std::string*> recent_order_;  // keys of recent_, oldest first
};

}  // namespace grace::pipeline
