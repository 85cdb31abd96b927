#include "trigger_record.h"

#include <string>
#include <vector>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"

namespace grace::pipeline {
namespace {

constexpr std::string_view kSubsystem = "intelligent_triggers";

void write_evidence(core::JsonWriter& json, const core::Finding& finding) {
  json.key("evidence").begin_array();
  for (const core::Evidence& evidence : finding.evidence) {
    json.begin_object();
    json.field("sequence", evidence.sequence);
    json.field("ts", core::format_rfc3339(evidence.ts_ns));
    json.field("note", evidence.note);
    json.end_object();
  }
  json.end_array();
}

void write_stop(core::JsonWriter& json, const TriggerManager::Stop& stop) {
  json.field("stopped_by", stop.why);
  if (stop.gate == Gate::kDuplicate) json.field("duplicate_of", stop.cause_id);
  if (stop.gate == Gate::kSilence) json.field("silence_id", stop.cause_id);
  if (stop.gate == Gate::kMinConfidence) json.field("min_confidence", stop.minimum);
}

void write_contributions(core::JsonWriter& json, const core::Incident& incident) {
  json.key("contributions").begin_array();
  for (const core::Contribution& part : incident.contributions) {
    json.begin_object();
    json.field("source", core::to_string(part.source));
    json.field("trigger_id", part.trigger_id);
    json.field("confidence", part.confidence);
    json.field("weight", part.weight);
    json.field("log_odds", part.log_odds);
    json.field("independent", part.independent);
    json.end_object();
  }
  json.end_array();
}

// "root_cause" with what it rests on beside it; the probabilities sum to one.
void write_root_cause(core::JsonWriter& json, const correlate::IncidentChange& change) {
  const correlate::CauseRanking& ranking = change.causes;
  json.field("root_cause", change.incident.root_cause);
  json.key("root_cause_evidence").begin_object();
  json.field("decided_by", ranking.decides ? "ranking" : "dependents and onset");
  json.key("ranking").begin_array();
  for (const correlate::Suspect& suspect : ranking.suspects) {
    json.begin_object();
    json.field("service", suspect.service);
    json.field("probability", suspect.probability);
    if (!suspect.metric.empty()) json.field("metric", suspect.metric);
    if (suspect.onset_ts_ns != 0) json.field("onset", core::format_rfc3339(suspect.onset_ts_ns));
    json.end_object();
  }
  json.end_array();
  json.field("others", ranking.others);
  json.field("none_of_these", ranking.none);
  json.end_object();
}

std::vector<std::string_view> sources_of(const core::Incident& incident) {
  std::vector<std::string_view> sources;
  for (const core::Contribution& part : incident.contributions) {
    sources.push_back(core::to_string(part.source));
  }
  return sources;
}

std::string_view to_string(core::IncidentState state) {
  switch (state) {
    case core::IncidentState::kOpen:
      return "open";
    case core::IncidentState::kHealed:
      return "healed";
    case core::IncidentState::kResolved:
      break;
  }
  return "resolved";
}

std::int64_t time_of(const correlate::IncidentChange& change) {
  return change.event == correlate::IncidentEvent::kResolved ? change.incident.resolved_ts_ns
                                                             : change.incident.updated_ts_ns;
}

}  // namespace

void record_trigger(core::RecordSink& records, const core::Trigger& trigger,
                    const TriggerManager::Stop& stop) {
  const core::Finding& finding = trigger.finding;
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object();
  json.field("trigger_id", trigger.trigger_id);
  json.field("source", core::to_string(trigger.source));
  json.field("trigger_type", core::to_string(finding.type));
  json.field("service", finding.service);
  json.field("domain", finding.domain);
  json.field("diagnosis_code", finding.diagnosis_code);
  json.field("what", finding.what);
  json.field("confidence", trigger.confidence);
  json.field("raw_confidence", finding.confidence);
  json.field("impact", core::to_string(finding.impact));
  json.array_field("reasoning", finding.reasoning);
  json.array_field("suggested_playbooks", finding.suggested_playbooks);
  json.key("metadata").begin_object();
  for (const auto& [name, raw] : finding.metadata) json.raw_field(name, raw);
  json.end_object();
  write_evidence(json, finding);
  json.field("sequence", trigger.sequence);
  json.field("created_at", core::format_rfc3339(trigger.created_ts_ns));
  if (!trigger.incident_id.empty()) json.field("incident_id", trigger.incident_id);
  if (!finding.upstream_id.empty()) json.field("upstream_id", finding.upstream_id);
  if (stop.gate != Gate::kPassed) write_stop(json, stop);
  json.end_object();
  std::string result(to_string(stop.gate));
  if (stop.gate != Gate::kPassed) result.insert(0, "suppressed:");
  records.append({trigger.created_ts_ns, core::to_string(trigger.source), "intelligent_trigger",
                  finding.service, kSubsystem, result, payload});
}

void record_prediction(core::RecordSink& records, const core::Trigger& trigger) {
  const core::Finding& finding = trigger.finding;
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object();
  json.field("code", finding.diagnosis_code);
  json.field("title", core::title_of(finding.type));
  json.field("likelihood", trigger.confidence);
  json.field("impact", core::to_string(finding.impact));
  json.array_field("suggested_playbooks", finding.suggested_playbooks);
  json.array_field("reasons", finding.reasoning);
  json.field("source", core::to_string(trigger.source));
  json.field("incident_id", trigger.incident_id);
  json.field("trigger_id", trigger.trigger_id);
  json.end_object();
  records.append({trigger.created_ts_ns, kSubsystem, "self_heal.prediction", finding.service,
                  kSubsystem, "emitted", payload});
}

void record_incident(core::RecordSink& records, const correlate::IncidentChange& change) {
  const core::Incident& incident = change.incident;
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object();
  json.field("incident_id", incident.incident_id);
  json.field("confidence", incident.confidence);
  json.field("impact", core::to_string(incident.impact));
  json.field("diagnosis_code", incident.diagnosis_code);
  json.field("state", to_string(incident.state));
  json.array_field("services", incident.services);
  json.array_field("trigger_ids", incident.trigger_ids);
  json.array_field("sources", sources_of(incident));
  write_root_cause(json, change);
  json.array_field("suggested_playbooks", incident.suggested_playbooks);
  json.field("proactive_only", incident.proactive_only);
  json.field("reason", change.reason);
  json.field("opened_at", core::format_rfc3339(incident.opened_ts_ns));
  if (incident.predicted_ts_ns != 0) {
    json.field("predicted_time", core::format_rfc3339(incident.predicted_ts_ns));
  }
  write_contributions(json, incident);
  json.end_object();
  records.append({time_of(change), kSubsystem, "incident", incident.service, kSubsystem,
                  correlate::to_string(change.event), payload});
}

void record_silence(core::RecordSink& records, const limit::Silence& silence,
                    std::string_view silence_id, std::int64_t now_ns) {
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object();
  json.field("decision_type", "silence");
  json.array_field("reasoning", std::vector<std::string>{silence.reason});
  json.field("confidence", 1.0);
  json.field("silence_id", silence_id);
  json.field("service", silence.service);
  json.field("domain", silence.domain);
  json.field("diagnosis_code", silence.diagnosis_code);
  json.field("source", silence.source ? core::to_string(*silence.source) : std::string_view());
  json.field("starts", core::format_rfc3339(silence.start_ts_ns));
  json.field("ends", core::format_rfc3339(silence.end_ts_ns));
  json.end_object();
  records.append({now_ns, silence.created_by, "decision_silence", silence.service, kSubsystem,
                  "added", payload});
}

void record_silence_expired(core::RecordSink& records, std::string_view silence_id,
                            std::string_view actor, std::int64_t now_ns) {
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object();
  json.field("decision_type", "silence");
  json.array_field("reasoning", std::vector<std::string>{"expired by hand"});
  json.field("confidence", 1.0);
  json.field("silence_id", silence_id);
  json.end_object();
  records.append({now_ns, actor, "decision_silence", silence_id, kSubsystem, "expired", payload});
}

}  // namespace grace::pipeline
