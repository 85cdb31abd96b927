#include "grace/core/finding.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "grace/core/control.h"
#include "grace/core/outcome.h"
#include "grace/core/run.h"

namespace grace::core {
namespace {

TEST(TriggerTypes, AreTheTenOfTheDocumentWithTheirSources) {
  struct Row {
    TriggerType type;
    const char* source;
    const char* event_type;
    const char* trigger_type;
  };
  const Row rows[] = {
      {TriggerType::kDirective, "meta_loop", "meta_loop.directive", "directive"},
      {TriggerType::kSystemicIssue, "meta_loop", "meta_loop.systemic_issue", "systemic_issue"},
      {TriggerType::kAnomalyForecast, "proactive_ml", "proactive.anomaly_forecast",
       "ml_anomaly_forecast"},
      {TriggerType::kCapacityPrediction, "proactive_ml", "proactive.capacity_prediction",
       "ml_capacity_prediction"},
      {TriggerType::kRiskAssessment, "proactive_ml", "proactive.risk_assessment",
       "ml_risk_assessment"},
      {TriggerType::kDriftDetected, "proactive_ml", "proactive.drift_detected",
       "ml_drift_detected"},
      {TriggerType::kCrossDomainAlert, "agentic_spine", "agentic_spine.cross_domain_alert",
       "cross_domain_alert"},
      {TriggerType::kHealthDegradation, "agentic_spine", "agentic_spine.health_degradation",
       "health_degradation"},
      {TriggerType::kPatternDetected, "immutable_log", "immutable_log.pattern_detected",
       "pattern_detected"},
      {TriggerType::kAnomalySequence, "immutable_log", "immutable_log.anomaly_sequence",
       "anomaly_sequence"},
  };
  ASSERT_EQ(std::size(rows), kTriggerTypeCount);
  std::set<std::string_view> titles;
  for (const Row& row : rows) {
    EXPECT_EQ(to_string(source_of(row.type)), row.source);
    EXPECT_EQ(event_type_of(row.type), row.event_type);
    EXPECT_EQ(to_string(row.type), row.trigger_type);
    EXPECT_EQ(type_from_event_type(row.event_type), row.type);
    EXPECT_EQ(source_from(row.source), source_of(row.type));
    EXPECT_TRUE(titles.insert(title_of(row.type)).second) << title_of(row.type);
  }
  EXPECT_FALSE(type_from_event_type("proactive.unheard_of"));
  EXPECT_FALSE(type_from_event_type("directive")) << "a trigger type is no event type";
  EXPECT_FALSE(source_from(""));
}

TEST(Impact, ReadsItsNamesAndModerateAsMedium) {
  for (const Impact impact : {Impact::kLow, Impact::kMedium, Impact::kHigh, Impact::kCritical}) {
    EXPECT_EQ(impact_from(to_string(impact)), impact);
  }
  EXPECT_EQ(impact_from("moderate"), Impact::kMedium);
  EXPECT_FALSE(impact_from("High"));
  EXPECT_FALSE(impact_from(""));
}

TEST(MetricRole, IsReadFromTheWordsOfTheName) {
  struct Row {
    const char* name;
    MetricRole role;
  };
  for (const Row& row : {
           Row{"latency_ms", MetricRole::kLatency},
           Row{"request_duration_seconds", MetricRole::kLatency},
           Row{"health_check_latency_ms", MetricRole::kLatency},
           Row{"replication.lag", MetricRole::kLatency},
           Row{"error_rate", MetricRole::kErrors},
           Row{"rate_limit_errors", MetricRole::kErrors},
           Row{"HTTP_Errors_total", MetricRole::kErrors},
           Row{"cpu_usage.percent", MetricRole::kSaturation},
           Row{"memory-used", MetricRole::kSaturation},
           Row{"requests_rps", MetricRole::kDemand},
           Row{"throughput", MetricRole::kDemand},
           Row{"capacity_rps", MetricRole::kCapacity},
           Row{"memory_limit_bytes", MetricRole::kCapacity},
           Row{"health", MetricRole::kHealth},
           Row{"success_rate", MetricRole::kHealth},
           Row{"response_success_rate", MetricRole::kHealth},
           Row{"temperature", MetricRole::kOther},
           Row{"flags", MetricRole::kOther},           // ends in "lag" plus a letter
           Row{"cpus2load", MetricRole::kSaturation},  // a digit ends a word
           Row{"unhealthy", MetricRole::kOther},
           Row{"", MetricRole::kOther},
       }) {
    EXPECT_EQ(role_of_metric(row.name), row.role) << row.name;
  }
}

TEST(RunStates, ReadBackAndFollowTheDrawing) {
  std::size_t arrows = 0;
  for (std::size_t i = 0; i < kRunStateCount; ++i) {
    const auto from = static_cast<RunState>(i);
    EXPECT_EQ(run_state_from(to_string(from)), from);
    for (std::size_t j = 0; j < kRunStateCount; ++j) {
      const auto to = static_cast<RunState>(j);
      if (!is_legal_transition(from, to)) continue;
      ++arrows;
      EXPECT_NE(to, RunState::kProposed) << "nothing becomes proposed again";
      EXPECT_NE(from, to);
    }
  }
  EXPECT_EQ(arrows, 16U);
  EXPECT_TRUE(is_legal_transition(RunState::kFailed, RunState::kRollingBack));
  EXPECT_FALSE(is_legal_transition(RunState::kExpired, RunState::kExecuting));
  EXPECT_FALSE(is_legal_transition(RunState::kAwaitingApproval, RunState::kExecuting));
  EXPECT_FALSE(run_state_from("done"));
}

TEST(Controls, NamesReadBackAndRightsAreDisjoint) {
  for (int i = 1; i <= static_cast<int>(ControlKind::kLog); ++i) {
    const auto kind = static_cast<ControlKind>(i);
    EXPECT_EQ(control_from(to_string(kind)), kind);
    EXPECT_FALSE(is_internal(kind) && is_operator(kind));
  }
  EXPECT_EQ(control_from("format_disk"), ControlKind::kNone);
  EXPECT_TRUE(is_internal(ControlKind::kStepResult));
  EXPECT_TRUE(is_operator(ControlKind::kApprove));
  EXPECT_FALSE(is_operator(ControlKind::kFeedback));
}

TEST(Controls, WireFormIsOneLineWithTheirFields) {
  ControlEvent approve;
  approve.kind = ControlKind::kApprove;
  approve.ts_ns = 5;
  approve.actor = "alice";
  RunDecision decision;
  decision.run_id = "run-1";
  approve.body = decision;
  EXPECT_EQ(to_json_line(approve),
            R"({"ts":5,"kind":"control","control":"approve","actor":"alice","run_id":"run-1"})");
  ControlEvent result;
  result.kind = ControlKind::kStepResult;
  result.body = StepResult{"run-2", 1, true, false, 0, 12, "a\nb"};
  const std::string line = to_json_line(result);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_NE(line.find(R"("output_tail":"a\nb")"), std::string::npos) << line;
}

TEST(Outcomes, SayWhetherTheTriggerWasRight) {
  EXPECT_TRUE(is_right(OutcomeKind::kPrevented));
  EXPECT_FALSE(is_right(OutcomeKind::kForecastDidNot));
  EXPECT_EQ(to_string(OutcomeKind::kFeedbackWrong), "wrong");
  EXPECT_EQ(to_string(OutcomeKind::kVerifiedRun), "verified_run");
}

}  // namespace
}  // namespace grace::core
