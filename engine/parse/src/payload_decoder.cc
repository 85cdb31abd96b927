#include "payload_decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "dom_reader.h"
#include "event_keys.h"
#include "grace/core/hash.h"
#include "grace/core/time.h"
#include "grace/parse/payload.h"

namespace grace::parse {
namespace {

using core::ControlEvent;
using core::ControlKind;
using core::Event;
using core::Finding;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::size_t kDependenciesMax = 1024;
constexpr std::int64_t kUint32Max = std::numeric_limits<std::uint32_t>::max();

// Fields of a mesh payload that have their own place in a Finding.
bool is_own_field(std::string_view key) {
  static constexpr std::string_view kOwn[] = {
      "diagnosis_code", "code",   "confidence", "likelihood", "impact",   "reasoning",
      "reasons",        "domain", "what",       "trigger_id", "metadata", "suggested_playbooks"};
  return std::find(std::begin(kOwn), std::end(kOwn), key) != std::end(kOwn);
}

void put_metadata(Finding& finding, std::string_view key, element value) {
  std::string json = simdjson::minify(value);
  for (auto& [name, old] : finding.metadata) {
    if (name == key) {
      old = std::move(json);
      return;
    }
  }
  finding.metadata.emplace_back(key, std::move(json));
}

void read_confidence(DomReader& reader, Finding& finding) {
  const auto field = reader.find("confidence", "likelihood");
  if (!field) return reader.fail(RejectReason::kMissingField);
  double confidence = 0.0;
  if (!field->is_number() || field->get(confidence) != simdjson::SUCCESS) {
    return reader.fail(RejectReason::kWrongType);
  }
  if (!(confidence >= 0.0 && confidence <= 1.0)) return reader.fail(RejectReason::kOutOfRange);
  finding.confidence = confidence;
}

void read_impact(DomReader& reader, Finding& finding) {
  std::string text;
  reader.read_name("impact", text);
  if (text.empty()) return;
  const auto impact = core::impact_from(text);
  if (!impact) return reader.fail(RejectReason::kInvalidPayload);
  finding.impact = *impact;
}

void read_metadata(DomReader& reader, object payload, Finding& finding) {
  if (const auto field = reader.find("metadata")) {
    object metadata;
    if (field->get(metadata) != simdjson::SUCCESS) return reader.fail(RejectReason::kWrongType);
    for (const auto member : metadata) put_metadata(finding, member.key, member.value);
    DomReader inner(metadata);
    inner.read_time(inner.find("predicted_time"), finding.predicted_ts_ns);
    if (inner.reason()) reader.fail(*inner.reason());
  }
  for (const auto member : payload) {
    if (!is_own_field(member.key)) put_metadata(finding, member.key, member.value);
  }
  if (finding.predicted_ts_ns == 0) {
    reader.read_time(reader.find("predicted_time"), finding.predicted_ts_ns);
  }
}

void read_service(DomReader& reader, std::string& service) {
  reader.read_name("service", service);
  if (service.empty()) reader.read_name("resource", service);
}

// A run by its id, or by what it runs on what.
template <typename Body>
void read_run_name(DomReader& reader, Body& body) {
  reader.read_name("run_id", body.run_id);
  read_service(reader, body.service);
  reader.read_name("playbook", body.playbook);
  reader.require(!body.run_id.empty() || (!body.service.empty() && !body.playbook.empty()));
}

void read_run_decision(DomReader& reader, ControlEvent& control) {
  read_run_name(reader, control.body.emplace<core::RunDecision>());
}

void read_feedback(DomReader& reader, ControlEvent& control) {
  auto& body = control.body.emplace<core::FeedbackControl>();
  reader.read_name("trigger_id", body.trigger_id);
  reader.require(!body.trigger_id.empty());
  if (reader.read_bool("right", body.right)) return;
  std::string verdict;
  reader.read_name("verdict", verdict);
  reader.require(!verdict.empty());
  if (verdict != "right" && verdict != "wrong") reader.fail(RejectReason::kInvalidPayload);
  body.right = verdict == "right";
}

void read_outcome(DomReader& reader, ControlEvent& control) {
  auto& body = control.body.emplace<core::OutcomeControl>();
  read_run_name(reader, body);
  if (reader.read_bool("success", body.success)) return;
  std::string text;
  reader.read_text(reader.find("result", "status"), text, DomReader::kNameBytesMax);
  reader.require(!text.empty());
  const core::ActionResult result = result_from(text);
  if (result == core::ActionResult::kOther) reader.fail(RejectReason::kInvalidPayload);
  body.success = result == core::ActionResult::kSuccess;
}

void read_topology(DomReader& reader, ControlEvent& control) {
  auto& body = control.body.emplace<core::ServiceNode>();
  read_service(reader, body.service);
  reader.require(!body.service.empty());
  reader.read_name("domain", body.domain);
  reader.read_texts(reader.find("depends_on"), kDependenciesMax, body.depends_on);
  std::sort(body.depends_on.begin(), body.depends_on.end());
  body.depends_on.erase(std::unique(body.depends_on.begin(), body.depends_on.end()),
                        body.depends_on.end());
  reader.read_integer("replicas", 0, kUint32Max, body.replicas);
  std::string criticality;
  reader.read_name("criticality", criticality);
  if (criticality.empty()) return;
  if (criticality == "low")
    body.criticality = core::Criticality::kLow;
  else if (criticality == "medium")
    body.criticality = core::Criticality::kMedium;
  else if (criticality == "high")
    body.criticality = core::Criticality::kHigh;
  else if (criticality == "critical")
    body.criticality = core::Criticality::kCritical;
  else
    reader.fail(RejectReason::kInvalidPayload);
}

void read_deploy(DomReader& reader, ControlEvent& control) {
  auto& body = control.body.emplace<core::DeployControl>();
  read_service(reader, body.service);
  reader.require(!body.service.empty());
  reader.read_name("version", body.version);
}

void read_silence_end(DomReader& reader, core::SilenceControl& body) {
  if (const auto ends = reader.find("ends")) {
    reader.read_time(ends, body.ends_ts_ns);
  } else {
    constexpr std::int64_t kSecondsMax = 10LL * 366 * 24 * 3600;
    std::int64_t duration_s = 0;
    reader.read_integer("duration_s", 1, kSecondsMax, duration_s);
    reader.require(duration_s != 0);
    // Wrapping is ruled out by the check: a start that late has no end.
    constexpr std::int64_t kNsMax = std::numeric_limits<std::int64_t>::max();
    if (body.starts_ts_ns > kNsMax - duration_s * core::kNsPerSecond) {
      return reader.fail(RejectReason::kOutOfRange);
    }
    body.ends_ts_ns = body.starts_ts_ns + duration_s * core::kNsPerSecond;
  }
  if (body.ends_ts_ns <= body.starts_ts_ns) reader.fail(RejectReason::kInvalidPayload);
}

void read_silence(DomReader& reader, const Event& event, ControlEvent& control) {
  auto& body = control.body.emplace<core::SilenceControl>();
  std::string action;
  reader.read_name("action", action);
  if (!action.empty() && action != "add" && action != "expire") {
    reader.fail(RejectReason::kInvalidPayload);
  }
  body.expire = action == "expire";
  reader.read_name("id", body.id);
  reader.require(!body.expire || !body.id.empty());
  if (body.expire) return;
  if (body.id.empty()) body.id = "silence-" + core::hex(core::hash_bytes(event.view(event.line)));
  read_service(reader, body.service);
  reader.read_name("domain", body.domain);
  reader.read_text(reader.find("diagnosis_code", "diagnosis"), body.diagnosis_code,
                   DomReader::kNameBytesMax);
  std::string source;
  reader.read_name("source", source);
  if (!source.empty()) {
    body.source = core::source_from(source);
    if (!body.source) reader.fail(RejectReason::kInvalidPayload);
  }
  body.starts_ts_ns = event.ts_ns;
  reader.read_time(reader.find("starts"), body.starts_ts_ns);
  read_silence_end(reader, body);
}

void read_ack(DomReader& reader, ControlEvent& control) {
  auto& body = control.body.emplace<core::AckControl>();
  reader.read_text(reader.find("what", "breaker"), body.what, DomReader::kNameBytesMax);
  reader.require(!body.what.empty());
}

void read_undo(DomReader& reader, ControlEvent& control) {
  auto& body = control.body.emplace<core::UndoControl>();
  reader.read_name("name", body.name);
  reader.require(!body.name.empty());
}

void read_log(DomReader& reader, ControlEvent& control) {
  auto& body = control.body.emplace<core::LogControl>();
  reader.read_text(reader.find("entry"), body.entry, core::LogControl::kEntryBytesMax);
  reader.require(!body.entry.empty());
}

void read_step_result(DomReader& reader, ControlEvent& control) {
  auto& body = control.body.emplace<core::StepResult>();
  reader.read_name("run_id", body.run_id);
  reader.require(!body.run_id.empty());
  reader.require(reader.find("step_index").has_value());
  reader.read_integer("step_index", 0, kUint32Max, body.step_index);
  reader.require(reader.read_bool("ok", body.ok));
  reader.read_bool("timed_out", body.timed_out);
  reader.read_integer("exit_code", std::numeric_limits<std::int32_t>::min(),
                      std::numeric_limits<std::int32_t>::max(), body.exit_code);
  reader.read_integer("duration_ms", 0, std::numeric_limits<std::int64_t>::max(), body.duration_ms);
  reader.read_text(reader.find("output_tail"), body.output_tail, DomReader::kTextBytesMax);
}

}  // namespace

std::optional<RejectReason> PayloadDecoder::decode_mesh(const Event& event, Finding& finding) {
  const std::string_view json = event.view(event.detail);
  object payload;
  if (parser_.parse(json.data(), json.size()).get(payload) != simdjson::SUCCESS) {
    return RejectReason::kMalformedJson;
  }
  finding.type = core::type_from_event_type(event.view(event.name)).value_or(finding.type);
  finding.service = event.view(event.service);
  finding.domain = event.view(event.domain);
  finding.ts_ns = event.ts_ns;
  finding.evidence.push_back(
      {event.sequence, event.ts_ns, std::string(event.view(event.name)) + " received"});
  DomReader reader(payload);
  reader.read_text(reader.find("diagnosis_code", "code"), finding.diagnosis_code,
                   DomReader::kNameBytesMax);
  reader.require(!finding.diagnosis_code.empty());
  read_confidence(reader, finding);
  read_impact(reader, finding);
  reader.read_texts(reader.find("reasoning", "reasons"), core::kReasonsMax, finding.reasoning);
  reader.read_texts(reader.find("suggested_playbooks"), core::kPlaybooksMax,
                    finding.suggested_playbooks);
  if (finding.domain.empty()) reader.read_name("domain", finding.domain);
  reader.read_name("what", finding.what);
  reader.read_name("trigger_id", finding.upstream_id);
  read_metadata(reader, payload, finding);
  return reader.reason();
}

std::optional<RejectReason> PayloadDecoder::decode_control(const Event& event,
                                                           ControlEvent& control) {
  const std::string_view json = event.view(event.line);
  object line;
  if (parser_.parse(json.data(), json.size()).get(line) != simdjson::SUCCESS) {
    return RejectReason::kMalformedJson;
  }
  DomReader reader(line);
  object payload;
  if (const auto field = reader.find("payload")) {
    if (field->get(payload) != simdjson::SUCCESS) return RejectReason::kWrongType;
    reader.set_fallback(payload);
  }
  control.kind = event.control;
  control.sequence = event.sequence;
  control.ts_ns = event.ts_ns;
  control.trusted = event.trusted != 0;
  reader.read_name("actor", control.actor);
  reader.read_text(reader.find("reason"), control.reason, DomReader::kTextBytesMax);
  switch (event.control) {
    case ControlKind::kApprove:
    case ControlKind::kReject:
      read_run_decision(reader, control);
      break;
    case ControlKind::kFeedback:
      read_feedback(reader, control);
      break;
    case ControlKind::kOutcome:
      read_outcome(reader, control);
      break;
    case ControlKind::kTopology:
      read_topology(reader, control);
      break;
    case ControlKind::kDeploy:
      read_deploy(reader, control);
      break;
    case ControlKind::kSilence:
      read_silence(reader, event, control);
      break;
    case ControlKind::kAck:
      read_ack(reader, control);
      break;
    case ControlKind::kUndo:
      read_undo(reader, control);
      break;
    case ControlKind::kLog:
      read_log(reader, control);
      break;
    case ControlKind::kStepResult:
      read_step_result(reader, control);
      break;
    case ControlKind::kNone:
    case ControlKind::kPause:
    case ControlKind::kResume:
    case ControlKind::kTick:
      break;
  }
  return reader.reason();
}

namespace {

// With the memory that simdjson took for the events before: without it, two thirds of a percent of
// a replay.
PayloadDecoder& this_threads_decoder() {
  thread_local PayloadDecoder decoder;
  return decoder;
}

}  // namespace

core::Result<Finding> parse_mesh(const Event& event) {
  Finding finding;
  const auto reason = this_threads_decoder().decode_mesh(event, finding);
  if (!reason) return finding;
  return core::make_error(core::ErrorCode::kInvalidArgument,
                          "mesh event: " + std::string(to_string(*reason)), 0, event.sequence);
}

core::Result<ControlEvent> parse_control(const Event& event) {
  ControlEvent control;
  const auto reason = this_threads_decoder().decode_control(event, control);
  if (!reason) return control;
  return core::make_error(core::ErrorCode::kInvalidArgument,
                          "control event: " + std::string(to_string(*reason)), 0, event.sequence);
}

}  // namespace grace::parse
