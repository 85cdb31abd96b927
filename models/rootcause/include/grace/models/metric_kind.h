#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace grace::models {

// What a metric says about its service, read from its name alone. The kind decides in which
// direction a movement is bad, what can explain it, and what it is multiplied with.
enum class MetricKind : std::uint8_t {
  kLatency = 0,   // time of requests, callees' time included: rises with a callee's
  kSelfTime,      // time without that of callees: the service's own
  kAvailability,  // share of requests that succeed, or fail: spreads to callers
  kErrors,        // counts of errors: spread to callers
  kTemplate,      // lines of one log template ("log:..."); judged by presence
  kCalls,         // steps of one operation ("span_calls:..."); judged by presence
  kTraffic,       // requests, calls, spans: what callers do, so no evidence against the service
  kCpu,           // processor: the service's own
  kResource,      // memory, disk, threads, queues
  kContext,       // of the machine it runs on, or of calls as the calling side sees them
  kOther,
};
inline constexpr std::size_t kMetricKindCount = 11;

// What traces say of an operation, whose name follows (span_assembler.h).
inline constexpr std::string_view kSpanSelfTime = "span_selftime:";
inline constexpr std::string_view kSpanErrors = "span_errors:";
inline constexpr std::string_view kSpanCalls = "span_calls:";

// Which movement is bad: up, down, or both where a name does not tell.
enum class BadDirection : std::uint8_t { kUp = 0, kDown, kBoth };

// Case does not matter. The first rule that fits decides; rules in metric_kind.cc.
[[nodiscard]] MetricKind metric_kind(std::string_view name) noexcept;
[[nodiscard]] BadDirection bad_direction(MetricKind kind, std::string_view name) noexcept;
// The name says that it is a mean: "average", "avg" or "mean" in it.
[[nodiscard]] bool names_mean(std::string_view name) noexcept;
// The name says that it is an order statistic, of which a mean says little: "p50", "p99_9", "max",
// "min", "median", "quantile" or "percentile" in it.
[[nodiscard]] bool names_quantile(std::string_view name) noexcept;
// Kinds that an alarm of kind `alarm` speaks of: itself, and errors with availability.
[[nodiscard]] bool same_trouble(MetricKind alarm, MetricKind kind) noexcept;

}  // namespace grace::models
