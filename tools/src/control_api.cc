#include "control_api.h"

#include <algorithm>
#include <thread>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "log_request.h"
#include "session.h"

namespace grace::tools {
namespace {

constexpr std::chrono::milliseconds kSafePause{1};       // group commits take a few of these
constexpr std::int64_t kSilenceSecondsMax = 31'536'000;  // a year

std::string refusal(std::string_view why) {
  std::string out;
  core::JsonWriter(out).begin_object().field("ok", false).field("error", why).end_object();
  return out;
}

// The fields of a control event that people may send; empty control kind: not one of those.
core::ControlEvent control_of(const parse::JsonValue& request, const std::string& actor) {
  core::ControlEvent control;
  control.kind = core::control_from(request["control"].as_string());
  control.actor = actor;
  control.reason = std::string(request["reason"].as_string());
  const auto text = [&](std::string_view key) { return std::string(request[key].as_string()); };
  switch (control.kind) {
    case core::ControlKind::kApprove:
    case core::ControlKind::kReject:
      control.body = core::RunDecision{text("run_id"), text("service"), text("playbook")};
      break;
    case core::ControlKind::kFeedback:
      control.body = core::FeedbackControl{text("trigger_id"), request["right"].as_bool()};
      break;
    case core::ControlKind::kAck:
      control.body = core::AckControl{text("what")};
      break;
    case core::ControlKind::kUndo:
      control.body = core::UndoControl{text("name")};
      break;
    case core::ControlKind::kSilence: {
      core::SilenceControl silence;
      silence.id = text("id");
      silence.service = text("service");
      silence.diagnosis_code = text("diagnosis_code");
      silence.source = core::source_from(request["source"].as_string());
      silence.expire = request["expire"].as_bool();
      const std::int64_t now_ns = core::SystemClock().wall_ns();
      silence.starts_ts_ns = now_ns;
      const std::int64_t duration_s =
          std::clamp<std::int64_t>(request["duration_s"].as_int64(), 0, kSilenceSecondsMax);
      silence.ends_ts_ns = now_ns + duration_s * core::kNsPerSecond;
      control.body = silence;
      break;
    }
    case core::ControlKind::kPause:
    case core::ControlKind::kResume:
      break;
    default:
      control.kind = core::ControlKind::kNone;
  }
  return control;
}

// What a request lacks; empty: nothing. The engine would turn such a line away as bad input, which
// its sender would never hear of.
std::string missing_in(const core::ControlEvent& control, const parse::JsonValue& request) {
  if (const auto* decision = std::get_if<core::RunDecision>(&control.body)) {
    const bool named =
        !decision->run_id.empty() || (!decision->service.empty() && !decision->playbook.empty());
    return named ? "" : "run_id, or service and playbook";
  }
  if (const auto* feedback = std::get_if<core::FeedbackControl>(&control.body)) {
    if (feedback->trigger_id.empty()) return "trigger_id";
    return request["right"].is_bool() ? "" : "right (true or false)";
  }
  if (const auto* ack = std::get_if<core::AckControl>(&control.body)) {
    return ack->what.empty() ? "what" : "";
  }
  if (const auto* undo = std::get_if<core::UndoControl>(&control.body)) {
    return undo->name.empty() ? "name" : "";
  }
  if (const auto* silence = std::get_if<core::SilenceControl>(&control.body)) {
    if (silence->expire) return silence->id.empty() ? "id" : "";
    if (silence->service.empty() && silence->diagnosis_code.empty() && !silence->source) {
      return "service, diagnosis_code or source";
    }
    const std::int64_t duration_s = request["duration_s"].as_int64();
    return duration_s >= 1 && duration_s <= kSilenceSecondsMax ? "" : "duration_s (1 to 31536000)";
  }
  return "";
}

void write_root_causes(core::JsonWriter& json, const correlate::CauseFinder& finder) {
  const correlate::CauseFinder::Counters& counters = finder.counters();
  json.key("root_causes")
      .begin_object()
      .field("series", static_cast<std::uint64_t>(finder.series_count()))
      .field("keys", static_cast<std::uint64_t>(finder.key_count()))
      .field("evicted", counters.evicted)
      .field("refused", counters.refused)
      .field("deferred", counters.deferred)
      .field("edges_refused", counters.edges_refused)
      .end_object();
}

void write_learned(core::JsonWriter& json, const core::LearnedState& learned) {
  json.key("weights").begin_object();
  for (std::size_t i = 0; i < core::kSourceCount; ++i) {
    const auto source = static_cast<core::Source>(i);
    json.field(core::to_string(source), learned.weight(source));
  }
  json.end_object().key("false_positives").begin_object();
  for (std::size_t i = 0; i < core::kSourceCount; ++i) {
    const auto source = static_cast<core::Source>(i);
    json.field(core::to_string(source), learned.reliability(source).false_positives);
  }
  json.end_object().key("thresholds").begin_object();
  for (const auto& [name, entry] : learned.adjustables()) json.field(name, entry.value);
  json.end_object();
}

}  // namespace

std::string run_to_json(const core::PlaybookRun& run) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("run_id", run.run_id)
      .field("incident_id", run.incident_id)
      .field("playbook", run.playbook)
      .field("service", run.service)
      .field("diagnosis", run.diagnosis_code)
      .field("status", core::to_string(run.state))
      .field("proposed", core::format_rfc3339(run.proposed_ts_ns))
      .field("changed", core::format_rfc3339(run.changed_ts_ns))
      .field("confidence", run.confidence)
      .key("blast_radius");
  if (run.blast_radius_known) {
    json.value(run.blast_radius);
  } else {
    json.null();
  }
  json.field("risk", run.risk)
      .field("requested_by", run.requested_by)
      .field("approved_by", run.approved_by)
      .field("reason", run.reason)
      .end_object();
  return out;
}

