#include "grace/parse/payload.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "grace/core/time.h"
#include "parse_fixture.h"

namespace grace::parse {
namespace {

using core::ControlEvent;
using core::ControlKind;

constexpr std::int64_t kArrivalNs = 1'736'951'400'000'000'000;  // 2025-01-15T14:30:00Z

// Decodes what `line` says while its chunk lives.
template <typename Decode>
auto decode(const std::string& line, Decode&& decode_event) {
  ChunkParser parser;
  auto chunk = make_chunk(line + "\n");
  chunk->trusted = true;
  chunk->arrival_ns = kArrivalNs;
  Parsed parsed;
  CollectingSink sink(parsed.rejects);
  std::vector<core::Event> events(2);
  parser.begin(*chunk);
  const std::size_t count = parser.next(events, sink);
  EXPECT_EQ(count, 1U) << line << " "
                       << (parsed.rejects.empty() ? "" : to_string(parsed.rejects.front().reason));
  auto result = decode_event(events[0]);
  EXPECT_TRUE(result.has_value()) << line;
  return std::move(*result);
}

ControlEvent control(const std::string& line) {
  return decode(line, parse_control);
}

std::string reject_of(const std::string& line) {
  const Parsed parsed = parse_text(line + "\n", {.trusted = true});
  return parsed.rejects.size() == 1 ? std::string(to_string(parsed.rejects[0].reason)) : "accepted";
}

TEST(ParseMesh, ReadsTheDocumentsForecast) {
  const core::Finding finding = decode(
      R"({"ts":"2025-01-15T14:30:00Z","event_type":"proactive.anomaly_forecast",)"
      R"("source":"anomaly_forecaster","resource":"api_service","domain":"core","payload":{)"
      R"("diagnosis_code":"latency_spike","confidence":0.87,"impact":"moderate",)"
      R"("reasoning":["a","b \"c\""],"suggested_playbooks":["scale_up_instances","warm_cache"],)"
      R"("trigger_id":"ml_forecast_12345","what":"latency_ms","affected_domains":["x","y"],)"
      R"("metadata":{"ml_model":"anomaly_forecaster","predicted_time":"2025-01-15T14:45:00Z",)"
      R"("n":3}}})",
      parse_mesh);
  EXPECT_EQ(finding.type, core::TriggerType::kAnomalyForecast);
  EXPECT_EQ(finding.service, "api_service");
  EXPECT_EQ(finding.domain, "core");
  EXPECT_EQ(finding.diagnosis_code, "latency_spike");
  EXPECT_DOUBLE_EQ(finding.confidence, 0.87);
  EXPECT_EQ(finding.impact, core::Impact::kMedium);
  EXPECT_EQ(finding.reasoning, (std::vector<std::string>{"a", "b \"c\""}));
  EXPECT_EQ(finding.suggested_playbooks,
            (std::vector<std::string>{"scale_up_instances", "warm_cache"}));
  EXPECT_EQ(finding.upstream_id, "ml_forecast_12345");
  EXPECT_EQ(finding.what, "latency_ms");
  EXPECT_EQ(finding.ts_ns, core::parse_rfc3339("2025-01-15T14:30:00Z"));
  EXPECT_EQ(finding.predicted_ts_ns, core::parse_rfc3339("2025-01-15T14:45:00Z"));
  const std::vector<std::pair<std::string, std::string>> metadata{
      {"ml_model", R"("anomaly_forecaster")"},
      {"predicted_time", R"("2025-01-15T14:45:00Z")"},
      {"n", "3"},
      {"affected_domains", R"(["x","y"])"}};
  EXPECT_EQ(finding.metadata, metadata);
  ASSERT_EQ(finding.evidence.size(), 1U);
}

TEST(ParseMesh, ReadsThePredictionsOtherNames) {
  const core::Finding finding =
      decode(R"({"event_type":"immutable_log.pattern_detected","service":"s","payload":)"
             R"({"code":"recurring_error","likelihood":1,"reasons":"one"}})",
             parse_mesh);
  EXPECT_EQ(finding.diagnosis_code, "recurring_error");
  EXPECT_DOUBLE_EQ(finding.confidence, 1.0);
  EXPECT_EQ(finding.reasoning, std::vector<std::string>{"one"});
  EXPECT_EQ(finding.impact, core::Impact::kMedium);
}

