#include "grace/models/metric_kind.h"

#include <array>
#include <initializer_list>

namespace grace::models {
namespace {

[[nodiscard]] char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] bool matches_at(std::string_view name, std::size_t at, std::string_view word) {
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(name[at + i]) != word[i]) return false;
  }
  return true;
}

// `word` is in lower case.
[[nodiscard]] bool contains(std::string_view name, std::string_view word) noexcept {
  for (std::size_t at = 0; at + word.size() <= name.size(); ++at) {
    if (matches_at(name, at, word)) return true;
  }
  return false;
}

[[nodiscard]] bool contains_any(std::string_view name,
                                std::initializer_list<std::string_view> words) noexcept {
  for (const std::string_view word : words) {
    if (contains(name, word)) return true;
  }
  return false;
}

// Letters neither before nor behind it.
[[nodiscard]] bool contains_word(std::string_view name, std::string_view word) noexcept {
  const auto letter = [&](std::size_t i) { return lower(name[i]) >= 'a' && lower(name[i]) <= 'z'; };
  for (std::size_t at = 0; at + word.size() <= name.size(); ++at) {
    const std::size_t end = at + word.size();
    if (!matches_at(name, at, word) || (at > 0 && letter(at - 1))) continue;
    if (end == name.size() || !letter(end)) return true;
  }
  return false;
}

[[nodiscard]] bool starts_with(std::string_view name, std::string_view word) noexcept {
  return name.size() >= word.size() && matches_at(name, 0, word);
}

[[nodiscard]] bool names_failure(std::string_view name) noexcept {
  return contains_any(name, {"error", "fail", "fault", "exception", "5xx"});
}

}  // namespace

MetricKind metric_kind(std::string_view name) noexcept {
  if (starts_with(name, "log:") || starts_with(name, "template:")) return MetricKind::kTemplate;
  // What follows is the name of an operation, which may hold any word.
  if (starts_with(name, kSpanSelfTime)) return MetricKind::kSelfTime;
  if (starts_with(name, kSpanErrors)) return MetricKind::kErrors;
  if (starts_with(name, kSpanCalls)) return MetricKind::kCalls;
  if (contains_any(name, {"client", "node"})) return MetricKind::kContext;
  if (contains_any(name, {"selftime", "self_time"})) return MetricKind::kSelfTime;
  if (contains_any(name, {"latency", "duration", "response_time", "responsetime"})) {
    return MetricKind::kLatency;
  }
  if (contains_any(name, {"availab", "success"})) return MetricKind::kAvailability;
  if (names_failure(name)) {
    const bool is_share = contains_any(name, {"rate", "ratio", "percent", "share"});
    return is_share ? MetricKind::kAvailability : MetricKind::kErrors;
  }
  if (contains_any(name, {"request", "workload", "spans", "calls", "throughput", "rps", "qps"})) {
    return MetricKind::kTraffic;
  }
  if (contains(name, "cpu")) return MetricKind::kCpu;
  if (contains_any(name, {"memory", "disk", "thread", "queue"})) return MetricKind::kResource;
  return MetricKind::kOther;
}

BadDirection bad_direction(MetricKind kind, std::string_view name) noexcept {
  switch (kind) {
    case MetricKind::kAvailability:
      return names_failure(name) ? BadDirection::kUp : BadDirection::kDown;
    case MetricKind::kLatency:
    case MetricKind::kSelfTime:
    case MetricKind::kErrors:
    case MetricKind::kCpu:
    case MetricKind::kResource:
      return BadDirection::kUp;
    case MetricKind::kTemplate:
    case MetricKind::kCalls:
    case MetricKind::kTraffic:
    case MetricKind::kContext:
    case MetricKind::kOther:
      return BadDirection::kBoth;
  }
  return BadDirection::kBoth;
}

bool names_mean(std::string_view name) noexcept {
  return contains_any(name, {"average", "avg", "mean"});
}

bool names_quantile(std::string_view name) noexcept {
  if (contains_any(name, {"median", "quantile", "percentile"})) return true;
  if (contains_word(name, "max") || contains_word(name, "min")) return true;
  for (std::size_t at = 0; at + 2 < name.size(); ++at) {
    const auto digit = [&](std::size_t i) { return name[i] >= '0' && name[i] <= '9'; };
    if (lower(name[at]) == 'p' && digit(at + 1) && digit(at + 2)) return true;
  }
  return false;
}

bool same_trouble(MetricKind alarm, MetricKind kind) noexcept {
  const auto group = [](MetricKind of) {
    if (of == MetricKind::kErrors) return MetricKind::kAvailability;
    return of == MetricKind::kSelfTime ? MetricKind::kLatency : of;
  };
  return group(alarm) == group(kind);
}

}  // namespace grace::models
