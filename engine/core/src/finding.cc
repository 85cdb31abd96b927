#include "grace/core/finding.h"

#include <algorithm>

namespace grace::core {
namespace {

constexpr std::array<std::string_view, kSourceCount> kSourceNames{"meta_loop", "proactive_ml",
                                                                  "agentic_spine", "immutable_log"};

struct TypeRow {
  Source source;
  std::string_view event_type;
  std::string_view trigger_type;
  std::string_view title;
};
constexpr std::array<TypeRow, kTriggerTypeCount> kTypes{{
    {Source::kMetaLoop, "meta_loop.directive", "directive", "Meta Loop Directive"},
    {Source::kMetaLoop, "meta_loop.systemic_issue", "systemic_issue", "Systemic Issue"},
    {Source::kProactiveMl, "proactive.anomaly_forecast", "ml_anomaly_forecast",
     "ML Anomaly Forecast"},
    {Source::kProactiveMl, "proactive.capacity_prediction", "ml_capacity_prediction",
     "ML Capacity Prediction"},
    {Source::kProactiveMl, "proactive.risk_assessment", "ml_risk_assessment", "ML Risk Assessment"},
    {Source::kProactiveMl, "proactive.drift_detected", "ml_drift_detected", "ML Drift Detected"},
    {Source::kAgenticSpine, "agentic_spine.cross_domain_alert", "cross_domain_alert",
     "Cross-Domain Alert"},
    {Source::kAgenticSpine, "agentic_spine.health_degradation", "health_degradation",
     "Health Degradation"},
    {Source::kImmutableLog, "immutable_log.pattern_detected", "pattern_detected",
     "Recurring Pattern Detected"},
    {Source::kImmutableLog, "immutable_log.anomaly_sequence", "anomaly_sequence",
     "Anomalous Sequence"},
}};

constexpr std::array<std::string_view, 4> kImpactNames{"low", "medium", "high", "critical"};

const TypeRow& row(TriggerType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

// ASCII alone, whatever the locale: the same stream has the same roles everywhere.
constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr bool is_letter(char c) noexcept {
  return lower(c) >= 'a' && lower(c) <= 'z';
}

// The metric's words are what lies between punctuation: "cpu_usage.percent" has three.
bool has_word(std::string_view name, std::string_view word) {
  for (std::size_t at = 0; at + word.size() <= name.size(); ++at) {
    if (at > 0 && is_letter(name[at - 1])) continue;
    const std::size_t end = at + word.size();
    if (end < name.size() && is_letter(name[end])) continue;
    if (std::equal(word.begin(), word.end(), name.begin() + static_cast<std::ptrdiff_t>(at),
                   [](char a, char b) { return a == lower(b); })) {
      return true;
    }
  }
  return false;
}

bool has_any_word(std::string_view name, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return has_word(name, word); });
}

}  // namespace

std::string_view to_string(Source source) noexcept {
  return kSourceNames[static_cast<std::size_t>(source)];
}
std::string_view to_string(TriggerType type) noexcept {
  return row(type).trigger_type;
}
std::string_view event_type_of(TriggerType type) noexcept {
  return row(type).event_type;
}
std::string_view title_of(TriggerType type) noexcept {
  return row(type).title;
}
Source source_of(TriggerType type) noexcept {
  return row(type).source;
}

std::string_view to_string(Impact impact) noexcept {
  return kImpactNames[static_cast<std::size_t>(impact)];
}

std::optional<Source> source_from(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kSourceCount; ++i) {
    if (kSourceNames[i] == text) return static_cast<Source>(i);
  }
  return std::nullopt;
}

std::optional<TriggerType> type_from_event_type(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kTriggerTypeCount; ++i) {
    if (kTypes[i].event_type == text) return static_cast<TriggerType>(i);
  }
  return std::nullopt;
}

std::optional<Impact> impact_from(std::string_view text) noexcept {
  if (text == "moderate") return Impact::kMedium;
  for (std::size_t i = 0; i < kImpactNames.size(); ++i) {
    if (kImpactNames[i] == text) return static_cast<Impact>(i);
  }
  return std::nullopt;
}

MetricRole role_of_metric(std::string_view name) noexcept {
  // The word that says most comes first: "rate_limit_errors" are errors, "capacity_rps" is a limit
  // and no load, "health_check_latency" is a time, "response_success_rate" is a share.
  if (has_any_word(name, {"error", "errors", "failure", "failures", "failed", "exceptions"}))
    return MetricRole::kErrors;
  if (has_any_word(name, {"capacity", "limit", "quota"})) return MetricRole::kCapacity;
  if (has_any_word(name, {"latency", "duration", "delay", "lag"})) return MetricRole::kLatency;
  if (has_any_word(name, {"health", "availability", "success"})) return MetricRole::kHealth;
  if (has_any_word(name, {"response"})) return MetricRole::kLatency;
  if (has_any_word(name, {"cpu", "memory", "mem", "disk", "utilization", "usage", "saturation",
                          "pressure", "load", "busy", "used"}))
    return MetricRole::kSaturation;
  if (has_any_word(
          name, {"requests", "request", "rps", "qps", "throughput", "demand", "traffic", "rate"}))
    return MetricRole::kDemand;
  return MetricRole::kOther;
}

}  // namespace grace::core
