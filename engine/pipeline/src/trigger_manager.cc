#include "grace/pipeline/trigger_manager.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "grace/core/json_writer.h"
#include "trigger_record.h"

namespace grace::pipeline {
namespace {

using core::ErrorCode;
using core::make_error;
using core::Result;

limit::SilenceSubject subject_of(const core::Trigger& trigger) {
  const core::Finding& finding = trigger.finding;
  return {trigger.source, finding.service, finding.domain, finding.diagnosis_code};
}

std::size_t index_of(Gate gate) {
  return static_cast<std::size_t>(gate);
}

// An entry is written over where that keeps no more than this beyond what the new one needs; else
// rare triggers with many or long texts would leave their memory in one entry after the other.
constexpr std::size_t kSpareBytesMax = 64;

// What its texts and lists hold on to.
std::size_t held_bytes(const core::Trigger& trigger) {
  const core::Finding& finding = trigger.finding;
  std::size_t sum = trigger.trigger_id.capacity() + trigger.incident_id.capacity() +
                    finding.service.capacity() + finding.domain.capacity() +
                    finding.diagnosis_code.capacity() + finding.what.capacity() +
                    finding.upstream_id.capacity() +
                    finding.suggested_playbooks.capacity() * sizeof(std::string) +
                    finding.metadata.capacity() * sizeof(finding.metadata[0]);
  for (const std::string& playbook : finding.suggested_playbooks) sum += playbook.capacity();
  for (const auto& [name, raw] : finding.metadata) sum += name.capacity() + raw.capacity();
  return sum;
}

}  // namespace

std::string_view to_string(Gate gate) noexcept {
  static constexpr std::array<std::string_view, kGateCount> kNames{
      "emitted", "disabled", "min_confidence", "duplicate", "silence", "hourly_limit"};
  return kNames[index_of(gate)];
}

std::string TriggerStats::to_json() const {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  json.field("total_triggers", total_triggers);
  json.key("by_source").begin_object();
  for (std::size_t i = 0; i < by_source.size(); ++i) {
    json.field(core::to_string(static_cast<core::Source>(i)), by_source[i]);
  }
  json.end_object();
  json.key("by_type").begin_object();
  for (std::size_t i = 0; i < by_type.size(); ++i) {
    if (by_type[i] == 0) continue;
    json.field(core::to_string(static_cast<core::TriggerType>(i)), by_type[i]);
  }
  json.end_object();
  json.field("avg_confidence", avg_confidence());
  json.key("suppressed").begin_object();
  for (std::size_t i = 1; i < suppressed.size(); ++i) {
    json.field(to_string(static_cast<Gate>(i)), suppressed[i]);
  }
  json.end_object();
  json.end_object();
  return out;
}

std::optional<Directive> directive_of(const core::Trigger& trigger) {
  if (trigger.source != core::Source::kMetaLoop) return std::nullopt;
  const std::string parameter = correlate::metadata_text(trigger.finding, "parameter");
  const auto from = correlate::metadata_number(trigger.finding, "from");
  const auto to = correlate::metadata_number(trigger.finding, "to");
  if (parameter.empty() || !from || !to) return std::nullopt;
  return Directive{parameter, *from, *to};
}

Result<TriggerManagerConfig> validated(TriggerManagerConfig config) {
  auto limit = limit::validated(std::move(config.limit));
  if (!limit) return tl::unexpected<core::Error>(limit.error());
  config.limit = std::move(*limit);
  const auto correlate = correlate::validated(config.correlate);
  if (!correlate) return tl::unexpected<core::Error>(correlate.error());
  const auto outcome = correlate::validated(config.outcome);
  if (!outcome) return tl::unexpected<core::Error>(outcome.error());
  if (config.recent_max < 1) {
    return make_error(ErrorCode::kConfig, "triggers.recent_max = 0: must be at least 1");
  }
  return config;
}

TriggerManager::TriggerManager(TriggerManagerConfig config, const Wiring& wiring)
    : config_(std::move(config)),
      wiring_(wiring),
      gates_(config_.limit, wiring_.learned),
      correlator_(config_.correlate, wiring_.topology, wiring_.learned),
      outcomes_(config_.outcome, wiring_.learned, wiring_.records) {
  limit::declare_adjustables(config_.limit, wiring_.learned);
}

Gate TriggerManager::offer(core::Finding finding, std::uint64_t sequence, std::uint32_t rank) {
  core::Trigger trigger;
  trigger.source = core::source_of(finding.type);
  trigger.trigger_id = correlate::trigger_id_of(finding, sequence, rank);
  trigger.fingerprint = correlate::fingerprint_of(finding);
  trigger.sequence = sequence;
  trigger.rank = rank;
  trigger.created_ts_ns = finding.ts_ns;
  trigger.finding = std::move(finding);
  trigger.confidence = trigger.finding.confidence;

  std::vector<correlate::IncidentChange> changes;
  const Stop stop = run_gates(trigger, changes);
  count(trigger, stop.gate);
  remember(trigger);
  record_trigger(wiring_.records, trigger, stop);
  if (stop.gate == Gate::kPassed) record_prediction(wiring_.records, trigger);
  const bool heard = stop.gate == Gate::kPassed || trigger.weak;
  if (heard) outcomes_.on_trigger(trigger);
  publish(changes);
  if (heard) wiring_.listener.on_trigger(trigger);
  announce_ready();
  return stop.gate;
}

TriggerManager::Stop TriggerManager::run_gates(core::Trigger& trigger,
                                               std::vector<correlate::IncidentChange>& changes) {
  const std::int64_t now = std::max(now_ns_, trigger.created_ts_ns);
  if (!gates_.check_enabled(trigger.source)) {
    return {Gate::kDisabled, std::string(core::to_string(trigger.source)) + " is disabled"};
  }
  trigger.confidence = wiring_.learned.calibrated(trigger.source, trigger.finding.confidence);
  const limit::Silence* const silence = gates_.find_silence(subject_of(trigger), now);
  const bool hour_is_full = !gates_.check_hourly(trigger.source, now);

  if (!gates_.check_min_confidence(trigger.source, trigger.confidence)) {
    trigger.weak = true;
    if (silence == nullptr && !hour_is_full) correlator_.add(trigger, changes);
    return {Gate::kMinConfidence,
            "below " + std::string(limit::min_confidence_name(trigger.source)),
            {},
            gates_.min_confidence(trigger.source)};
  }
  if (const auto first = correlator_.find_duplicate(trigger.fingerprint)) {
    trigger.incident_id = first->incident_id;
    if (auto change = correlator_.merge_duplicate(trigger, silence == nullptr)) {
      changes.push_back(std::move(*change));
    }
    if (const auto at = recent_.find(first->trigger_id); at != recent_.end()) {
      ++at->second.trigger.duplicate_count;
    }
    return {Gate::kDuplicate, "same as " + first->trigger_id, first->trigger_id};
  }
  if (silence != nullptr) {
    trigger.incident_id = correlator_.plan(trigger);
    return {Gate::kSilence, "silenced by " + silence->silence_id, silence->silence_id};
  }
  if (hour_is_full) {
    trigger.incident_id = correlator_.plan(trigger);
    return {Gate::kHourlyLimit, std::to_string(config_.limit.of(trigger.source).per_hour_max) +
                                    " triggers in the last hour"};
  }
  gates_.count_hourly(trigger.source, now);
  correlator_.add(trigger, changes);
  return {Gate::kPassed, {}};
}

void TriggerManager::count(const core::Trigger& trigger, Gate gate) {
  if (gate != Gate::kPassed) {
    ++stats_.suppressed[index_of(gate)];
    return;
  }
  ++stats_.total_triggers;
  ++stats_.by_source[static_cast<std::size_t>(trigger.source)];
  ++stats_.by_type[static_cast<std::size_t>(trigger.finding.type)];
  stats_.confidence_sum += trigger.confidence;
}

// The entry that makes room is written over: what it had allocated was last touched thousands of
// triggers ago, and freeing that piece by piece cost as much as all of the gates.
void TriggerManager::remember(core::Trigger& trigger) {
  auto at = recent_.find(trigger.trigger_id);
  if (at == recent_.end()) {
    decltype(recent_)::node_type oldest;
    if (recent_.size() == config_.recent_max) {
      oldest = recent_.extract(*recent_order_.front());
      recent_order_.pop_front();
      if (held_bytes(oldest.mapped().trigger) > held_bytes(trigger) + kSpareBytesMax) oldest = {};
    }
    if (oldest.empty()) {
      at = recent_.try_emplace(trigger.trigger_id).first;
    } else {
      oldest.key() = trigger.trigger_id;
      oldest.mapped().judged = false;
      at = recent_.insert(std::move(oldest)).position;
    }
    recent_order_.push_back(&at->first);
  }
  auto reasoning = std::exchange(trigger.finding.reasoning, {});
  auto evidence = std::exchange(trigger.finding.evidence, {});
  at->second.trigger = trigger;
  trigger.finding.reasoning = std::move(reasoning);
  trigger.finding.evidence = std::move(evidence);
}

void TriggerManager::publish(const std::vector<correlate::IncidentChange>& changes) {
  for (const correlate::IncidentChange& change : changes) {
    record_incident(wiring_.records, change);
    if (change.event == correlate::IncidentEvent::kResolved) {
      outcomes_.on_incident_resolved(change.incident.incident_id);
    }
  }
  for (const correlate::IncidentChange& change : changes) {
    wiring_.listener.on_incident_update(change.incident);
  }
}

void TriggerManager::publish(const std::vector<core::Outcome>& outcomes) {
  for (const core::Outcome& outcome : outcomes) wiring_.listener.on_outcome(outcome);
}

bool TriggerManager::held_by_silence(const core::Incident& incident) const {
  bool any_known = false;
  for (const std::string& trigger_id : incident.trigger_ids) {
    const core::Trigger* const trigger = find_trigger(trigger_id);
    if (trigger == nullptr || trigger->weak) continue;
    any_known = true;
    if (gates_.find_silence(subject_of(*trigger), now_ns_) == nullptr) return false;
  }
  return any_known;
}

void TriggerManager::announce_ready() {
  for (const core::Incident& incident : correlator_.ready(now_ns_)) {
    // An earlier announcement of this loop may have led to a run that healed or claimed it.
    if (correlator_.find(incident.incident_id) == nullptr || held_by_silence(incident)) continue;
    correlator_.mark_announced(incident.incident_id);
    wiring_.listener.on_incident_ready(incident);
  }
}

void TriggerManager::on_tick(std::int64_t now_ns) {
  now_ns_ = std::max(now_ns_, now_ns);
  gates_.on_tick(now_ns_);
  std::vector<core::Outcome> outcomes;
  outcomes_.on_tick(now_ns_, outcomes);
  std::vector<correlate::IncidentChange> changes;
  correlator_.on_tick(now_ns_, changes);
  publish(outcomes);
  publish(changes);
  announce_ready();
}

void TriggerManager::on_observation(const core::Observation& observation) {
  correlator_.on_observation(observation);
  outcomes_.on_observation(observation);
}

void TriggerManager::on_run(const core::PlaybookRun& run) {
  std::vector<core::Outcome> outcomes;
  outcomes_.on_run(run, std::max(now_ns_, run.changed_ts_ns), outcomes);
  std::vector<correlate::IncidentChange> changes;
  correlator_.on_run(run, changes);
  publish(outcomes);
  publish(changes);
}

Result<void> TriggerManager::feedback(std::string_view trigger_id, bool right,
                                      std::string_view actor, std::string_view reason,
                                      std::int64_t now_ns) {
  const auto at = recent_.find(trigger_id);
  if (at == recent_.end()) {
    return make_error(ErrorCode::kNotFound,
                      "trigger '" + std::string(trigger_id) + "' is unknown or long past");
  }
  if (at->second.judged) {
    return make_error(ErrorCode::kInvalidArgument,
                      "trigger '" + std::string(trigger_id) + "' already has a verdict");
  }
  at->second.judged = true;
  std::vector<core::Outcome> outcomes;
  outcomes_.on_feedback(at->second.trigger, right, actor, reason, std::max(now_ns_, now_ns),
                        outcomes);
  publish(outcomes);
  return {};
}

Result<std::string> TriggerManager::add_silence(limit::Silence silence, std::int64_t now_ns) {
  const limit::Silence copy = silence;
  auto silence_id = gates_.add_silence(std::move(silence));
  if (silence_id) record_silence(wiring_.records, copy, *silence_id, std::max(now_ns_, now_ns));
  return silence_id;
}

Result<void> TriggerManager::expire_silence(std::string_view silence_id, std::string_view actor,
                                            std::int64_t now_ns) {
  const std::int64_t now = std::max(now_ns_, now_ns);
  auto done = gates_.expire_silence(silence_id, now);
  if (done) record_silence_expired(wiring_.records, silence_id, actor, now);
  return done;
}

const core::Trigger* TriggerManager::find_trigger(std::string_view trigger_id) const {
  const auto at = recent_.find(trigger_id);
  return at == recent_.end() ? nullptr : &at->second.trigger;
}

}  // namespace grace::pipeline
