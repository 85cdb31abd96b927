#include "grace/meta_loop/meta_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grace/core/time.h"
#include "grace/core/topology.h"

namespace grace::meta_loop {
namespace {

using core::kNsPerMinute;
using core::OutcomeKind;
using core::RunState;
using core::TriggerType;

constexpr std::int64_t kStart = 1'736'950'000 * core::kNsPerSecond;

class Findings final : public core::FindingSink {
 public:
  void finding(core::Finding&& finding) override { all.push_back(std::move(finding)); }
  void observe(const core::Observation&) override { FAIL() << "it observes nothing"; }
  std::vector<core::Finding> all;
};

class MetaLoopTest : public ::testing::Test {
 protected:
  MetaLoopTest() {
    topology.upsert({"api", "core", {}});
    topology.upsert({"trainer", "ml", {}});
    topology.upsert({"wiki", "knowledge", {}});
    topology.upsert({"cluster", "core", {}});
    declare_adjustables(learned);
    core::Adjustable minimum;
    minimum.name = "ml.min_confidence";
    minimum.value = 0.70;
    minimum.min = 0.55;
    minimum.max = 0.85;
    minimum.step_max = 0.02;
    minimum.period_ns = 6 * core::kNsPerHour;
    learned.declare(minimum);
  }

  void run(RunState state, std::string service = "api", std::string playbook = "restart_service") {
    core::PlaybookRun result;
    result.run_id = "run_" + std::to_string(++runs);
    result.incident_id = "incident_" + std::to_string(runs);
    result.playbook = std::move(playbook);
    result.service = std::move(service);
    result.diagnosis_code = "latency_spike";
    result.changed_ts_ns = kStart + runs * kNsPerMinute;
    core::Trigger trigger;
    trigger.source = core::Source::kProactiveMl;
    trigger.incident_id = result.incident_id;
    trigger.sequence = static_cast<std::uint64_t>(runs) * 100;
    trigger.created_ts_ns = result.changed_ts_ns;
    detector->on_trigger(trigger, findings);
    result.state = RunState::kExecuting;
    detector->on_run(result, findings);
    result.state = state;
    detector->on_run(result, findings);
    if (state != RunState::kFailed) return;
    for (const RunState later : {RunState::kRollingBack, RunState::kRolledBack}) {
      result.state = later;  // must not count a second time
      detector->on_run(result, findings);
    }
  }
  void runs_of(int successes, int failures, const std::string& playbook = "restart_service") {
    for (int i = 0; i < successes; ++i) run(RunState::kSucceeded, "api", playbook);
    for (int i = 0; i < failures; ++i) run(RunState::kFailed, "api", playbook);
  }
  // Settles a trigger of the source, teaching as the pipeline does.
  void settle(OutcomeKind kind, TriggerType type = TriggerType::kAnomalyForecast,
              std::int64_t minute = 0) {
    outcome(kind, type, minute);
    detector->on_outcome(last, findings);
  }
  void outcome(OutcomeKind kind, TriggerType type, std::int64_t minute) {
    last = {};
    last.trigger.source = core::source_of(type);
    last.trigger.trigger_id = "trigger";
    last.trigger.sequence = 77;
    last.trigger.finding.type = type;
    last.trigger.finding.service = "cluster";
    last.trigger.finding.diagnosis_code = "diagnosis";
    last.trigger.finding.confidence = last.trigger.confidence = 0.82;
    last.kind = kind;
    last.settled_ts_ns = kStart + minute * kNsPerMinute;
    last.weight = learned.learn(last.trigger, kind);
  }
  // Scenario 3: 1450 predicted over 1000, scaled to 1600, `demand` came.
  void prevented_capacity(double demand, double capacity_after = 1600.0, std::int64_t minute = 0) {
    outcome(OutcomeKind::kPrevented, TriggerType::kCapacityPrediction, minute);
    last.predicted_value = 1450.0;
    last.capacity_before = 1000.0;
    last.observed_value = demand;
    last.capacity_after = capacity_after;
    last.playbook = "scale_up_instances";
    detector->on_outcome(last, findings);
  }
  static std::string metadata(const core::Finding& finding, std::string_view key) {
    for (const auto& [name, json] : finding.metadata) {
      if (name == key) return json;
    }
    return "";
  }
  static bool says(const core::Finding& finding, std::string_view text) {
    return std::any_of(
        finding.reasoning.begin(), finding.reasoning.end(),
        [&](const std::string& reason) { return reason.find(text) != std::string::npos; });
  }

