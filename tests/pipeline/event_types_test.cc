// Every one of the ten event types: found by the engine's own detectors in raw telemetry, and
// accepted from an upstream subsystem as a mesh event.
#include <array>

#include "engine_fixture.h"
#include "stream.h"

namespace grace::testing {
namespace {

using core::TriggerType;

std::vector<LedgerEntry> ledger_of(const std::string& text, RunOptions options = {}) {
  const TemporaryDirectory directory;
  options.ledger = directory / "ledger";
  const tools::Summary summary = run_stream(text, options);
  EXPECT_EQ(summary.counts.rejected_total(), 0U);
  EXPECT_GT(summary.counts.accepted, 0U);
  const std::vector<LedgerEntry> entries = read_ledger(options.ledger);
  EXPECT_EQ(entries.size(), summary.record_count);
  return entries;
}

// ---------------------------------------------------------------------------------------------
// From raw telemetry

// The stream must make an own detector emit a trigger of this type about this service.
void expect_found(const std::string& text, TriggerType type, std::string_view service,
                  std::string_view diagnosis, RunOptions options = {}) {
  ASSERT_EQ(text.find("\"event_type\""), std::string::npos) << "no mesh event may help";
  const std::vector<LedgerEntry> entries = ledger_of(text, std::move(options));
  std::size_t found = 0;
  for (const LedgerEntry& entry : of_action(entries, "intelligent_trigger")) {
    const parse::JsonValue& payload = entry.payload();
    if (payload["trigger_type"].as_string() != core::to_string(type)) continue;
    if (entry.at("resource") != service || entry.at("result") != "emitted") continue;
    if (payload["diagnosis_code"].as_string() != diagnosis) continue;
    ++found;
    EXPECT_EQ(entry.at("actor"), core::to_string(core::source_of(type)));
    EXPECT_EQ(payload["source"].as_string(), core::to_string(core::source_of(type)));
    EXPECT_EQ(payload["service"].as_string(), service);
    EXPECT_GE(payload["confidence"].as_double(), 0.70) << entry.text;
    EXPECT_LT(payload["confidence"].as_double(), 1.0) << entry.text;
    EXPECT_FALSE(payload["reasoning"].array().empty()) << entry.text;
    EXPECT_FALSE(payload["suggested_playbooks"].array().empty()) << entry.text;
    EXPECT_FALSE(payload["incident_id"].as_string().empty()) << entry.text;
    // Its evidence points at lines of this input.
    EXPECT_FALSE(payload["evidence"].array().empty()) << entry.text;
    for (const parse::JsonValue& evidence : payload["evidence"].array()) {
      const std::uint64_t at = evidence["sequence"].as_uint64();
      ASSERT_LT(at, text.size());
      EXPECT_TRUE(at == 0 || text[at - 1] == '\n') << "not the begin of a line: " << entry.text;
    }
  }
  EXPECT_GE(found, 1U) << core::to_string(type) << " of " << service << "; "
                       << triggers_told(entries);
}

std::string scenario(std::string_view profile) {
  tools::GeneratorOptions options;
  options.profile = profile;
  return generate_stream(options);
}

TEST(RawTelemetry, AnomalyForecastOfAClimbingLatency) {
  expect_found(scenario("scenario-1"), TriggerType::kAnomalyForecast, "api_service",
               "latency_spike");
}

TEST(RawTelemetry, CapacityPredictionOfRisingDemand) {
  expect_found(scenario("scenario-3"), TriggerType::kCapacityPrediction, "api_cluster",
               "capacity_shortage_predicted");
}

TEST(RawTelemetry, PatternDetectedInRecurringErrors) {
  expect_found(scenario("scenario-2"), TriggerType::kPatternDetected, "auth_service",
               "recurring_error");
}

TEST(RawTelemetry, HealthDegradationOfAFailingService) {
  expect_found(scenario("scenario-2"), TriggerType::kHealthDegradation, "auth_service",
               "health_degradation");
}

TEST(RawTelemetry, DriftOfAStandingShift) {
  Stream stream;
  tools::Random random(7);
  stream.topology("api", "core");
  for (int minute = 0; minute < 300; ++minute, stream.pass(kNsPerMinute)) {
    stream.metric("api", "core", "latency_ms", (minute < 240 ? 100.0 : 145.0) + random.normal());
  }
  expect_found(stream.text(), TriggerType::kDriftDetected, "api", "performance_drift");
}

TEST(RawTelemetry, RiskOfADeployWithErrorsAndASlowDependency) {
  Stream stream;
  tools::Random random(11);
  stream.topology("db", "data").topology("web", "edge", R"(["db"])");
  for (int minute = 0; minute < 140; ++minute, stream.pass(kNsPerMinute)) {
    if (minute == 118) {
      stream.control("deploy", {{"service", R"("web")"}, {"version", R"("v2")"}});
    }
    const bool bad = minute >= 120;
    stream.metric("db", "data", "latency_ms", (bad ? 30.0 : 20.0) + 0.2 * random.normal());
    stream.metric("web", "edge", "error_rate", (bad ? 0.10 : 0.02) + 0.001 * random.normal());
    stream.metric("web", "edge", "latency_ms", 100.0 + random.normal());
  }
  expect_found(stream.text(), TriggerType::kRiskAssessment, "web", "elevated_risk");
}

struct Component {
  std::string_view name, domain, action, failure;
};
constexpr std::array<Component, 4> kChain{{{"database", "data", "query", "error"},
                                           {"reflection", "knowledge", "generate", "error"},
                                           {"task_executor", "ml", "execute", "failed"},
                                           {"trigger_mesh", "temporal", "publish", "blocked"}}};

void chain_topology(Stream& stream) {
  stream.topology("database", "data")
      .topology("reflection", "knowledge", R"(["database"])")
      .topology("task_executor", "ml", R"(["reflection"])")
      .topology("trigger_mesh", "temporal", R"(["task_executor"])");
}

void chain_works(Stream& stream, std::int64_t duration_ns, std::size_t failing_count = 0) {
  const std::int64_t end_ns = stream.now_ns + duration_ns;
  for (; stream.now_ns < end_ns; stream.pass(5 * kNsPerSecond)) {
    for (std::size_t i = 0; i < kChain.size(); ++i) {
      stream.action(kChain[i].name, kChain[i].action, kChain[i].name, kChain[i].domain,
                    i < failing_count ? kChain[i].failure : "success");
    }
  }
}

TEST(RawTelemetry, AnomalySequenceOfACascadeOfErrors) {
  Stream stream;
  chain_topology(stream);
  chain_works(stream, kNsPerHour);
  for (const Component& component : kChain) {
    stream.action(component.name, component.action, component.name, component.domain,
                  component.failure);
    stream.pass(3 * kNsPerSecond);
  }
  chain_works(stream, 5 * kNsPerMinute);
  expect_found(stream.text(), TriggerType::kAnomalySequence, "database", "error_cascade");
}

TEST(RawTelemetry, CrossDomainAlertOfAnIllnessThatSpreads) {
  Stream stream;
  chain_topology(stream);
  chain_works(stream, kNsPerHour);
  chain_works(stream, kNsPerMinute, 1);
  chain_works(stream, 2 * kNsPerMinute, 2);
  expect_found(stream.text(), TriggerType::kCrossDomainAlert, "database", "cross_domain_cascade");
}

TEST(RawTelemetry, SystemicIssueOfAPlaybookThatKeepsFailing) {
  Stream stream;
  stream.topology("api", "core").topology("db", "core");
  // Somebody else runs the playbook, again and again, and tells how it went.
  for (int attempt = 0; attempt < 10; ++attempt) {
    const std::int64_t end_ns = stream.now_ns + 15 * kNsPerMinute;
    for (; stream.now_ns < end_ns; stream.pass(5 * kNsPerSecond)) {
      stream.action("api", "serve", "api", "core", "success");
    }
    stream.outcome("api", "restart_service", attempt == 4);
  }
  stream.pass(kNsPerMinute);
  stream.action("api", "serve", "api", "core", "success");
  ASSERT_EQ(stream.text().find("\"event_type\""), std::string::npos);
  const std::vector<LedgerEntry> entries = ledger_of(stream.text());
  const auto outcomes = of_action(entries, "decision_outcome");
  ASSERT_EQ(outcomes.size(), 10U);
  EXPECT_EQ(outcomes[0].at("result"), "failed");
  EXPECT_EQ(outcomes[4].at("result"), "succeeded");
  EXPECT_EQ(outcomes[0].at("actor"), "alice");
  std::size_t found = 0;
  for (const LedgerEntry& entry : of_action(entries, "intelligent_trigger")) {
    if (entry.payload()["trigger_type"].as_string() != "systemic_issue") continue;
    ++found;
    EXPECT_EQ(entry.at("result"), "emitted") << entry.text;
    EXPECT_EQ(entry.at("actor"), "meta_loop");
    EXPECT_EQ(entry.at("resource"), "api");
    EXPECT_EQ(entry.payload()["metadata"]["playbook"].as_string(), "restart_service");
    EXPECT_GE(entry.payload()["confidence"].as_double(), 0.85);
    EXPECT_FALSE(entry.payload()["reasoning"].array().empty());
  }
  EXPECT_EQ(found, 1U) << triggers_told(entries);
}

// Grace's own run: capacity is scaled in time, demand comes as forecast, nothing saturates; the
// meta loop then asks for a lower threshold.
TEST(RawTelemetry, DirectiveAfterAForecastThatProvedRight) {
  RunOptions options;
  options.adjust = [](tools::AppConfig& config) {
    schedule::Playbook scale;
    scale.name = "scale_up_instances";
    scale.risk = schedule::Risk::kLow;
    schedule::StepSpec step;
    step.action.argv = {"/usr/bin/true", "{service}"};
    schedule::ParameterSpec& service = scale.parameters.emplace_back();
    service.name = "service";
    service.pattern = "[a-z_]+";
    scale.steps.push_back(step);
    schedule::CheckSpec check;
    check.kind = schedule::CheckKind::kHeadroom;
    check.value = 1.05;
    schedule::VerificationSpec verification;
    verification.checks.push_back(check);
    scale.verification = verification;
    config.playbooks.push_back(scale);
    config.engine.schedule.limits.exec_allowed = {"/usr/bin/true"};
  };
  expect_found(scenario("scenario-3"), TriggerType::kDirective, "api_cluster",
               "threshold_adjustment", options);
}

// ---------------------------------------------------------------------------------------------
// As mesh events

class MeshEvent : public ::testing::TestWithParam<std::size_t> {
 protected:
  [[nodiscard]] static TriggerType type() { return static_cast<TriggerType>(GetParam()); }
  static std::string payload(double confidence) {
    return R"({"diagnosis_code":"told_by_peer","what":"queue","confidence":)" +
           std::to_string(confidence) +
           R"(,"impact":"moderate","reasoning":["first reason","second reason"],)"
           R"("suggested_playbooks":["investigate_root_cause"],"trigger_id":"peer-7",)"
           R"("affected_domains":["core","ml"],)"
           R"("metadata":{"predicted_time":"2025-01-15T07:15:00Z","depth":3}})";
  }
};

TEST_P(MeshEvent, IsAcceptedGatedAndRecordedWithItsFields) {
  const std::string source(core::to_string(core::source_of(type())));
  Stream stream;
  stream.topology("api", "core");
  stream.mesh(core::event_type_of(type()), "api", payload(0.93));
  stream.pass(kNsPerSecond);
  stream.mesh(core::event_type_of(type()), "api", payload(0.94));  // the same thing again
  stream.pass(kNsPerSecond);
  stream.mesh(core::event_type_of(type()), "db", payload(0.55));  // not sure enough
  const std::vector<LedgerEntry> entries = ledger_of(stream.text());
  const auto triggers = of_action(entries, "intelligent_trigger");
  ASSERT_EQ(triggers.size(), 3U) << triggers_told(entries);
  EXPECT_EQ(triggers[0].at("result"), "emitted");
  EXPECT_EQ(triggers[1].at("result"), "suppressed:duplicate");
  EXPECT_EQ(triggers[2].at("result"), "suppressed:min_confidence");

  const LedgerEntry& first = triggers[0];
  EXPECT_EQ(first.at("actor"), source);
  EXPECT_EQ(first.at("resource"), "api");
  EXPECT_EQ(first.at("subsystem"), "intelligent_triggers");
  const parse::JsonValue& fields = first.payload();
  EXPECT_EQ(fields["trigger_type"].as_string(), core::to_string(type()));
  EXPECT_EQ(fields["source"].as_string(), source);
  EXPECT_EQ(fields["service"].as_string(), "api");
  EXPECT_EQ(fields["domain"].as_string(), "core") << "known from the topology";
  EXPECT_EQ(fields["diagnosis_code"].as_string(), "told_by_peer");
  EXPECT_EQ(fields["what"].as_string(), "queue");
  EXPECT_DOUBLE_EQ(fields["raw_confidence"].as_double(), 0.93);
  EXPECT_GT(fields["confidence"].as_double(), 0.85);
  EXPECT_EQ(fields["impact"].as_string(), "medium");
  ASSERT_EQ(fields["reasoning"].array().size(), 2U);
  EXPECT_EQ(fields["reasoning"].array()[1].as_string(), "second reason");
  ASSERT_EQ(fields["suggested_playbooks"].array().size(), 1U);
  EXPECT_EQ(fields["upstream_id"].as_string(), "peer-7");
  EXPECT_NE(fields["trigger_id"].as_string(), "peer-7") << "ids are our own";
  EXPECT_EQ(fields["metadata"]["depth"].as_int64(), 3);
  EXPECT_EQ(fields["metadata"]["affected_domains"].to_json(), R"(["core","ml"])");
  EXPECT_EQ(fields["created_at"].as_string(), "2025-01-15T07:00:00Z");

  EXPECT_EQ(triggers[1].payload()["duplicate_of"].as_string(), fields["trigger_id"].as_string());
  EXPECT_GE(triggers[2].payload()["min_confidence"].as_double(), 0.70);

  const auto predictions = of_action(entries, "self_heal.prediction");
  ASSERT_EQ(predictions.size(), 1U);
  EXPECT_EQ(predictions[0].payload()["code"].as_string(), "told_by_peer");
  EXPECT_EQ(predictions[0].payload()["title"].as_string(), core::title_of(type()));
  EXPECT_EQ(predictions[0].payload()["trigger_id"].as_string(), fields["trigger_id"].as_string());
  EXPECT_EQ(predictions[0].payload()["incident_id"].as_string(), fields["incident_id"].as_string());
}

TEST_P(MeshEvent, IsStoppedWhenItsSourceIsDisabled) {
  Stream stream;
  stream.mesh(core::event_type_of(type()), "api", payload(0.93));
  RunOptions options;
  options.adjust = [](tools::AppConfig& config) {
    constexpr std::array<std::string_view, core::kSourceCount> kNames{
        "META_LOOP_TRIGGERS_ENABLED", "ML_TRIGGERS_ENABLED", "AGENTIC_TRIGGERS_ENABLED",
        "LOG_PATTERN_TRIGGERS_ENABLED"};
    const auto source = static_cast<std::size_t>(core::source_of(type()));
    EXPECT_TRUE(limit::apply_environment_name(config.engine.triggers.limit, kNames[source], "false")
                    .has_value());
  };
  const std::vector<LedgerEntry> entries = ledger_of(stream.text(), options);
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].at("result"), "suppressed:disabled");
  EXPECT_EQ(entries[0].payload()["trigger_type"].as_string(), core::to_string(type()));
}

INSTANTIATE_TEST_SUITE_P(AllTen, MeshEvent,
                         ::testing::Range(std::size_t{0}, core::kTriggerTypeCount),
                         [](const auto& param) {
                           return std::string(
                               core::to_string(static_cast<TriggerType>(param.param)));
                         });

}  // namespace
}  // namespace grace::testing
