#include "grace/correlate/outcome_tracker.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "grace/core/time.h"

namespace grace::correlate {
namespace {

using core::kNsPerMinute;
using core::kNsPerSecond;
using core::OutcomeKind;
using core::TriggerType;

constexpr std::int64_t kStart = 1'736'950'000 * kNsPerSecond;

std::int64_t at_minute(double minute) {
  return kStart + static_cast<std::int64_t>(minute * 60.0) * kNsPerSecond;
}

struct Written {
  std::string actor, action, resource, result, payload;
};

class Records final : public core::RecordSink {
 public:
  void append(const core::Record& record) override {
    written.push_back({std::string(record.actor), std::string(record.action),
                       std::string(record.resource), std::string(record.result),
                       std::string(record.payload)});
  }
  std::vector<Written> written;
};

class OutcomeTrackerTest : public ::testing::Test {
 protected:
  static core::Trigger trigger(TriggerType type, std::string service, double confidence = 0.87) {
    core::Trigger result;
    result.source = core::source_of(type);
    result.finding.type = type;
    result.finding.service = std::move(service);
    result.finding.diagnosis_code = "diagnosis";
    result.finding.confidence = result.confidence = confidence;
    result.created_ts_ns = result.finding.ts_ns = kStart;
    result.trigger_id = std::string(core::to_string(type)) + "_id";
    result.incident_id = "incident_1";
    return result;
  }
  // Latency of api leaves 80..210 in 15 minutes.
  static core::Trigger latency_forecast() {
    core::Trigger result = trigger(TriggerType::kAnomalyForecast, "api");
    result.finding.what = "latency_ms";
    result.finding.predicted_ts_ns = at_minute(15);
    result.finding.metadata = {
        {"range_low", "80"}, {"range_high", "210.0"}, {"predicted_value", "260"}};
    return result;
  }
  // 1450 wanted, 1000 there, in 15 minutes.
  static core::Trigger capacity_forecast() {
    core::Trigger result = trigger(TriggerType::kCapacityPrediction, "cluster", 0.82);
    result.finding.what = "requests_rps";
    result.finding.predicted_ts_ns = at_minute(15);
    result.finding.metadata = {{"predicted_demand", "1450"}, {"capacity", "1000"}};
    return result;
  }
  void observe(double minute, std::string_view service, std::string_view name, double value,
               core::MetricRole role, std::uint64_t series = 1, double deviation = 0.0) {
    core::Observation observation;
    observation.ts_ns = at_minute(minute);
    observation.order_key = series;
    observation.service = service;
    observation.name = name;
    observation.value = value;
    observation.role = role;
    observation.deviation = deviation;
    observation.warm = true;
    tracker.on_observation(observation);
  }
  void latency(double minute, double value, std::uint64_t series = 1) {
    observe(minute, "api", "latency_ms", value, core::MetricRole::kLatency, series);
  }
  void demand(double minute, double value) {
    observe(minute, "cluster", "requests_rps", value, core::MetricRole::kDemand, 1);
  }
  void capacity(double minute, double value) {
    observe(minute, "cluster", "capacity_rps", value, core::MetricRole::kCapacity, 2);
  }
  void tick(double minute) { tracker.on_tick(at_minute(minute), outcomes); }
  core::PlaybookRun run(double minute, core::RunState state, std::string service = "api",
                        std::string playbook = "scale_up_instances") {
    core::PlaybookRun result;
    result.run_id = "run_1";
    result.incident_id = "incident_1";
    result.playbook = std::move(playbook);
    result.service = std::move(service);
    result.state = state;
    result.changed_ts_ns = at_minute(minute);
    tracker.on_run(result, at_minute(minute), outcomes);
    return result;
  }
  [[nodiscard]] std::vector<Written> written(std::string_view action) const {
    std::vector<Written> found;
    for (const Written& record : records.written) {
      if (record.action == action) found.push_back(record);
    }
    return found;
  }

