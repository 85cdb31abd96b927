// The learning half of the founding document's scenarios 1 and 3, minute by minute: trigger manager
// and meta loop together, fed with what the detectors and the scheduler would say.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grace/core/time.h"
#include "grace/meta_loop/meta_loop.h"
#include "grace/pipeline/trigger_manager.h"

namespace grace::pipeline {
namespace {

using core::kNsPerMinute;
using core::RunState;

std::int64_t at(int hour, int minute) {
  return *core::parse_rfc3339("2025-01-15T00:00:00Z") + (hour * 60 + minute) * kNsPerMinute;
}

// The trigger manager and the meta loop, wired as the ordered stage wires them.
class Stage final : public core::RecordSink, public TriggerListener, public core::FindingSink {
 public:
  Stage() {
    topology_.upsert({"api_service", "core", {}});
    topology_.upsert({"api_cluster", "core", {}});
    meta_loop::declare_adjustables(learned);
    supervisor_ = subsystem_->make_ordered(core::OrderedContext{topology_, learned});
  }

  void append(const core::Record& record) override {
    transcript.push_back(core::format_rfc3339(record.ts_ns).substr(11, 5) + " " +
                         std::string(record.action) + " " + std::string(record.result));
    payloads.emplace_back(record.payload);
  }
  void on_trigger(const core::Trigger& trigger) override {
    last_trigger = trigger;
    supervisor_->on_trigger(trigger, *this);
  }
  void on_incident_ready(const core::Incident& incident) override { ready.push_back(incident); }
  void on_incident_update(const core::Incident&) override {}
  void on_outcome(const core::Outcome& outcome) override {
    supervisor_->on_outcome(outcome, *this);
  }
  void finding(core::Finding&& said) override { queue_.push_back(std::move(said)); }
  void observe(const core::Observation&) override {}

  void offer(core::Finding said) {
    manager.offer(std::move(said), sequence_, 0);
    sequence_ += 100;
  }
  void tick(std::int64_t now_ns) {
    manager.on_tick(now_ns);
    for (core::Finding& said : std::exchange(queue_, {})) offer(std::move(said));
  }
  void run(RunState state, const core::Incident& incident, std::int64_t now_ns) {
    core::PlaybookRun run;
    run.run_id = "run_1";
    run.incident_id = incident.incident_id;
    run.service = incident.service;
    run.playbook = incident.suggested_playbooks.at(0);
    run.state = state;
    run.changed_ts_ns = now_ns;
    manager.on_run(run);
    supervisor_->on_run(run, *this);
  }
  void bin(std::int64_t end_ns, std::string_view service, std::string_view name, double value,
           core::MetricRole role) {
    core::Observation observation;
    observation.ts_ns = end_ns;
    observation.order_key = static_cast<std::uint64_t>(role);
    observation.service = service;
    observation.name = name;
    observation.value = value;
    observation.role = role;
    manager.on_observation(observation);
  }
  [[nodiscard]] bool happened(std::string_view line) const {
    for (const std::string& each : transcript) {
      if (each == line) return true;
    }
    ADD_FAILURE() << "no '" << line << "' among:";
    for (const std::string& each : transcript) ADD_FAILURE() << each;
    return false;
  }

  core::LearnedState learned;
  std::vector<std::string> transcript;
  std::vector<std::string> payloads;
  std::vector<core::Incident> ready;
  core::Trigger last_trigger;

 private:
  core::Topology topology_;
  std::unique_ptr<core::Subsystem> subsystem_ = meta_loop::make_meta_loop();
  std::unique_ptr<core::OrderedDetector> supervisor_;
  std::vector<core::Finding> queue_;
  std::uint64_t sequence_ = 1000;

