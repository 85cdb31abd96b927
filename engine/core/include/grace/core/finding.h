#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace grace::core {

// The four intelligent subsystems; `source` on the wire.
enum class Source : std::uint8_t { kMetaLoop = 0, kProactiveMl, kAgenticSpine, kImmutableLog };
inline constexpr std::size_t kSourceCount = 4;

// The ten trigger types, in the order of the table in the specification.
enum class TriggerType : std::uint8_t {
  kDirective = 0,
  kSystemicIssue,
  kAnomalyForecast,
  kCapacityPrediction,
  kRiskAssessment,
  kDriftDetected,
  kCrossDomainAlert,
  kHealthDegradation,
  kPatternDetected,
  kAnomalySequence,
};
inline constexpr std::size_t kTriggerTypeCount = 10;

enum class Impact : std::uint8_t { kLow = 0, kMedium, kHigh, kCritical };

[[nodiscard]] std::string_view to_string(Source source) noexcept;         // "proactive_ml"
[[nodiscard]] std::string_view to_string(TriggerType type) noexcept;      // "ml_anomaly_forecast"
[[nodiscard]] std::string_view event_type_of(TriggerType type) noexcept;  // "proactive.anomaly..."
[[nodiscard]] std::string_view title_of(TriggerType type) noexcept;       // "ML Anomaly Forecast"
[[nodiscard]] std::string_view to_string(Impact impact) noexcept;
[[nodiscard]] Source source_of(TriggerType type) noexcept;
[[nodiscard]] std::optional<Source> source_from(std::string_view text) noexcept;
[[nodiscard]] std::optional<TriggerType> type_from_event_type(std::string_view text) noexcept;
[[nodiscard]] std::optional<Impact> impact_from(std::string_view text) noexcept;  // moderate=medium

// One piece of what a finding rests on: an input event, and what about it mattered.
struct Evidence {
  std::uint64_t sequence = 0;  // journal position of the event
  std::int64_t ts_ns = 0;
  std::string note;  // "auth_validate:error on auth_service", "latency_ms=231.4"
};
inline constexpr std::size_t kEvidenceMax = 16;
inline constexpr std::size_t kReasonsMax = 16;
inline constexpr std::size_t kPlaybooksMax = 8;

// What a detector reports. Rare, so it may allocate. `confidence` is the detector's own probability
// (before calibration); a detector reports above a fixed low floor (kFindingFloor) and never
// decides by configured minimums: those are applied in the ordered stage.
struct Finding {
  TriggerType type = TriggerType::kPatternDetected;
  std::string service;
  std::string domain;
  std::string diagnosis_code;
  std::string what;         // the thing inside the service: metric, action, playbook ...
  double confidence = 0.0;  // [0, 1]
  Impact impact = Impact::kMedium;
  std::vector<std::string> reasoning;
  std::vector<std::string> suggested_playbooks;  // best first
  // Keys and *raw JSON values* ("\"anomaly_forecaster\"", "3", "[\"ml\"]").
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Evidence> evidence;
  std::int64_t ts_ns = 0;            // event time at which it became known
  std::int64_t predicted_ts_ns = 0;  // forecasts: when it is expected to happen; else 0
  std::string upstream_id;           // mesh events: trigger_id given by the sender, if any
};
inline constexpr double kFindingFloor = 0.50;

// What a metric measures for its service, read from its name when the series is created.
enum class MetricRole : std::uint8_t {
  kOther = 0,
  kLatency,     // latency, duration, response time: higher is worse
  kErrors,      // errors, failures, error rate: higher is worse
  kSaturation,  // cpu, memory, disk, utilization, pressure: higher is worse
  kDemand,      // requests, throughput, rps, load offered
  kCapacity,    // capacity, limit, max throughput of the service
  kHealth,      // health, availability, success rate: lower is worse
};
[[nodiscard]] MetricRole role_of_metric(std::string_view name) noexcept;

enum class ObservationKind : std::uint8_t {
  kSeriesBin = 0,  // a series' time bin has closed
  kActions = 1,    // actions on one resource by one actor in one observation period
  kSilence = 2,    // a series that came regularly has stopped
};

// Condensed news from a partition for the detectors and verifications that look across keys.
// Plain data. The texts are interned in the partition's SymbolTable and live as long as the engine.
struct Observation {
  std::int64_t ts_ns = 0;       // end of the bin or period
  std::uint64_t order_key = 0;  // breaks ties inside one sequence: the series' or pattern's key
  std::string_view service;
  std::string_view domain;
  std::string_view name;    // metric, or actor
  double value = 0.0;       // bin mean; actions: error count; silence: mean of the last bin
  double baseline = 0.0;    // expected mean; actions: errors expected in the period
  double deviation = 0.0;   // robust z of value against baseline; 0 while warming up
  std::uint32_t count = 0;  // samples in the bin; actions: all actions; silence: bins missing
  ObservationKind kind = ObservationKind::kSeriesBin;
  MetricRole role = MetricRole::kOther;
  bool warm = false;  // baseline and deviation may be used

  // kActions with value > 0: the period's first error as it was logged, so that the order in which
  // components began to err is not coarser than the events themselves. Else empty and 0.
  std::string_view action;
  std::string_view result_text;  // as written, interned; "error" past the intern table's bound
  std::string_view subsystem;
  std::int64_t first_error_ts_ns = 0;
  std::uint64_t first_error_sequence = 0;
  std::uint64_t last_error_sequence = 0;

  // kSilence, whose role is kOther: the last sample of the last closed bin, and the bins in a row
  // that had one before.
  std::int64_t last_sample_ts_ns = 0;
  std::uint64_t last_sample_sequence = 0;
  std::uint32_t regular_bins = 0;
};

}  // namespace grace::core