TEST(ParseMesh, AcceptsAllTenEventTypes) {
  for (std::size_t i = 0; i < core::kTriggerTypeCount; ++i) {
    const auto type = static_cast<core::TriggerType>(i);
    const core::Finding finding =
        decode(R"({"event_type":")" + std::string(core::event_type_of(type)) +
                   R"(","service":"s","payload":{"code":"c","confidence":0.5}})",
               parse_mesh);
    EXPECT_EQ(finding.type, type);
  }
}

TEST(ParseControl, ReadsEveryKindAtTheTopLevel) {
  ControlEvent event = control(
      R"({"kind":"control","control":"approve","run_id":"r1","actor":"alice","reason":"fine"})");
  EXPECT_EQ(event.kind, ControlKind::kApprove);
  EXPECT_EQ(event.actor, "alice");
  EXPECT_EQ(event.reason, "fine");
  EXPECT_EQ(event.ts_ns, kArrivalNs);
  EXPECT_EQ(std::get<core::RunDecision>(event.body).run_id, "r1");
  EXPECT_TRUE(std::get<core::FeedbackControl>(
                  control(R"({"control":"feedback","trigger_id":"t","verdict":"right"})").body)
                  .right);
  EXPECT_FALSE(std::get<core::FeedbackControl>(
                   control(R"({"control":"feedback","trigger_id":"t","right":false})").body)
                   .right);
  EXPECT_TRUE(std::get<core::OutcomeControl>(
                  control(R"({"control":"outcome","run_id":"r","result":"success"})").body)
                  .success);
  event = control(
      R"({"control":"topology","service":"api","domain":"core","depends_on":["db","auth","db"],)"
      R"("replicas":3,"criticality":"high"})");
  const auto& node = std::get<core::ServiceNode>(event.body);
  EXPECT_EQ(node.depends_on, (std::vector<std::string>{"auth", "db"}));
  EXPECT_EQ(node.replicas, 3U);
  EXPECT_EQ(node.criticality, core::Criticality::kHigh);
  EXPECT_EQ(std::get<core::DeployControl>(
                control(R"({"control":"deploy","resource":"api","version":"v2"})").body)
                .service,
            "api");
  event =
      control(R"({"control":"silence","service":"api","source":"proactive_ml","duration_s":60})");
  const auto& silence = std::get<core::SilenceControl>(event.body);
  EXPECT_EQ(silence.ends_ts_ns - silence.starts_ts_ns, 60 * core::kNsPerSecond);
  EXPECT_EQ(silence.source, core::Source::kProactiveMl);
  EXPECT_FALSE(silence.id.empty());
  event = control(R"({"kind":"control","control":"silence","action":"expire","id":"x"})");
  EXPECT_TRUE(std::get<core::SilenceControl>(event.body).expire);
  EXPECT_EQ(std::get<core::AckControl>(control(R"({"control":"ack","breaker":"b"})").body).what,
            "b");
  EXPECT_EQ(std::get<core::UndoControl>(control(R"({"control":"undo","name":"n"})").body).name,
            "n");
  EXPECT_EQ(control(R"({"control":"tick","ts":7})").ts_ns, 7);
  EXPECT_TRUE(control(R"({"control":"tick","ts":7})").trusted);
}

TEST(ParseControl, FindsFieldsInThePayloadAndPrefersTheTopLevel) {
  const ControlEvent event =
      control(R"({"control":"approve","run_id":"top","payload":{"run_id":"inner","actor":"bob"}})");
  EXPECT_EQ(std::get<core::RunDecision>(event.body).run_id, "top");
  EXPECT_EQ(event.actor, "bob");
}