  core::LearnedState learned;
  Records records;
  OutcomeTracker tracker{OutcomeConfig{}, learned, records};
  std::vector<core::Outcome> outcomes;
};

TEST_F(OutcomeTrackerTest, ForecastComesTrueWhenTheNamedRangeIsLeft) {
  tracker.on_trigger(latency_forecast());
  latency(5, 180);
  tick(5);
  EXPECT_TRUE(outcomes.empty());
  latency(9, 215);
  tick(9);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kForecastCameTrue);
  EXPECT_EQ(outcomes[0].observed_value, 215.0);
  EXPECT_EQ(outcomes[0].weight.counted, 1.0);
  EXPECT_GT(learned.weight(core::Source::kProactiveMl), 1.0);
  EXPECT_EQ(tracker.pending_count(), 0u);
}

TEST_F(OutcomeTrackerTest, ForecastThatDidNotComeIsAFalsePositive) {
  tracker.on_trigger(latency_forecast());
  for (int minute = 1; minute <= 16; ++minute) latency(minute, 130);
  tick(15.9);
  EXPECT_TRUE(outcomes.empty()) << "the grace period is not over";
  tick(16);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kForecastDidNot);
  EXPECT_LT(learned.weight(core::Source::kProactiveMl), 1.0);
  EXPECT_EQ(learned.reliability(core::Source::kProactiveMl).false_positives, 1u);
}

TEST_F(OutcomeTrackerTest, WhatComesAfterTheDeadlineIsAnotherMatter) {
  tracker.on_trigger(latency_forecast());
  latency(14, 130);
  latency(16.5, 400);
  tick(17);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kForecastDidNot);
}

TEST_F(OutcomeTrackerTest, ASilentSeriesTeachesNothing) {
  tracker.on_trigger(latency_forecast());
  latency(2, 130);  // and then nothing near the time named
  tick(30);
  EXPECT_TRUE(outcomes.empty());
  EXPECT_EQ(tracker.unknown_count(), 1u);
  EXPECT_EQ(tracker.pending_count(), 0u);
  EXPECT_TRUE(records.written.empty());
}

TEST_F(OutcomeTrackerTest, PreventedIsNotedThenConfirmedAndCountsHalf) {
  tracker.on_trigger(latency_forecast());
  latency(1, 175);
  run(2, core::RunState::kExecuting);
  run(3, core::RunState::kSucceeded);
  latency(4, 125);
  tick(4.9);
  EXPECT_TRUE(records.written.empty());
  latency(5, 121);
  tick(5);
  ASSERT_EQ(records.written.size(), 1u);
  EXPECT_EQ(records.written[0].action, "decision_outcome");
  EXPECT_EQ(records.written[0].actor, "meta_loop");
  EXPECT_EQ(records.written[0].result, "prevented");
  EXPECT_NE(records.written[0].payload.find("ML prediction prevented incident"), std::string::npos);
  EXPECT_TRUE(outcomes.empty()) << "noted, not yet learned from";
  EXPECT_EQ(learned.weight(core::Source::kProactiveMl), 1.0);
  for (int minute = 6; minute <= 10; ++minute) latency(minute, 122);
  tick(10);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kPrevented);
  EXPECT_EQ(outcomes[0].weight.counted, 0.5);
  EXPECT_EQ(outcomes[0].playbook, "scale_up_instances");
  const auto weights = written("decision_weight");
  ASSERT_EQ(weights.size(), 1u);
  EXPECT_EQ(weights[0].resource, "proactive_ml");
  EXPECT_EQ(weights[0].result, "raised");
  EXPECT_NE(weights[0].payload.find("\"from\":1,"), std::string::npos);
  EXPECT_GT(learned.weight(core::Source::kProactiveMl), 1.0);
}

TEST_F(OutcomeTrackerTest, WhatComesBackBeforeConfirmationCameTrueAfterAll) {
  tracker.on_trigger(latency_forecast());
  latency(1, 175);
  run(3, core::RunState::kSucceeded);
  latency(5, 121);
  tick(5);
  ASSERT_EQ(records.written.size(), 1u);
  latency(7, 230);
  tick(7);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kForecastCameTrue);
}

TEST_F(OutcomeTrackerTest, ARunStillAtWorkPostponesTheVerdict) {
  tracker.on_trigger(latency_forecast());
  for (int minute = 1; minute <= 15; ++minute) latency(minute, 180);
  run(15, core::RunState::kVerifying);
  tick(16);
  EXPECT_TRUE(outcomes.empty());
  EXPECT_EQ(tracker.pending_count(), 1u);
  run(18, core::RunState::kFailed);
  tick(18);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kForecastDidNot);
}