  int runs = 0;
  core::Topology topology;
  core::LearnedState learned;
  Findings findings;
  core::Outcome last;
  std::unique_ptr<core::Subsystem> subsystem = make_meta_loop(*validated(MetaLoopConfig{}));
  std::unique_ptr<core::OrderedDetector> detector =
      subsystem->make_ordered(core::OrderedContext{topology, learned});
};

TEST_F(MetaLoopTest, HasNoKeyedPart) {
  EXPECT_EQ(subsystem->source(), core::Source::kMetaLoop);
  EXPECT_EQ(subsystem->make_partition(0), nullptr);
}

TEST_F(MetaLoopTest, ThreeFailuresInFiveRunsAreNotYetConsistent) {
  runs_of(2, 3);
  EXPECT_TRUE(findings.all.empty()) << "60%, but its lower bound is far below 50%";
}

TEST_F(MetaLoopTest, NineFailuresInTenRunsAreASystemicIssue) {
  runs_of(1, 9);
  ASSERT_FALSE(findings.all.empty());
  const core::Finding& issue = findings.all.front();
  EXPECT_EQ(issue.type, TriggerType::kSystemicIssue);
  EXPECT_EQ(issue.diagnosis_code, "meta_loop_optimization");
  EXPECT_EQ(issue.what, "restart_service");
  EXPECT_EQ(issue.service, "api");
  EXPECT_EQ(issue.domain, "core");
  EXPECT_GT(issue.confidence, 0.85) << "able to pass META_LOOP_MIN_CONFIDENCE";
  EXPECT_LT(issue.confidence, 1.0);
  EXPECT_TRUE(says(issue, "Playbook 'restart_service' failing"));
  EXPECT_TRUE(says(issue, "% of time"));
  EXPECT_TRUE(says(issue, "Threshold adjustment needed"));
  EXPECT_EQ(issue.suggested_playbooks,
            (std::vector<std::string>{"adjust_threshold", "investigate_root_cause"}));
  EXPECT_EQ(metadata(issue, "parameter"), "\"ml.min_confidence\"") << "its runs answered ML";
  EXPECT_EQ(metadata(issue, "to"), "0.72");
  ASSERT_FALSE(issue.evidence.empty());
  EXPECT_EQ(issue.evidence[0].sequence % 100, 0u);
}

TEST_F(MetaLoopTest, FewerThanFiveRunsSayNothing) {
  runs_of(0, 4);
  EXPECT_TRUE(findings.all.empty());
  runs_of(0, 1);
  EXPECT_EQ(findings.all.size(), 1u);
}

TEST_F(MetaLoopTest, SpeaksAgainOnlyWhenFailuresDoubleOrAfterItWasOver) {
  runs_of(0, 5);
  ASSERT_EQ(findings.all.size(), 1u);
  runs_of(0, 4);
  EXPECT_EQ(findings.all.size(), 1u);
  runs_of(0, 1);
  EXPECT_EQ(findings.all.size(), 2u) << "ten failures";
  runs_of(12, 0);  // it works again
  const std::size_t before = findings.all.size();
  runs_of(0, 3);
  EXPECT_EQ(findings.all.size(), before) << "13 of 25: not consistent any more";
}

TEST_F(MetaLoopTest, SuccessBelowItsBaselineIsAnIssueThoughMostRunsSucceeded) {
  runs_of(40, 0);
  for (int i = 0; i < 2; ++i) {
    runs_of(1, 0);
    runs_of(0, 4);
  }
  ASSERT_FALSE(findings.all.empty());
  EXPECT_TRUE(says(findings.all[0], "Success rate of 'restart_service' dropped from 100%"));
  EXPECT_FALSE(says(findings.all[0], "failing"));
  EXPECT_GT(findings.all[0].confidence, 0.9);
}

TEST_F(MetaLoopTest, TheSameFailureAcrossDomainsIsCorrelated) {
  run(RunState::kFailed, "api", "one");
  run(RunState::kFailed, "trainer", "two");
  EXPECT_TRUE(findings.all.empty());
  run(RunState::kFailed, "wiki", "three");
  ASSERT_EQ(findings.all.size(), 1u);
  EXPECT_TRUE(says(findings.all[0], "Cross-domain correlation detected"));
  EXPECT_EQ(metadata(findings.all[0], "affected_domains"), "[\"core\",\"knowledge\",\"ml\"]");
  EXPECT_EQ(findings.all[0].impact, core::Impact::kHigh);
  run(RunState::kFailed, "api", "four");
  EXPECT_EQ(findings.all.size(), 1u) << "not again for one more";
}

TEST_F(MetaLoopTest, FailuresInOneDomainAreNoCorrelation) {
  for (const char* playbook : {"one", "two", "three", "four"}) {
    run(RunState::kFailed, "api", playbook);
  }
  EXPECT_TRUE(findings.all.empty());
}

TEST_F(MetaLoopTest, ItsOwnPlaybookIsNotJudged) {
  runs_of(0, 20, "adjust_threshold");
  EXPECT_TRUE(findings.all.empty());
}

TEST_F(MetaLoopTest, PreventedShortageLowersTheShortfallThreshold) {
  run(RunState::kSucceeded, "cluster", "scale_up_instances");
  prevented_capacity(1460.0);
  ASSERT_EQ(findings.all.size(), 1u);
  const core::Finding& directive = findings.all[0];
  EXPECT_EQ(directive.type, TriggerType::kDirective);
  EXPECT_EQ(directive.service, "cluster");
  EXPECT_EQ(directive.what, "capacity.shortfall_min");
  EXPECT_EQ(metadata(directive, "parameter"), "\"capacity.shortfall_min\"");
  EXPECT_EQ(metadata(directive, "from"), "0.1");
  EXPECT_EQ(metadata(directive, "to"), "0.09");
  EXPECT_NE(metadata(directive, "expected_gain"), "");
  EXPECT_GE(directive.confidence, 0.85) << "three good confirmations pass the minimum";
  EXPECT_LT(directive.confidence, 0.97);
  EXPECT_TRUE(says(directive, "Proactive scaling prevented incident"));
  EXPECT_TRUE(says(directive, "No saturation"));
  EXPECT_EQ(directive.suggested_playbooks, std::vector<std::string>{"adjust_threshold"});
}

TEST_F(MetaLoopTest, PoorConfirmationsGiveADirectiveThatCannotAct) {
  run(RunState::kSucceeded, "cluster", "scale_up_instances");
  prevented_capacity(1120.0, 1130.0);  // far below the forecast, and no room left
  ASSERT_EQ(findings.all.size(), 1u);
  EXPECT_LT(findings.all[0].confidence, 0.85);
}

TEST_F(MetaLoopTest, OneStepAPeriodWhetherItIsFollowedOrNot) {
  run(RunState::kSucceeded, "cluster", "scale_up_instances");
  prevented_capacity(1460.0, 1600.0, 0);
  prevented_capacity(1460.0, 1600.0, 30);
  EXPECT_EQ(findings.all.size(), 1u) << "an hour has not passed";
  prevented_capacity(1460.0, 1600.0, 60);
  EXPECT_EQ(findings.all.size(), 2u);
  ASSERT_TRUE(learned.adjust("capacity.shortfall_min", 0.09, kStart + 119 * kNsPerMinute));
  prevented_capacity(1460.0, 1600.0, 121);
  EXPECT_EQ(findings.all.size(), 2u) << "moved two minutes ago";
}

TEST_F(MetaLoopTest, NothingIsAskedForBeyondTheBounds) {
  for (std::int64_t hour = 0; hour < 10; ++hour) {
    static_cast<void>(learned.adjust("capacity.shortfall_min", 0.0, hour * core::kNsPerHour));
  }
  ASSERT_EQ(learned.adjusted("capacity.shortfall_min", 0.0), 0.05);
  prevented_capacity(1460.0);
  EXPECT_TRUE(findings.all.empty());
}

TEST_F(MetaLoopTest, ShortagesThatDoNotComeRaiseTheThreshold) {
  settle(OutcomeKind::kForecastDidNot, TriggerType::kCapacityPrediction, 0);
  ASSERT_EQ(findings.all.size(), 1u);
  EXPECT_LT(findings.all[0].confidence, 0.85) << "one is no pattern";
  settle(OutcomeKind::kForecastDidNot, TriggerType::kCapacityPrediction, 61);
  settle(OutcomeKind::kForecastDidNot, TriggerType::kCapacityPrediction, 122);
  ASSERT_EQ(findings.all.size(), 3u);
  EXPECT_GT(findings.all[2].confidence, 0.85);
  EXPECT_EQ(metadata(findings.all[2], "to"), "0.11");
}

TEST_F(MetaLoopTest, AnImpreciseSourceGetsAHigherMinimum) {
  for (int i = 0; i < 9; ++i) settle(OutcomeKind::kForecastDidNot);
  EXPECT_TRUE(findings.all.empty()) << "fewer than ten outcomes";
  settle(OutcomeKind::kForecastDidNot);
  ASSERT_EQ(findings.all.size(), 1u);
  EXPECT_EQ(findings.all[0].what, "ml.min_confidence");
  EXPECT_EQ(metadata(findings.all[0], "to"), "0.72");
  EXPECT_TRUE(says(findings.all[0], "proactive_ml triggers are right 0% of time"));
  for (int i = 0; i < 9; ++i) settle(OutcomeKind::kForecastDidNot);
  EXPECT_EQ(findings.all.size(), 1u) << "ten more outcomes before the next";
}

TEST_F(MetaLoopTest, APreciseSourceGetsALowerMinimum) {
  for (int i = 0; i < 30; ++i) settle(OutcomeKind::kForecastCameTrue);
  ASSERT_FALSE(findings.all.empty());
  EXPECT_EQ(metadata(findings.all[0], "to"), "0.68");
  EXPECT_GE(findings.all[0].confidence, 0.9);
}

TEST_F(MetaLoopTest, ASourceThatIsAsGoodAsItSaysIsLeftAlone) {
  for (int i = 0; i < 100; ++i) {
    settle(i % 4 == 0 ? OutcomeKind::kForecastDidNot : OutcomeKind::kForecastCameTrue);
  }
  EXPECT_TRUE(findings.all.empty());
}

TEST_F(MetaLoopTest, PlaybooksAreBoundedAndTheRestIsCounted) {
  MetaLoopConfig config;
  config.playbooks_max = 2;
  const auto small = make_meta_loop(config);
  detector = small->make_ordered(core::OrderedContext{topology, learned});
  for (const char* playbook : {"a", "b", "c"}) runs_of(1, 0, playbook);
  EXPECT_EQ(detector->evicted_count(), 1u);
}

TEST_F(MetaLoopTest, ValidatorNamesTheField) {
  MetaLoopConfig config;
  config.recent_runs = 64;
  const auto refused = validated(config);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("recent_runs = 64"), std::string::npos);
}

}  // namespace
}  // namespace grace::meta_loop