TEST(ParseControl, ReadsBackWhatIsWritten) {
  std::vector<ControlEvent> events;
  const auto add = [&](ControlKind kind, auto body) {
    ControlEvent event;
    event.kind = kind;
    event.ts_ns = 1736951400000000000 + static_cast<std::int64_t>(events.size());
    event.trusted = true;
    event.actor = "al\"ice";
    event.reason = "because\n";
    event.body = std::move(body);
    events.push_back(std::move(event));
  };
  add(ControlKind::kApprove, core::RunDecision{"r", "", ""});
  add(ControlKind::kReject, core::RunDecision{"", "s", "rollback_flag"});
  add(ControlKind::kFeedback, core::FeedbackControl{"t", true});
  add(ControlKind::kOutcome, core::OutcomeControl{"r", "s", "p", true});
  add(ControlKind::kTopology,
      core::ServiceNode{"s", "d", {"a", "b"}, 2, core::Criticality::kCritical});
  add(ControlKind::kDeploy, core::DeployControl{"s", "v1"});
  add(ControlKind::kSilence,
      core::SilenceControl{"id", "s", "d", "c", core::Source::kMetaLoop, 5, 9, false});
  add(ControlKind::kPause, std::monostate{});
  add(ControlKind::kResume, std::monostate{});
  add(ControlKind::kAck, core::AckControl{"b"});
  add(ControlKind::kTick, std::monostate{});
  add(ControlKind::kUndo, core::UndoControl{"n"});
  add(ControlKind::kLog, core::LogControl{R"({"actor":"a","payload":{"reason":"\"x\""}})"});
  core::StepResult step;
  step.run_id = "r";
  step.step_index = 1001;
  step.ok = false;
  step.timed_out = true;
  step.exit_code = -9;
  step.duration_ms = 1500;
  step.output_tail = "line\n\"quoted\" \xC3\xA9";
  add(ControlKind::kStepResult, step);
  for (const ControlEvent& event : events) {
    const std::string line = core::to_json_line(event);
    const ControlEvent back = control(line);
    EXPECT_EQ(core::to_json_line(back), line);
    EXPECT_EQ(back.kind, event.kind);
    EXPECT_EQ(back.body.index(), event.body.index());
    EXPECT_EQ(back.actor, event.actor);
    EXPECT_EQ(back.reason, event.reason);
    EXPECT_EQ(back.ts_ns, event.ts_ns);
  }
  EXPECT_EQ(std::get<core::StepResult>(control(core::to_json_line(events.back())).body).exit_code,
            -9);
}

TEST(ParseControl, RefusesWhatItCannotMean) {
  EXPECT_EQ(reject_of(R"({"control":"approve"})"), "missing_field");
  EXPECT_EQ(reject_of(R"({"control":"approve","run_id":7})"), "wrong_type");
  EXPECT_EQ(reject_of(R"({"control":"approve","run_id":"r","payload":[]})"), "wrong_type");
  EXPECT_EQ(reject_of(R"({"control":"feedback","trigger_id":"t"})"), "missing_field");
  EXPECT_EQ(reject_of(R"({"control":"feedback","trigger_id":"t","verdict":"maybe"})"),
            "invalid_payload");
  EXPECT_EQ(reject_of(R"({"control":"outcome","run_id":"r","result":"perhaps"})"),
            "invalid_payload");
  EXPECT_EQ(reject_of(R"({"control":"topology","depends_on":["a"]})"), "missing_field");
  EXPECT_EQ(reject_of(R"({"control":"topology","service":"a","replicas":-1})"), "out_of_range");
  EXPECT_EQ(reject_of(R"({"control":"topology","service":"a","depends_on":[1]})"), "wrong_type");
  EXPECT_EQ(reject_of(R"({"control":"silence","service":"a"})"), "missing_field");
  EXPECT_EQ(reject_of(R"({"control":"silence","starts":9,"ends":9})"), "invalid_payload");
  EXPECT_EQ(reject_of(R"({"control":"silence","ends":"tomorrow"})"), "ts_invalid");
  EXPECT_EQ(reject_of(R"({"kind":"control","control":"silence","action":"expire"})"),
            "missing_field");
  EXPECT_EQ(reject_of(R"({"control":"silence","source":"moon","duration_s":1})"),
            "invalid_payload");
  EXPECT_EQ(reject_of(R"({"control":"step_result","run_id":"r","ok":true})"), "missing_field");
  EXPECT_EQ(reject_of(R"({"control":"step_result","run_id":"r","step_index":0})"), "missing_field");
}

}  // namespace
}  // namespace grace::parse