TEST_F(OutcomeTrackerTest, ASecondSeriesOfThatNameIsNotTheForecastOne) {
  tracker.on_trigger(latency_forecast());
  latency(1, 130, /*series=*/1);
  latency(1, 900, /*series=*/2);  // another host that always lives up there
  for (int minute = 2; minute <= 16; ++minute) {
    latency(minute, 130, 1);
    latency(minute, 900, 2);
  }
  tick(16);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kForecastDidNot);
}

TEST_F(OutcomeTrackerTest, WithoutARangeTheDeviationDecides) {
  core::Trigger forecast = latency_forecast();
  forecast.finding.metadata.clear();
  tracker.on_trigger(forecast);
  observe(5, "api", "latency_ms", 150, core::MetricRole::kLatency, 1, 2.9);
  tick(5);
  EXPECT_TRUE(outcomes.empty());
  observe(6, "api", "latency_ms", 160, core::MetricRole::kLatency, 1, 3.1);
  tick(6);
  EXPECT_EQ(outcomes.size(), 1u);
}

TEST_F(OutcomeTrackerTest, CapacityIsPreventedWhenDemandCameAndFound) {
  tracker.on_trigger(capacity_forecast());
  capacity(1, 1000);
  demand(1, 960);
  demand(2, 1010);  // over the old capacity while the action is under way
  tick(2);
  EXPECT_TRUE(outcomes.empty()) << "judged at the time named";
  run(3, core::RunState::kSucceeded, "cluster");
  capacity(4, 1600);
  for (int minute = 4; minute <= 15; ++minute) demand(minute, 1000 + 30 * minute);
  tick(14.9);
  EXPECT_TRUE(records.written.empty());
  tick(15);
  ASSERT_EQ(records.written.size(), 1u);
  EXPECT_NE(records.written[0].payload.find("Proactive scaling prevented incident"),
            std::string::npos);
  EXPECT_EQ(records.written[0].result, "prevented");
  demand(18, 1460);
  tick(20);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kPrevented);
  EXPECT_EQ(outcomes[0].predicted_value, 1450.0);
  EXPECT_EQ(outcomes[0].observed_value, 1460.0);
  EXPECT_EQ(outcomes[0].capacity_before, 1000.0);
  EXPECT_EQ(outcomes[0].capacity_after, 1600.0);
}

TEST_F(OutcomeTrackerTest, ScalingForDemandThatNeverCameWasWrong) {
  tracker.on_trigger(capacity_forecast());
  run(3, core::RunState::kSucceeded, "cluster");
  capacity(4, 1600);
  for (int minute = 4; minute <= 16; ++minute) demand(minute, 900);
  tick(16);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kForecastDidNot);
}

TEST_F(OutcomeTrackerTest, UnansweredShortageComesTrueAtItsTime) {
  tracker.on_trigger(capacity_forecast());
  capacity(1, 1000);
  for (int minute = 1; minute <= 15; ++minute) demand(minute, 1000 + 30 * minute);
  tick(15);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kForecastCameTrue);
}

TEST_F(OutcomeTrackerTest, AShortageReadFromUtilisationIsJudgedByUtilisation) {
  core::Trigger forecast = capacity_forecast();
  forecast.finding.what = "cpu_percent";
  forecast.finding.metadata = {{"predicted_demand", "112"}, {"capacity", "100"}};
  tracker.on_trigger(forecast);
  run(3, core::RunState::kSucceeded, "cluster");
  demand(4, 900);  // requests are no percentages
  observe(6, "cluster", "cpu_percent", 61, core::MetricRole::kSaturation, 5);
  tick(6);
  ASSERT_EQ(records.written.size(), 1u);
  EXPECT_EQ(records.written[0].result, "prevented");
  tick(11);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kPrevented);
}

TEST_F(OutcomeTrackerTest, SeveralSeriesOfDemandAddUp) {
  tracker.on_trigger(capacity_forecast());
  observe(15, "cluster", "requests_rps", 600, core::MetricRole::kDemand, 1);
  tick(15);
  EXPECT_TRUE(outcomes.empty());
  observe(15, "cluster", "requests_rps", 700, core::MetricRole::kDemand, 3);
  tick(15);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].observed_value, 1300.0);
}