 public:
  TriggerManager manager{TriggerManagerConfig{},
                         TriggerManager::Wiring{topology_, learned, *this, *this}};
};

TEST(Scenarios, PreventedLatencySpikeRaisesTheWeightOfMl) {
  Stage stage;
  core::Finding forecast;
  forecast.type = core::TriggerType::kAnomalyForecast;
  forecast.service = "api_service";
  forecast.diagnosis_code = "latency_spike";
  forecast.what = "latency_ms";
  forecast.confidence = 0.87;
  forecast.suggested_playbooks = {"scale_up_instances", "warm_cache"};
  forecast.ts_ns = at(14, 0);
  forecast.predicted_ts_ns = at(14, 15);
  forecast.metadata = {{"range_low", "90"}, {"range_high", "210"}};
  stage.tick(at(14, 0));
  stage.offer(forecast);
  for (int minute = 1; minute <= 12; ++minute) {
    stage.bin(at(14, minute), "api_service", "latency_ms", minute < 3 ? 180.0 : 122.0,
              core::MetricRole::kLatency);
    stage.tick(at(14, minute));
    if (minute == 1) {
      ASSERT_EQ(stage.ready.size(), 1u);
    }
    if (minute == 2) stage.run(RunState::kExecuting, stage.ready[0], at(14, 2));
    if (minute == 3) stage.run(RunState::kSucceeded, stage.ready[0], at(14, 3));
  }
  EXPECT_TRUE(stage.happened("14:00 intelligent_trigger emitted"));
  EXPECT_TRUE(stage.happened("14:03 incident resolved"));
  EXPECT_TRUE(stage.happened("14:05 decision_outcome prevented"));
  EXPECT_TRUE(stage.happened("14:10 decision_weight raised"));
  EXPECT_GT(stage.learned.weight(core::Source::kProactiveMl), 1.0);
}

TEST(Scenarios, PreventedShortageMovesTheCapacityThreshold) {
  Stage stage;
  core::Finding shortage;
  shortage.type = core::TriggerType::kCapacityPrediction;
  shortage.service = "api_cluster";
  shortage.diagnosis_code = "capacity_shortage_predicted";
  shortage.what = "requests_rps";
  shortage.confidence = 0.82;
  shortage.suggested_playbooks = {"scale_up_instances"};
  shortage.ts_ns = at(11, 0);
  shortage.predicted_ts_ns = at(11, 15);
  shortage.metadata = {{"predicted_demand", "1450"}, {"capacity", "1000"}, {"shortfall", "0.31"}};
  stage.tick(at(11, 0));
  stage.offer(shortage);
  for (int minute = 1; minute <= 21; ++minute) {
    const std::int64_t now = at(11, minute);
    stage.bin(now, "api_cluster", "capacity_rps", minute < 3 ? 1000.0 : 1600.0,
              core::MetricRole::kCapacity);
    stage.bin(now, "api_cluster", "requests_rps", minute < 15 ? 970.0 + 32.0 * minute : 1450.0,
              core::MetricRole::kDemand);
    stage.tick(now);
    if (minute == 1) {
      ASSERT_EQ(stage.ready.size(), 1u);
    }
    if (minute == 2) stage.run(RunState::kExecuting, stage.ready[0], now);
    if (minute == 3) stage.run(RunState::kSucceeded, stage.ready[0], now);
  }
  EXPECT_TRUE(stage.happened("11:15 decision_outcome prevented"));
  EXPECT_TRUE(stage.happened("11:20 decision_weight raised"));
  EXPECT_TRUE(stage.happened("11:20 intelligent_trigger emitted"));
  ASSERT_EQ(stage.ready.size(), 2u) << "the directive's own incident";
  EXPECT_EQ(stage.ready[1].suggested_playbooks, std::vector<std::string>{"adjust_threshold"});
  const auto directive = directive_of(stage.last_trigger);
  ASSERT_TRUE(directive.has_value());
  ASSERT_TRUE(stage.learned.adjust(directive->parameter, directive->to, at(11, 21)));
  EXPECT_EQ(stage.learned.adjusted("capacity.shortfall_min", 0.0), 0.09);
}

}  // namespace
}  // namespace grace::pipeline
