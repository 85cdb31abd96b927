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
//   - it came about: came_true. For capacity that is demand over capacity at the time named;
//   - a verified run on the incident or service, then prevented_hold without it: "prevented", noted
//     at once, and learned from at reduced weight after prevented_confirm more without it. For
//     capacity it is judged at the time named, and the demand must have come (over the old
//     capacity): scaling does not change demand, so without it the forecast was simply wrong;
//   - the time named and forecast_grace have passed without it: did_not_come_true;
//   - nothing was seen of the series near that time: unknown, counted, nothing is learned.
// What is forecast is read from metadata: `range_low` / `range_high`; for capacity
// `predicted_demand` (or `predicted_value`) and `capacity` (or `shortfall`). Without a range:
// |deviation| >= deviation_min, whatever the side.
//
// A run of adjust_threshold changes the engine, not the service: it settles nothing.
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
  // One series that a forecast may be about; its labels are not known here.
  struct Seen {
    std::uint64_t series_key = 0;
    double value = 0.0;               // last bin
    std::uint32_t outside_count = 0;  // bins in a row outside the range
    bool was_inside = false;
  };
  struct Forecast {
    core::Trigger trigger;
    std::int64_t deadline_ns = 0;
    double range_low = 0.0, range_high = 0.0;  // infinite: none on that side
    bool has_range = false;
    double predicted_value = 0.0;  // NaN when unknown, as the next three
    double capacity_before = 0.0;
    double capacity_now = 0.0;  // last seen
    double worst_seen = 0.0;
    std::vector<Seen> series;     // of the metric; capacity: of demand. At most kSeriesMax
    std::vector<Seen> capacity;   // of capacity
    std::int64_t seen_ts_ns = 0;  // newest bin
    bool demand_came = false;     // capacity: demand went over capacity_before
    bool came_true = false;
    bool run_working = false;    // a run that may prevent it is at work: judge later
    std::int64_t run_ts_ns = 0;  // when one was verified; 0: none
    std::string run_id, playbook;
    std::int64_t noted_ts_ns = 0;  // prevented, waiting for confirmation
  };
  static constexpr std::size_t kSeriesMax = 64;

  [[nodiscard]] Forecast forecast_of(const core::Trigger& trigger) const;
  void observe_series(Forecast& forecast, const core::Observation& observation) const;
  void observe_capacity(Forecast& forecast, const core::Observation& observation) const;
  // True: it is settled and leaves the table.
  bool step(Forecast& forecast, std::int64_t now_ns, std::vector<core::Outcome>& outcomes);
  bool judge_at_deadline(Forecast& forecast, std::int64_t now_ns,
                         std::vector<core::Outcome>& outcomes);
  void note_prevented(Forecast& forecast, std::int64_t now_ns);
  void settle_forecast(const Forecast& forecast, core::OutcomeKind kind, std::int64_t now_ns,
                       std::vector<core::Outcome>& outcomes);
  void credit_sources(const core::PlaybookRun& run, std::int64_t now_ns,
                      std::vector<core::Outcome>& outcomes);
  // Teaches, records the weight, appends to `outcomes`.
  void learn(core::Outcome outcome, std::string_view reason, std::vector<core::Outcome>& outcomes);

  OutcomeConfig config_;
  core::LearnedState& learned_;
  core::RecordSink& records_;
  std::deque<Forecast> forecasts_;  // by arrival
  // By incident: the strongest reactive trigger of each source.
  std::map<std::string, std::vector<core::Trigger>, std::less<>> reactive_;
  std::deque<std::string> reactive_order_;  // incidents by first trigger
  std::uint64_t evicted_count_ = 0;
  std::uint64_t unknown_count_ = 0;
};

}  // namespace grace::correlate