std::string ControlApi::handle(std::string_view request, const std::string& actor) {
  const auto parsed = parse::JsonValue::parse(request);
  if (!parsed) return refusal("the request is not JSON: " + parsed.error().message);
  const std::string_view op = (*parsed)["op"].as_string();
  if (op == "stats") return stats();
  if (op == "position") return position();
  if (op == "runs") return runs("");
  if (op == "run") return runs((*parsed)["id"].as_string());
  if (op == "silences") return silences();
  if (op == "subsystems") return subsystems();
  if (op == "log") return log(*parsed, actor);
  if (op == "control") return command(*parsed, actor);
  return refusal("there is no op '" + std::string(op) + "'");
}

std::string ControlApi::stats() {
  Summary summary;
  if (!collect(engine_, summary)) return refusal("the engine is busy");
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().field("ok", true).field("mode", mode_).raw_field("engine", to_json(summary));
  const bool answered = engine_.inspect([&](const pipeline::OrderedView& view) {
    json.field("event_time", core::format_rfc3339(view.now_ns))
        .field("paused", view.scheduler.paused())
        .array_field("open_breakers", view.scheduler.open_breakers())
        .field("services", static_cast<std::uint64_t>(view.topology.size()));
    write_learned(json, view.learned);
    write_root_causes(json, view.triggers.correlator().cause_finder());
  });
  if (!answered) return refusal("the engine is busy");
  json.field("durable_sequence", summary.durable_sequence);
  json.field("signed_sequence", summary.signed_sequence);
  if (!summary.checkpoint_error.empty()) json.field("checkpoint_error", summary.checkpoint_error);
  if (!summary.ledger_error.empty()) json.field("ledger_error", summary.ledger_error);
  if (!summary.redaction_error.empty()) json.field("redaction_error", summary.redaction_error);
  json.field("ledger_segments_removed", summary.ledger_keeping.segments_removed);
  json.field("ledger_segments_compressed", summary.ledger_keeping.segments_compressed);
  if (!summary.ledger_keeping.error.empty()) {
    json.field("ledger_keeping_error", summary.ledger_keeping.error);
  }
  if (summary.journal.recorded > 0) {
    json.key("journal").begin_object();
    json.field("recorded_sequence", summary.journal.recorded);
    json.field("hashed_sequence", summary.journal.hashed);
    json.field("unhashed_records", summary.journal.recorded - summary.journal.hashed);
    if (!summary.journal.error.empty()) json.field("hash_error", summary.journal.error);
    json.end_object();
  }
  json.key("sources").begin_array();
  for (const ingest::SourceFigures& source : summary.ingest.sources) {
    json.begin_object()
        .field("name", source.name)
        .field("bytes", source.bytes)
        .field("lines", source.lines)
        .field("dropped", source.dropped_lines)
        .field("read_errors", source.read_errors)
        .field("first_error", source.first_error)
        .field("connections_open", source.connections_open)
        .field("connections_refused", source.connections_refused)
        .end_object();
  }
  json.end_array().end_object();
  return out;
}

// Counters only: the ordered stage is not asked, so that a program may poll it while it measures.
std::string ControlApi::position() const {
  const pipeline::EventCounts counts = engine_.counts();
  const ingest::IngestFigures figures = engine_.ingest_figures();
  std::uint64_t input_sequence = first_sequence_;
  for (const ingest::SourceFigures& source : figures.sources) input_sequence += source.bytes;
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().field("ok", true).field("input_sequence", input_sequence);
  // Read last: what is decided may be ahead of the figures above, never behind.
  json.field("decided_sequence", engine_.decided_sequence())
      .field("rejected", counts.rejected_total())
      .key("sources")
      .begin_array();
  for (const ingest::SourceFigures& source : figures.sources) {
    json.begin_object().field("name", source.name).field("lines", source.lines).end_object();
  }
  json.end_array().end_object();
  return out;
}

std::string ControlApi::runs(std::string_view id) {
  std::string list;
  const bool answered = engine_.inspect([&](const pipeline::OrderedView& view) {
    for (const core::PlaybookRun& run : view.scheduler.runs()) {
      if (!id.empty() && run.run_id != id) continue;
      if (!list.empty()) list += ',';
      list += run_to_json(run);
    }
  });
  if (!answered) return refusal("the engine is busy");
  if (!id.empty() && list.empty()) return refusal("there is no run '" + std::string(id) + "'");
  return "{\"ok\":true,\"runs\":[" + list + "]}";
}

