#include "run_records.h"

#include <vector>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"

namespace grace::schedule {

std::string_view shortened(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

std::string run_payload(const Run& run) {
  const core::PlaybookRun& view = run.view;
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("run_id", view.run_id)
      .field("incident_id", view.incident_id)
      .field("playbook", view.playbook)
      .field("service", view.service)
      .field("diagnosis_code", view.diagnosis_code)
      .key("blast_radius");
  if (view.blast_radius_known) {
    json.value(view.blast_radius);
  } else {
    json.null();
  }
  json.field("risk", view.risk)
      .field("requested_by", view.requested_by)
      .field("approved_by", view.approved_by)
      .field("reason", view.reason)
      .field("confidence", view.confidence)
      .field("impact", core::to_string(run.incident.impact))
      .field("proactive", view.proactive)
      .field("diagnostic", view.diagnostic)
      .field("settles", view.settles)
      .field("ended", view.ended)
      .field("by_person", run.approved_by_person)
      .field("proposed_ts_ns", view.proposed_ts_ns)
      .field("expires_ts_ns", view.expires_ts_ns)
      .field("playbook_digest", run.playbook_digest);
  json.key("sources").begin_array();
  for (const auto& contribution : run.incident.contributions) {
    json.value(core::to_string(contribution.source));
  }
  json.end_array();
  json.key("parameters").begin_object();
  for (const auto& [name, value] : run.parameters) json.field(name, value);
  json.end_object().end_object();
  return out;
}

std::string decision_payload(const Run& run, const TrustDecision& decision) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("decision_type", "approval")
      .array_field("reasoning", decision.reasoning)
      .field("confidence", run.view.confidence)
      .field("rule", decision.rule)
      .field("run_id", run.view.run_id)
      .field("incident_id", run.view.incident_id)
      .field("playbook", run.view.playbook)
      .field("service", run.view.service)
      .field("risk", run.view.risk)
      .key("blast_radius");
  if (run.view.blast_radius_known) {
    json.value(run.view.blast_radius);
  } else {
    json.null();
  }
  json.end_object();
  return out;
}

}  // namespace grace::schedule
