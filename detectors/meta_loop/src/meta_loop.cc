#include "grace/meta_loop/meta_loop.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "grace/core/time.h"
#include "incident_notes.h"
#include "playbook_watch.h"
#include "threshold_watch.h"

namespace grace::meta_loop {
namespace {

using core::ErrorCode;
using core::make_error;
using core::Result;

// Runs whose end was counted, so that a rollback after a failure is not a second one.
constexpr std::size_t kEndedRunsMax = 1024;
constexpr std::size_t kIncidentsMax = 4096;

class MetaLoopDetector final : public core::OrderedDetector {
 public:
  MetaLoopDetector(const MetaLoopConfig& config, const core::OrderedContext& context)
      : config_(config),
        context_(context),
        notes_(kIncidentsMax),
        playbooks_(config_, context_, notes_),
        thresholds_(config_, context_, playbooks_) {}

  // It watches decisions, not telemetry.
  void on_observation(const core::Observation&, std::uint64_t, core::FindingSink&) override {}
  void on_tick(const core::Tick&, core::FindingSink&) override {}

  void on_trigger(const core::Trigger& trigger, core::FindingSink&) override {
    notes_.on_trigger(trigger);
  }

  void on_run(const core::PlaybookRun& run, core::FindingSink& sink) override {
    // Our own playbook would only let us judge ourselves.
    if (run.playbook == "adjust_threshold") return;
    const bool succeeded = run.state == core::RunState::kSucceeded;
    const bool failed =
        run.state == core::RunState::kFailed || run.state == core::RunState::kRolledBack;
    if (!succeeded && !failed) return;
    if (std::find(ended_.begin(), ended_.end(), run.run_id) != ended_.end()) return;
    ended_.push_back(run.run_id);
    if (ended_.size() > kEndedRunsMax) ended_.pop_front();
    playbooks_.on_end(run, sink);
  }

  void on_outcome(const core::Outcome& outcome, core::FindingSink& sink) override {
    thresholds_.on_outcome(outcome, sink);
  }

  [[nodiscard]] std::uint64_t evicted_count() const override { return playbooks_.refused_count(); }

 private:
  const MetaLoopConfig config_;
  const core::OrderedContext context_;
  IncidentNotes notes_;
  std::deque<std::string> ended_;
  PlaybookWatch playbooks_;
  ThresholdWatch thresholds_;
};

class MetaLoop final : public core::Subsystem {
 public:
  explicit MetaLoop(MetaLoopConfig config) : config_(config) {}
  [[nodiscard]] core::Source source() const noexcept override { return core::Source::kMetaLoop; }
  [[nodiscard]] std::unique_ptr<core::PartitionDetector> make_partition(
      std::size_t) const override {
    return nullptr;
  }
  [[nodiscard]] std::unique_ptr<core::OrderedDetector> make_ordered(
      const core::OrderedContext& context) const override {
    return std::make_unique<MetaLoopDetector>(config_, context);
  }

 private:
  MetaLoopConfig config_;
};

template <typename Number>
tl::unexpected<core::Error> refused(const char* field, Number value, const char* wanted) {
  return make_error(ErrorCode::kConfig, std::string("meta_loop.") + field + " = " +
                                            std::to_string(value) + ": must be " + wanted);
}

bool is_inner_share(double value) {
  return value > 0.0 && value < 1.0;
}

}  // namespace

Result<MetaLoopConfig> validated(MetaLoopConfig config) {
  if (config.runs_min < 1) return refused("runs_min", config.runs_min, "at least 1");
  if (!is_inner_share(config.failure_rate_min)) {
    return refused("failure_rate_min", config.failure_rate_min, "between 0 and 1");
  }
  if (!(config.credible_tail > 0.0 && config.credible_tail <= 0.5)) {
    return refused("credible_tail", config.credible_tail, "over 0, at most 0.5");
  }
  if (config.recent_runs < config.runs_min || config.recent_runs >= PlaybookRecord::kHistoryMax) {
    return refused("recent_runs", config.recent_runs, "at least runs_min and below 64");
  }
  if (config.baseline_runs_min < 1) {
    return refused("baseline_runs_min", config.baseline_runs_min, "at least 1");
  }
  if (!is_inner_share(config.success_drop_min)) {
    return refused("success_drop_min", config.success_drop_min, "between 0 and 1");
  }
  if (config.cross_domain_failures_min < 2) {
    return refused("cross_domain_failures_min", config.cross_domain_failures_min, "at least 2");
  }
  if (config.cross_domain_window.count() < 1) {
    return refused("cross_domain_window", config.cross_domain_window.count(), "at least 1 s");
  }
  if (!(config.refire_factor > 1.0)) {
    return refused("refire_factor", config.refire_factor, "over 1");
  }
  if (config.outcomes_min < 1) return refused("outcomes_min", config.outcomes_min, "at least 1");
  if (!is_inner_share(config.precision_slack)) {
    return refused("precision_slack", config.precision_slack, "between 0 and 1");
  }
  if (!is_inner_share(config.step_share)) {
    return refused("step_share", config.step_share, "between 0 and 1");
  }
  if (config.playbooks_max < 1) {
    return refused("playbooks_max", config.playbooks_max, "at least 1");
  }
  if (config.failures_max < config.cross_domain_failures_min) {
    return refused("failures_max", config.failures_max, "at least cross_domain_failures_min");
  }
  return config;
}

void declare_adjustables(core::LearnedState& learned) {
  core::Adjustable shortfall;
  shortfall.name = "capacity.shortfall_min";
  shortfall.value = 0.10;
  shortfall.min = 0.05;
  shortfall.max = 0.25;
  shortfall.step_max = 0.01;
  shortfall.period_ns = core::kNsPerHour;
  learned.declare(std::move(shortfall));
}

std::unique_ptr<core::Subsystem> make_meta_loop(MetaLoopConfig config) {
  return std::make_unique<MetaLoop>(config);
}

}  // namespace grace::meta_loop