std::string ControlApi::silences() {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().field("ok", true).key("silences").begin_array();
  const bool answered = engine_.inspect([&](const pipeline::OrderedView& view) {
    for (const limit::Silence& silence : view.triggers.gates().silences(view.now_ns)) {
      json.begin_object()
          .field("id", silence.silence_id)
          .field("service", silence.service)
          .field("diagnosis", silence.diagnosis_code)
          .field("start", core::format_rfc3339(silence.start_ts_ns))
          .field("end", core::format_rfc3339(silence.end_ts_ns))
          .field("created_by", silence.created_by)
          .field("reason", silence.reason)
          .end_object();
    }
  });
  json.end_array().end_object();
  return answered ? out : refusal("the engine is busy");
}

bool ControlApi::wait_until(const std::function<bool(const pipeline::OrderedView&)>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kActWait;
  while (std::chrono::steady_clock::now() < deadline) {
    bool done = false;
    if (!engine_.inspect([&](const pipeline::OrderedView& view) { done = holds(view); }))
      return false;
    if (done) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

std::optional<pipeline::ControlOutcome> ControlApi::send(const core::ControlEvent& control,
                                                         std::string& why) {
  if (!commands_.push(core::to_json_line(control))) {
    why = "too many commands wait";
    return std::nullopt;
  }
  std::optional<pipeline::ControlOutcome> found;
  const bool acted = wait_until([&](const pipeline::OrderedView& view) {
    for (const pipeline::ControlOutcome& outcome : view.control_outcomes) {
      if (outcome.kind == control.kind && outcome.ts_ns == control.ts_ns &&
          outcome.actor == control.actor) {
        found = outcome;
      }
    }
    return found.has_value();
  });
  if (!acted) why = "the command is in the input, but has not acted yet";
  return found;
}

std::string ControlApi::subsystems() {
  std::string stats;
  const bool answered = engine_.inspect(
      [&](const pipeline::OrderedView& view) { stats = ledger::to_json(view.subsystem_stats); });
  return answered ? "{\"ok\":true,\"subsystems\":" + stats + "}" : refusal("the engine is busy");
}

// The entry takes the way of a command: it is in the journal before it is in the ledger, and a
// replay records it again at the same place.
std::string ControlApi::log(const parse::JsonValue& request, const std::string& actor) {
  const auto asked = parse_log_request(request);
  if (!asked) return refusal(asked.error().message);
  core::ControlEvent control;
  control.kind = core::ControlKind::kLog;
  control.actor = actor;
  control.ts_ns = core::SystemClock().wall_ns();
  control.body = core::LogControl{asked->entry};
  const auto deadline = std::chrono::steady_clock::now() + asked->timeout;
  std::string why;
  const auto outcome = send(control, why);
  if (!outcome) return refusal(why);
  if (!outcome->refusal.empty()) return refusal(outcome->refusal);
  const std::uint64_t sequence = outcome->record_sequence;
  const auto reached = [&] {
    if (sequence == 0) {  // given by the ledger later, as with retention: then all of it
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      const bool waits = asked->durability > Durability::kD0 && left.count() > 0;
      return waits && engine_.flush_ledger(left) ? Durability::kD2 : Durability::kD0;
    }
    if (engine_.durable_sequence() >= sequence) return Durability::kD2;
    return engine_.written_sequence() >= sequence ? Durability::kD1 : Durability::kD0;
  };
  Durability level = reached();
  while (level < asked->durability && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kSafePause);
    level = reached();
  }
  std::string out;
  core::JsonWriter(out)
      .begin_object()
      .field("ok", true)
      .field("sequence", sequence)
      .field("durability", to_string(level))
      .field("timed_out", level < asked->durability)
      .end_object();
  return out;
}

std::string ControlApi::command(const parse::JsonValue& request, const std::string& actor) {
  core::ControlEvent control = control_of(request, actor);
  if (control.kind == core::ControlKind::kNone) return refusal("not a control that people send");
  control.ts_ns = core::SystemClock().wall_ns();
  if (const std::string missing = missing_in(control, request); !missing.empty()) {
    return refusal(std::string(core::to_string(control.kind)) + ": give " + missing);
  }
  std::string unknown_run;
  const bool answered = engine_.inspect([&](const pipeline::OrderedView& view) {
    const auto* decision = std::get_if<core::RunDecision>(&control.body);
    if (decision != nullptr && !decision->run_id.empty() &&
        view.scheduler.find(decision->run_id) == nullptr) {
      unknown_run = decision->run_id;
    }
  });
  if (!answered) return refusal("the engine is busy");
  if (!unknown_run.empty()) return refusal("there is no run '" + unknown_run + "'");
  std::string why;
  const auto outcome = send(control, why);
  if (!outcome) return refusal(why);
  if (!outcome->refusal.empty()) return refusal(outcome->refusal);
  if (const auto* decision = std::get_if<core::RunDecision>(&control.body);
      decision != nullptr && !decision->run_id.empty()) {
    return runs(decision->run_id);
  }
  return "{\"ok\":true}";
}

}  // namespace grace::tools
