#include "outcome_record.h"

#include <cmath>

#include "grace/core/json_writer.h"

namespace grace::correlate {
namespace {

void field_if_known(core::JsonWriter& json, std::string_view name, double value) {
  if (!std::isnan(value)) json.field(name, value);
}

void field_if_known(core::JsonWriter& json, std::string_view name, const std::string& text) {
  if (!text.empty()) json.field(name, text);
}

}  // namespace

std::string credit_of(const core::Outcome& outcome) {
  const core::Trigger& trigger = outcome.trigger;
  if (trigger.finding.type == core::TriggerType::kCapacityPrediction) {
    return outcome.playbook.find("scale") == std::string::npos ? "Proactive action"
                                                               : "Proactive scaling";
  }
  return trigger.source == core::Source::kProactiveMl
             ? "ML prediction"
             : std::string(core::title_of(trigger.finding.type));
}

void record_outcome(core::RecordSink& records, const core::Outcome& outcome,
                    const OutcomeStatement& statement) {
  const core::Trigger& trigger = outcome.trigger;
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object();
  json.field("decision_type", statement.action.substr(std::string_view("decision_").size()));
  json.field("decision", statement.sentence);
  json.array_field("reasoning", statement.reasons);
  json.field("confidence", trigger.confidence);
  json.field("outcome", core::to_string(outcome.kind));
  json.field("trigger_id", trigger.trigger_id);
  json.field("source", core::to_string(trigger.source));
  json.field("diagnosis_code", trigger.finding.diagnosis_code);
  field_if_known(json, "incident_id", trigger.incident_id);
  field_if_known(json, "run_id", outcome.run_id);
  field_if_known(json, "playbook", outcome.playbook);
  field_if_known(json, "predicted_value", outcome.predicted_value);
  field_if_known(json, "observed_value", outcome.observed_value);
  field_if_known(json, "capacity_before", outcome.capacity_before);
  field_if_known(json, "capacity_after", outcome.capacity_after);
  json.end_object();
  records.append({outcome.settled_ts_ns, statement.actor, statement.action, trigger.finding.service,
                  statement.subsystem, core::to_string(outcome.kind), payload});
}

void record_weight(core::RecordSink& records, const core::Outcome& outcome,
                   std::string_view reason) {
  const core::Trigger& trigger = outcome.trigger;
  const auto& weight = outcome.weight;
  const std::string_view result = weight.after > weight.before   ? "raised"
                                  : weight.after < weight.before ? "lowered"
                                                                 : "unchanged";
  std::string payload;
  core::JsonWriter json(payload);
  json.begin_object();
  json.field("decision_type", "weight");
  json.array_field("reasoning", std::vector<std::string>{std::string(reason)});
  json.field("confidence", trigger.confidence);
  json.field("source", core::to_string(trigger.source));
  json.field("from", weight.before);
  json.field("to", weight.after);
  json.field("counted", weight.counted);
  // All that LearnedState::learn() read: a restart learns it again from this record.
  json.field("outcome", core::to_string(outcome.kind));
  json.field("diagnosis_code", trigger.finding.diagnosis_code);
  json.field("raw_confidence", trigger.finding.confidence);
  json.field("weak", trigger.weak);
  json.field("trigger_id", trigger.trigger_id);
  json.end_object();
  records.append({outcome.settled_ts_ns, "meta_loop", "decision_weight",
                  core::to_string(trigger.source), "meta_loop", result, payload});
}

}  // namespace grace::correlate