TEST_F(OutcomeTrackerTest, AVerifiedRunCreditsEachSourceOnceWithItsStrongest) {
  core::Trigger log = trigger(TriggerType::kPatternDetected, "auth", 0.81);
  core::Trigger surer = trigger(TriggerType::kAnomalySequence, "auth", 0.88);
  core::Trigger spine = trigger(TriggerType::kHealthDegradation, "auth", 0.85);
  for (const core::Trigger& each : {log, surer, spine}) tracker.on_trigger(each);
  run(1, core::RunState::kFailed, "auth", "rollback_flag");
  EXPECT_TRUE(outcomes.empty()) << "a failed run speaks against the playbook";
  run(2, core::RunState::kSucceeded, "auth", "rollback_flag");
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[0].trigger.trigger_id, surer.trigger_id);
  EXPECT_EQ(outcomes[1].trigger.source, core::Source::kAgenticSpine);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kVerifiedRun);
  const auto decisions = written("decision_outcome");
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[0].actor, "immutable_log");
  EXPECT_EQ(decisions[1].actor, "agentic_spine");
  EXPECT_EQ(written("decision_weight").size(), 2u);
  run(3, core::RunState::kSucceeded, "auth", "rollback_flag");
  EXPECT_EQ(outcomes.size(), 2u) << "once";
}

TEST_F(OutcomeTrackerTest, DiagnosticsAndAdjustmentsProveNothing) {
  tracker.on_trigger(trigger(TriggerType::kSystemicIssue, "auth"));
  run(1, core::RunState::kSucceeded, "auth", "adjust_threshold");
  core::PlaybookRun diagnostic = run(1, core::RunState::kProposed, "auth");
  diagnostic.state = core::RunState::kSucceeded;
  diagnostic.diagnostic = true;
  tracker.on_run(diagnostic, at_minute(2), outcomes);
  EXPECT_TRUE(outcomes.empty());
}

TEST_F(OutcomeTrackerTest, ResolvedIncidentSettlesNothingLater) {
  tracker.on_trigger(trigger(TriggerType::kHealthDegradation, "auth"));
  tracker.on_incident_resolved("incident_1");
  run(2, core::RunState::kSucceeded, "auth");
  EXPECT_TRUE(outcomes.empty());
}

TEST_F(OutcomeTrackerTest, FeedbackSettlesAtOnceAndEndsTheWaiting) {
  const core::Trigger forecast = latency_forecast();
  tracker.on_trigger(forecast);
  tracker.on_feedback(forecast, false, "alice", "planned load test", at_minute(1), outcomes);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kFeedbackWrong);
  ASSERT_EQ(written("decision_feedback").size(), 1u);
  EXPECT_EQ(written("decision_feedback")[0].actor, "alice");
  EXPECT_NE(written("decision_feedback")[0].payload.find("planned load test"), std::string::npos);
  EXPECT_EQ(tracker.pending_count(), 0u);
}

TEST_F(OutcomeTrackerTest, WeakForecastsSettleAtHalfWeightAndWeakAlarmsNever) {
  core::Trigger forecast = latency_forecast();
  forecast.weak = true;
  tracker.on_trigger(forecast);
  core::Trigger alarm = trigger(TriggerType::kHealthDegradation, "api");
  alarm.weak = true;
  tracker.on_trigger(alarm);
  latency(1, 130);
  latency(2, 230);
  tick(2);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].weight.counted, 0.5);
  run(3, core::RunState::kSucceeded);
  EXPECT_EQ(outcomes.size(), 1u);
}

TEST_F(OutcomeTrackerTest, WaitingForecastsAreBounded) {
  OutcomeConfig small;
  small.pending_max = 2;
  OutcomeTracker bounded(small, learned, records);
  for (int i = 0; i < 5; ++i) bounded.on_trigger(latency_forecast());
  EXPECT_EQ(bounded.pending_count(), 2u);
  EXPECT_EQ(bounded.evicted_count(), 3u);
}

TEST_F(OutcomeTrackerTest, MetadataIsReadStrictly) {
  core::Finding finding;
  finding.metadata = {{"a", "1.5"},      {"b", "\"1.5\""},         {"c", "1.5x"}, {"d", "null"},
                      {"e", "\"text\""}, {"f", "\"es\\\"caped\""}, {"g", "1e400"}};
  EXPECT_EQ(metadata_number(finding, "a"), 1.5);
  for (const char* key : {"b", "c", "d", "g", "absent"}) {
    EXPECT_FALSE(metadata_number(finding, key).has_value()) << key;
  }
  EXPECT_EQ(metadata_text(finding, "e"), "text");
  EXPECT_EQ(metadata_text(finding, "a"), "");
  EXPECT_EQ(metadata_text(finding, "f"), "");
}

}  // namespace
}  // namespace grace::correlate
