#include "grace/correlate/outcome_tracker.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "grace/core/time.h"
#include "outcome_record.h"

namespace grace::correlate {
namespace {

using core::OutcomeKind;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
// A bin that ends this close to the time named, or later, was seen in time. Two default bins.
constexpr std::int64_t kOnTimeNs = 2 * core::kNsPerMinute;

std::int64_t to_ns(std::chrono::seconds duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

bool is_forecast(const core::Trigger& trigger) {
  return trigger.finding.predicted_ts_ns > 0;
}

// A shortage of demand against capacity. One that is read from utilisation (what is a saturation
// metric, capacity its ceiling) is a range forecast: an action does change that.
bool is_about_demand(const core::Trigger& trigger) {
  return trigger.finding.type == core::TriggerType::kCapacityPrediction &&
         core::role_of_metric(trigger.finding.what) != core::MetricRole::kSaturation;
}

bool heals(const core::PlaybookRun& run) {
  return run.state == core::RunState::kSucceeded && !run.diagnostic &&
         run.playbook != "adjust_threshold";
}

bool concerns(const core::PlaybookRun& run, const core::Trigger& trigger) {
  return run.incident_id == trigger.incident_id || run.service == trigger.finding.service;
}

}  // namespace

std::optional<double> metadata_number(const core::Finding& finding, std::string_view key) {
  for (const auto& [name, json] : finding.metadata) {
    if (name != key) continue;
    double number = 0.0;
    const auto [end, error] = std::from_chars(json.data(), json.data() + json.size(), number);
    if (error != std::errc() || end != json.data() + json.size() || !std::isfinite(number)) {
      return std::nullopt;
    }
    return number;
  }
  return std::nullopt;
}

std::string metadata_text(const core::Finding& finding, std::string_view key) {
  for (const auto& [name, json] : finding.metadata) {
    if (name != key) continue;
    const bool plain = json.size() >= 2 && json.front() == '"' && json.back() == '"' &&
                       json.find('\\') == std::string::npos;
    return plain ? json.substr(1, json.size() - 2) : std::string();
  }
  return {};
}

OutcomeTracker::OutcomeTracker(OutcomeConfig config, core::LearnedState& learned,
                               core::RecordSink& records)
    : config_(config), learned_(learned), records_(records) {}

void OutcomeTracker::on_trigger(const core::Trigger& trigger) {
  if (is_forecast(trigger)) {
    if (forecasts_.size() >= config_.pending_max) {
      ++evicted_count_;
      forecasts_.pop_front();
    }
    forecasts_.push_back(forecast_of(trigger));
    return;
  }
  if (trigger.weak || trigger.incident_id.empty()) return;
  if (!reactive_.contains(trigger.incident_id)) {
    if (reactive_.size() >= config_.incidents_max) {
      ++evicted_count_;
      reactive_.erase(reactive_order_.front());
      reactive_order_.pop_front();
    }
    reactive_order_.push_back(trigger.incident_id);
  }
  std::vector<core::Trigger>& triggers = reactive_[trigger.incident_id];
  const auto same = std::find_if(triggers.begin(), triggers.end(), [&](const core::Trigger& other) {
    return other.source == trigger.source;
  });
  if (same == triggers.end()) {
    triggers.push_back(trigger);
  } else if (trigger.confidence > same->confidence) {
    *same = trigger;
  }
}

OutcomeTracker::Forecast OutcomeTracker::forecast_of(const core::Trigger& trigger) const {
  const core::Finding& finding = trigger.finding;
  const auto number = [&](std::string_view key) { return metadata_number(finding, key); };
  Forecast forecast;
  forecast.trigger = trigger;
  forecast.deadline_ns = finding.predicted_ts_ns + to_ns(config_.forecast_grace);
  const auto low = number("range_low");
  const auto high = number("range_high");
  forecast.has_range = low.has_value() || high.has_value();
  forecast.range_low = low.value_or(-kInfinity);
  forecast.range_high = high.value_or(kInfinity);
  const auto demand = number("predicted_demand");
  forecast.predicted_value = demand ? *demand : number("predicted_value").value_or(kUnknown);
  forecast.capacity_before = number("capacity").value_or(kUnknown);
  if (finding.type == core::TriggerType::kCapacityPrediction && !is_about_demand(trigger)) {
    forecast.has_range = !std::isnan(forecast.capacity_before);
    forecast.range_high = forecast.has_range ? forecast.capacity_before : kInfinity;
    forecast.capacity_before = kUnknown;
    forecast.capacity_now = kUnknown;
    forecast.worst_seen = kUnknown;
    return forecast;
  }
  if (const auto shortfall = number("shortfall");
      std::isnan(forecast.capacity_before) && shortfall) {
    forecast.capacity_before = forecast.predicted_value * (1.0 - *shortfall);
  }
  forecast.capacity_now = kUnknown;
  forecast.worst_seen = kUnknown;
  return forecast;
}

void OutcomeTracker::on_observation(const core::Observation& observation) {
  if (observation.kind != core::ObservationKind::kSeriesBin) return;
  for (Forecast& forecast : forecasts_) {
    const core::Finding& finding = forecast.trigger.finding;
    if (finding.service != observation.service) continue;
    if (observation.ts_ns <= forecast.trigger.created_ts_ns) continue;
    if (is_about_demand(forecast.trigger)) {
      observe_capacity(forecast, observation);
    } else if (finding.what.empty() || finding.what == observation.name) {
      observe_series(forecast, observation);
    }
  }
}

void OutcomeTracker::observe_series(Forecast& forecast,
                                    const core::Observation& observation) const {
  // Until the deadline, or until what was noted as prevented is confirmed.
  if (forecast.noted_ts_ns == 0 && observation.ts_ns > forecast.deadline_ns) return;
  forecast.seen_ts_ns = std::max(forecast.seen_ts_ns, observation.ts_ns);
  auto series = std::find_if(forecast.series.begin(), forecast.series.end(), [&](const Seen& seen) {
    return seen.series_key == observation.order_key;
  });
  if (series == forecast.series.end()) {
    if (forecast.series.size() >= kSeriesMax) return;
    series = forecast.series.insert(series, Seen{observation.order_key});
  }
  series->value = observation.value;
  const bool outside =
      forecast.has_range
          ? observation.value < forecast.range_low || observation.value > forecast.range_high
          : observation.warm && std::fabs(observation.deviation) >= config_.deviation_min;
  if (std::isnan(forecast.worst_seen) || observation.value > forecast.worst_seen) {
    forecast.worst_seen = observation.value;
  }
  if (!outside) {
    series->was_inside = true;
    series->outside_count = 0;
    return;
  }
  ++series->outside_count;
  // The range is that of one series, and others may share its name (another host): one that was
  // never inside is another, unless it is the only one and stays outside.
  const bool same_series = !forecast.has_range || series->was_inside ||
                           (forecast.series.size() == 1 && series->outside_count >= 2);
  if (same_series) forecast.came_true = true;
}

void OutcomeTracker::observe_capacity(Forecast& forecast,
                                      const core::Observation& observation) const {
  const std::string& what = forecast.trigger.finding.what;
  const bool is_demand =
      what.empty() ? observation.role == core::MetricRole::kDemand : observation.name == what;
  if (!is_demand && observation.role != core::MetricRole::kCapacity) return;
  std::vector<Seen>& table = is_demand ? forecast.series : forecast.capacity;
  auto series = std::find_if(table.begin(), table.end(), [&](const Seen& seen) {
    return seen.series_key == observation.order_key;
  });
  if (series == table.end()) {
    if (table.size() >= kSeriesMax) return;
    series = table.insert(table.end(), Seen{observation.order_key});
  }
  series->value = observation.value;
  const auto total = [](const std::vector<Seen>& seen) {
    double sum = 0.0;
    for (const Seen& one : seen) sum += one.value;
    return sum;
  };
  if (!is_demand) {
    forecast.capacity_now = total(table);
    return;
  }
  const double demand = total(table);
  forecast.seen_ts_ns = std::max(forecast.seen_ts_ns, observation.ts_ns);
  if (std::isnan(forecast.worst_seen) || demand > forecast.worst_seen) {
    forecast.worst_seen = demand;
  }
  if (demand > forecast.capacity_before) forecast.demand_came = true;
  const double capacity =
      std::isnan(forecast.capacity_now) ? forecast.capacity_before : forecast.capacity_now;
  const bool in_time =
      observation.ts_ns >= forecast.trigger.finding.predicted_ts_ns - core::kNsPerMinute;
  if (in_time && demand > capacity) forecast.came_true = true;
}

void OutcomeTracker::on_tick(std::int64_t now_ns, std::vector<core::Outcome>& outcomes) {
  std::size_t kept = 0;  // compacts in place, in order
  for (std::size_t at = 0; at < forecasts_.size(); ++at) {
    if (step(forecasts_[at], now_ns, outcomes)) continue;
    if (kept != at) forecasts_[kept] = std::move(forecasts_[at]);
    ++kept;
  }
  forecasts_.resize(kept);
}

bool OutcomeTracker::step(Forecast& forecast, std::int64_t now_ns,
                          std::vector<core::Outcome>& outcomes) {
  if (forecast.came_true) {
    settle_forecast(forecast, OutcomeKind::kForecastCameTrue, now_ns, outcomes);
    return true;
  }
  if (forecast.noted_ts_ns != 0) {
    if (now_ns - forecast.noted_ts_ns < to_ns(config_.prevented_confirm)) return false;
    settle_forecast(forecast, OutcomeKind::kPrevented, now_ns, outcomes);
    return true;
  }
  if (forecast.run_working) return false;
  const std::int64_t predicted_ns = forecast.trigger.finding.predicted_ts_ns;
  const bool capacity = is_about_demand(forecast.trigger);
  if (forecast.run_ts_ns != 0) {
    const bool held = capacity ? now_ns >= predicted_ns && forecast.demand_came &&
                                     forecast.seen_ts_ns >= predicted_ns - kOnTimeNs
                               : now_ns - forecast.run_ts_ns >= to_ns(config_.prevented_hold) &&
                                     forecast.seen_ts_ns > forecast.run_ts_ns;
    if (held) {
      note_prevented(forecast, now_ns);
      return false;
    }
    // A run that was verified late still gets its hold before the forecast is judged.
    if (!capacity && now_ns - forecast.run_ts_ns < to_ns(config_.prevented_hold)) return false;
  }
  return now_ns >= forecast.deadline_ns && judge_at_deadline(forecast, now_ns, outcomes);
}

bool OutcomeTracker::judge_at_deadline(Forecast& forecast, std::int64_t now_ns,
                                       std::vector<core::Outcome>& outcomes) {
  const bool seen_in_time =
      forecast.seen_ts_ns >= forecast.trigger.finding.predicted_ts_ns - kOnTimeNs;
  // After a run that did change the series, silence about it proves nothing either way.
  const bool acted = forecast.run_ts_ns != 0 && !is_about_demand(forecast.trigger);
  if (!seen_in_time || acted) {
    ++unknown_count_;
    return true;
  }
  settle_forecast(forecast, OutcomeKind::kForecastDidNot, now_ns, outcomes);
  return true;
}

namespace {

core::Outcome outcome_of(const core::Trigger& trigger, OutcomeKind kind, std::int64_t now_ns) {
  core::Outcome outcome;
  outcome.trigger = trigger;
  outcome.kind = kind;
  outcome.settled_ts_ns = now_ns;
  return outcome;
}

}  // namespace

void OutcomeTracker::note_prevented(Forecast& forecast, std::int64_t now_ns) {
  forecast.noted_ts_ns = now_ns;
  core::Outcome outcome = outcome_of(forecast.trigger, OutcomeKind::kPrevented, now_ns);
  outcome.run_id = forecast.run_id;
  outcome.playbook = forecast.playbook;
  outcome.predicted_value = forecast.predicted_value;
  outcome.observed_value = forecast.worst_seen;
  outcome.capacity_before = forecast.capacity_before;
  outcome.capacity_after = forecast.capacity_now;
  const std::string sentence = credit_of(outcome) + " prevented incident";
  record_outcome(
      records_, outcome,
      {"meta_loop",
       "meta_loop",
       "decision_outcome",
       sentence,
       {sentence,
        "Forecast for " + core::format_rfc3339(forecast.trigger.finding.predicted_ts_ns) + " of " +
            forecast.trigger.finding.diagnosis_code + " on " + forecast.trigger.finding.service,
        forecast.playbook + " was verified at " + core::format_rfc3339(forecast.run_ts_ns),
        "Our own action may be the cause: counts at reduced weight"}});
}

void OutcomeTracker::settle_forecast(const Forecast& forecast, OutcomeKind kind,
                                     std::int64_t now_ns, std::vector<core::Outcome>& outcomes) {
  core::Outcome outcome = outcome_of(forecast.trigger, kind, now_ns);
  outcome.run_id = forecast.run_id;
  outcome.playbook = forecast.playbook;
  outcome.predicted_value = forecast.predicted_value;
  outcome.observed_value = forecast.worst_seen;
  outcome.capacity_before = forecast.capacity_before;
  outcome.capacity_after = forecast.capacity_now;
  const std::string credit = credit_of(outcome);
  if (kind == OutcomeKind::kPrevented) {
    learn(std::move(outcome), credit + " prevented incident, and it stayed away", outcomes);
    return;
  }
  const bool came = kind == OutcomeKind::kForecastCameTrue;
  const std::string sentence = credit + (came ? " came true" : " did not come true");
  const std::string when = came ? "Seen at " + core::format_rfc3339(forecast.seen_ts_ns)
                                : "Not seen by " + core::format_rfc3339(forecast.deadline_ns);
  record_outcome(records_, outcome,
                 {"meta_loop", "meta_loop", "decision_outcome", sentence, {sentence, when}});
  learn(std::move(outcome), sentence, outcomes);
}

void OutcomeTracker::on_run(const core::PlaybookRun& run, std::int64_t now_ns,
                            std::vector<core::Outcome>& outcomes) {
  if (run.diagnostic || run.playbook == "adjust_threshold") return;
  const bool working =
      run.state == core::RunState::kExecuting || run.state == core::RunState::kVerifying;
  for (Forecast& forecast : forecasts_) {
    if (!concerns(run, forecast.trigger)) continue;
    forecast.run_working = working;
    if (!heals(run) || forecast.run_ts_ns != 0) continue;
    forecast.run_ts_ns = std::max(now_ns, run.changed_ts_ns);
    forecast.run_id = run.run_id;
    forecast.playbook = run.playbook;
  }
  if (heals(run)) credit_sources(run, now_ns, outcomes);
}

void OutcomeTracker::credit_sources(const core::PlaybookRun& run, std::int64_t now_ns,
                                    std::vector<core::Outcome>& outcomes) {
  const auto at = reactive_.find(run.incident_id);
  if (at == reactive_.end()) return;
  const std::vector<core::Trigger> triggers = std::move(at->second);
  on_incident_resolved(run.incident_id);
  for (const core::Trigger& trigger : triggers) {
    core::Outcome outcome = outcome_of(trigger, OutcomeKind::kVerifiedRun, now_ns);
    outcome.run_id = run.run_id;
    outcome.playbook = run.playbook;
    const std::string_view source = core::to_string(trigger.source);
    std::string sentence =
        credit_of(outcome) + " was right: " + run.playbook + " healed " + trigger.finding.service;
    record_outcome(records_, outcome,
                   {source,
                    source,
                    "decision_outcome",
                    sentence,
                    {sentence, "Run " + run.run_id + " was verified"}});
    learn(std::move(outcome), sentence, outcomes);
  }
}

void OutcomeTracker::on_feedback(const core::Trigger& trigger, bool right, std::string_view actor,
                                 std::string_view reason, std::int64_t now_ns,
                                 std::vector<core::Outcome>& outcomes) {
  std::erase_if(forecasts_, [&](const Forecast& forecast) {
    return forecast.trigger.trigger_id == trigger.trigger_id;
  });
  if (const auto at = reactive_.find(trigger.incident_id); at != reactive_.end()) {
    std::erase_if(at->second, [&](const core::Trigger& other) {
      return other.trigger_id == trigger.trigger_id;
    });
  }
  core::Outcome outcome = outcome_of(
      trigger, right ? OutcomeKind::kFeedbackRight : OutcomeKind::kFeedbackWrong, now_ns);
  std::string sentence = std::string(actor) + " says it was " + (right ? "right" : "wrong");
  std::vector<std::string> reasons{sentence};
  if (!reason.empty()) reasons.emplace_back(reason);
  record_outcome(records_, outcome,
                 {actor, "intelligent_triggers", "decision_feedback", sentence, reasons});
  learn(std::move(outcome), sentence, outcomes);
}

void OutcomeTracker::on_incident_resolved(std::string_view incident_id) {
  const auto at = reactive_.find(incident_id);
  if (at == reactive_.end()) return;
  std::erase(reactive_order_, at->first);
  reactive_.erase(at);
}

void OutcomeTracker::learn(core::Outcome outcome, std::string_view reason,
                           std::vector<core::Outcome>& outcomes) {
  outcome.weight = learned_.learn(outcome.trigger, outcome.kind);
  record_weight(records_, outcome, reason);
  outcomes.push_back(std::move(outcome));
}

}  // namespace grace::correlate
