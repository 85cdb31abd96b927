#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/finding.h"
#include "grace/core/learned_state.h"
#include "grace/core/outcome.h"
#include "grace/core/record_sink.h"
#include "grace/core/run.h"
#include "grace/core/trigger.h"
#include "grace/correlate/correlate_config.h"

namespace grace::correlate {

// A raw number from a finding's metadata; nullopt when absent or no number.
[[nodiscard]] std::optional<double> metadata_number(const core::Finding& finding,
                                                    std::string_view key);
// A string from a finding's metadata, without quotes; empty when absent or no plain string.
[[nodiscard]] std::string metadata_text(const core::Finding& finding, std::string_view key);

// Finds out how triggers turned out, records it and teaches LearnedState.
//
// Reactive triggers (something is wrong now) settle when a run verifiably heals their incident:
// each distinct source is credited once, with its strongest trigger. A run that fails speaks
// against the playbook, not against the trigger. Diagnostic runs heal nothing.
//
// Forecasts (predicted_ts_ns set) settle by what the stream shows of (service, what):
//   - it came about (out of the range the forecast named, demand over capacity): came_true;
//   - the time named and forecast_grace have passed without it: did_not_come_true;
//   - a verified run on the incident or service, then prevented_hold without it: "prevented", noted
//     at once, and learned from at reduced weight after prevented_confirm more without it. For
//     capacity the demand must really have come (over the old capacity) at the time named: an
//     action does not change demand, so without it the forecast was simply wrong;
//   - nothing of the series was seen: unknown, counted, nothing is learned.
// The range is metadata `range_low` / `range_high` (`threshold` for one upper bound), for capacity
// `predicted_demand` and `capacity`. Without them: |deviation| >= deviation_min in the direction
// that is bad for the metric's role.
//
// Weak triggers settle too when they are forecasts, at half weight: a source whose calibrated
// confidence fell below its minimum could otherwise never recover.
//
// Records: decision_outcome, then decision_weight. Thread: the ordered stage's. Bounds:
// OutcomeConfig, evicted_count(). A function of its inputs alone.
class OutcomeTracker {
 public:
  // `config` must have passed validated(); the rest must outlive the tracker.
  OutcomeTracker(OutcomeConfig config, core::LearnedState& learned, core::RecordSink& records);

  void on_trigger(const core::Trigger& trigger);
  void on_observation(const core::Observation& observation);
  // Outcomes that became final are appended to `outcomes`, in order.
  void on_tick(std::int64_t now_ns, std::vector<core::Outcome>& outcomes);
  void on_run(const core::PlaybookRun& run, std::int64_t now_ns,
              std::vector<core::Outcome>& outcomes);
  // A person's verdict; ends any waiting for this trigger.
  void on_feedback(const core::Trigger& trigger, bool right, std::string_view actor,
                   std::string_view reason, std::int64_t now_ns,
                   std::vector<core::Outcome>& outcomes);
  // The incident is over: its reactive triggers will not settle any more.
  void on_incident_resolved(std::string_view incident_id);

  [[nodiscard]] std::size_t pending_count() const noexcept { return forecasts_.size(); }
  [[nodiscard]] std::uint64_t evicted_count() const noexcept { return evicted_count_; }
  [[nodiscard]] std::uint64_t unknown_count() const noexcept { return unknown_count_; }

 private:
  struct Forecast {
    core::Trigger trigger;
    std::int64_t deadline_ns = 0;
    std::optional<double> range_low, range_high;  // what the forecast says will be left
    double predicted_value = 0.0;                 // NaN when unknown
    double capacity_before = 0.0;                 // NaN when unknown
    double capacity_now = 0.0;                    // last seen; NaN before
    double worst_seen = 0.0;                      // NaN before
    bool seen = false;                            // something of the series was observed
    bool seen_on_time = false;                    // at or after the time named, less one bin
    bool demand_came = false;                     // capacity: demand went over capacity_before
    bool came_true = false;
    std::int64_t run_ts_ns = 0;  // when a verified run ended; 0: none
    std::string run_id, playbook;
    std::int64_t noted_ts_ns = 0;  // prevented, waiting for confirmation
  };

  void observe(Forecast& forecast, const core::Observation& observation) const;
  void observe_capacity(Forecast& forecast, const core::Observation& observation) const;
  // True: it is settled and leaves the table.
  bool step(Forecast& forecast, std::int64_t now_ns, std::vector<core::Outcome>& outcomes);
  void note_prevented(Forecast& forecast, std::int64_t now_ns);
  void settle(const core::Trigger& trigger, core::OutcomeKind kind, std::int64_t now_ns,
              const Forecast* forecast, const core::PlaybookRun* run, std::string reason,
              std::vector<core::Outcome>& outcomes);
  void record_outcome(const core::Outcome& outcome, std::string_view actor,
                      const std::vector<std::string>& reasons);
  void record_weight(const core::Outcome& outcome);

  OutcomeConfig config_;
  core::LearnedState& learned_;
  core::RecordSink& records_;
  std::deque<Forecast> forecasts_;                                           // by arrival
  std::map<std::string, std::vector<core::Trigger>, std::less<>> reactive_;  // by incident
  std::deque<std::string> reactive_order_;  // incidents by first trigger
  std::uint64_t evicted_count_ = 0;
  std::uint64_t unknown_count_ = 0;
};

}  // namespace grace::correlate
