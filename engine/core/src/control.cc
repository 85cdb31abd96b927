#include "grace/core/control.h"

#include <array>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"

namespace grace::core {
namespace {

struct Name {
  ControlKind kind;
  std::string_view text;
};
constexpr std::array kNames{
    Name{ControlKind::kApprove, "approve"},   Name{ControlKind::kReject, "reject"},
    Name{ControlKind::kFeedback, "feedback"}, Name{ControlKind::kOutcome, "outcome"},
    Name{ControlKind::kTopology, "topology"}, Name{ControlKind::kDeploy, "deploy"},
    Name{ControlKind::kSilence, "silence"},   Name{ControlKind::kPause, "pause"},
    Name{ControlKind::kResume, "resume"},     Name{ControlKind::kAck, "ack"},
    Name{ControlKind::kTick, "tick"},         Name{ControlKind::kStepResult, "step_result"},
    Name{ControlKind::kUndo, "undo"},         Name{ControlKind::kLog, "log"},
};

std::string_view criticality_text(Criticality criticality) {
  constexpr std::array<std::string_view, 4> kText{"low", "medium", "high", "critical"};
  return kText[static_cast<std::size_t>(criticality)];
}

// One overload for each body: its fields at the top level of the line.
struct BodyWriter {
  JsonWriter& json;

  void run_name(const std::string& run_id, const std::string& service,
                const std::string& playbook) const {
    if (!run_id.empty()) json.field("run_id", run_id);
    if (!service.empty()) json.field("service", service);
    if (!playbook.empty()) json.field("playbook", playbook);
  }
  void operator()(const std::monostate&) const {}
  void operator()(const RunDecision& body) const {
    run_name(body.run_id, body.service, body.playbook);
  }
  void operator()(const FeedbackControl& body) const {
    json.field("trigger_id", body.trigger_id).field("right", body.right);
  }
  void operator()(const OutcomeControl& body) const {
    run_name(body.run_id, body.service, body.playbook);
    json.field("success", body.success);
  }
  void operator()(const ServiceNode& body) const {
    json.field("service", body.service);
    if (!body.domain.empty()) json.field("domain", body.domain);
    json.array_field("depends_on", body.depends_on);
    json.field("replicas", body.replicas);
    json.field("criticality", criticality_text(body.criticality));
  }
  void operator()(const DeployControl& body) const {
    json.field("service", body.service);
    if (!body.version.empty()) json.field("version", body.version);
  }
  void operator()(const SilenceControl& body) const {
    json.field("action", std::string_view(body.expire ? "expire" : "add"));
    if (!body.id.empty()) json.field("id", body.id);
    if (!body.service.empty()) json.field("service", body.service);
    if (!body.domain.empty()) json.field("domain", body.domain);
    if (!body.diagnosis_code.empty()) json.field("diagnosis_code", body.diagnosis_code);
    if (body.source) json.field("source", to_string(*body.source));
    if (body.expire) return;
    json.field("starts", body.starts_ts_ns).field("ends", body.ends_ts_ns);
  }
  void operator()(const AckControl& body) const { json.field("what", body.what); }
  void operator()(const UndoControl& body) const { json.field("name", body.name); }
  void operator()(const LogControl& body) const { json.field("entry", body.entry); }
  void operator()(const StepResult& body) const {
    json.field("run_id", body.run_id).field("step_index", body.step_index);
    json.field("ok", body.ok).field("timed_out", body.timed_out);
    json.field("exit_code", std::int32_t{body.exit_code}).field("duration_ms", body.duration_ms);
    json.field("output_tail", body.output_tail);
  }
};

}  // namespace

std::string_view to_string(ControlKind kind) noexcept {
  for (const Name& name : kNames) {
    if (name.kind == kind) return name.text;
  }
  return "none";
}

ControlKind control_from(std::string_view text) noexcept {
  for (const Name& name : kNames) {
    if (name.text == text) return name.kind;
  }
  return ControlKind::kNone;
}

std::string to_json_line(const ControlEvent& control) {
  std::string line;
  JsonWriter json(line);
  json.begin_object();
  json.field("ts", control.ts_ns);
  json.field("kind", "control").field("control", to_string(control.kind));
  if (!control.actor.empty()) json.field("actor", control.actor);
  if (!control.reason.empty()) json.field("reason", control.reason);
  std::visit(BodyWriter{json}, control.body);
  json.end_object();
  return line;
}

}  // namespace grace::core
