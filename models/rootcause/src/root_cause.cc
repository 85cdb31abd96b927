#include "grace/models/root_cause.h"

#include <algorithm>

namespace grace::models {
namespace {

// Values beyond are taken as this, so that no product of two of them is infinite.
constexpr double kValueMax = 1e140;
constexpr double kRequestsMax = 1e30;

[[nodiscard]] bool is_finite(double value) noexcept {
  return value - value == 0.0;
}

}  // namespace

RootCauseModel::Service* RootCauseModel::service_of(std::string_view name) {
  const auto known = services_.find(name);
  if (known != services_.end()) return &known->second;
  if (services_.size() >= config_.services_max) return nullptr;
  const auto made = services_.emplace(std::string(name), Service{}).first;
  made->second.name = &made->first;
  return &made->second;
}

void RootCauseModel::drop_if_unused(Service& service) {
  if (!service.series.empty() || !service.callees.empty() || !service.callers.empty()) return;
  services_.erase(services_.find(*service.name));
}

bool RootCauseModel::add_edge(std::string_view caller, std::string_view callee) {
  const bool itself = caller == callee;
  const std::size_t added =
      (services_.contains(caller) ? 0U : 1U) + (itself || services_.contains(callee) ? 0U : 1U);
  if (edge_count_ >= config_.edges_max || services_.size() + added > config_.services_max) {
    return false;
  }
  Service* from = service_of(caller);
  Service* to = service_of(callee);
  if (itself || !from->callees.emplace(callee).second) return true;
  to->callers.emplace(caller);
  ++edge_count_;
  return true;
}

void RootCauseModel::clear_edges() {
  for (auto at = services_.begin(); at != services_.end();) {
    Service& service = (at++)->second;  // it may be dropped
    service.callees.clear();
    service.callers.clear();
    drop_if_unused(service);
  }
  edge_count_ = 0;
}

Observed RootCauseModel::find_series(std::string_view service, std::string_view metric,
                                     std::uint64_t instance, SeriesHandle& found) {
  found = nullptr;
  Service* const owner = service_of(service);
  if (owner == nullptr) return Observed::kServiceBound;
  auto at = owner->series.find(std::pair(metric, instance));
  if (at == owner->series.end()) {
    if (series_count_ >= config_.series_max) {
      drop_if_unused(*owner);
      return Observed::kSeriesBound;
    }
    ++series_count_;
    at = owner->series.emplace(SeriesName(metric, instance), Series{}).first;
    Series& made = at->second;
    made.kind = metric_kind(metric);
    made.bad = bad_direction(made.kind, metric);
    made.is_mean = names_mean(metric);
    made.is_quantile = names_quantile(metric);
    made.owner = owner;
    made.name = &at->first;
  }
  found = &at->second;
  return Observed::kTaken;
}

Observed RootCauseModel::observe(std::int64_t ts_ns, std::string_view service,
                                 std::string_view metric, double value) {
  if (!is_finite(value)) return Observed::kNotFinite;
  SeriesHandle series = nullptr;
  const Observed result = find_series(service, metric, 0, series);
  return series == nullptr ? result : observe(series, ts_ns, value);
}

Observed RootCauseModel::observe(SeriesHandle series, std::int64_t ts_ns, double value,
                                 double requests) {
  if (!is_finite(value)) return Observed::kNotFinite;
  std::vector<Point>& points = series->points;
  const std::size_t most = config_.history_max + config_.history_max / 8 + 1;
  if (points.size() == points.capacity()) {
    points.reserve(std::min(std::max<std::size_t>(8, 2 * points.size()), most));
  }
  // Adding 0.0 makes 0.0 of -0.0, which would sort beside it in order of arrival.
  const Point point{ts_ns, std::clamp(value, -kValueMax, kValueMax) + 0.0,
                    static_cast<float>(std::clamp(requests, 0.0, kRequestsMax))};
  if (points.empty() || points.back() <= point) {
    points.push_back(point);
  } else {
    points.insert(std::upper_bound(points.begin(), points.end(), point), point);
  }
  if (points.size() == most) {
    points.erase(points.begin(), points.end() - static_cast<std::ptrdiff_t>(config_.history_max));
  }
  return Observed::kTaken;
}

Observed RootCauseModel::observe_part(SeriesHandle series, std::int64_t ts_ns, double count) {
  if (!is_finite(count) || count < 0) return Observed::kNotFinite;
  std::vector<Point>& points = series->points;
  if (points.empty() || points.back().ts_ns != ts_ns) return observe(series, ts_ns, count);
  // The greatest of its time grows, so the order stays.
  points.back().value = std::min(points.back().value + count, kValueMax);
  return Observed::kTaken;
}

void RootCauseModel::forget(SeriesHandle series) {
  Service& owner = *series->owner;
  owner.series.erase(owner.series.find(*series->name));
  --series_count_;
  drop_if_unused(owner);
}

bool RootCauseModel::has_say(MetricKind kind) const noexcept {
  switch (kind) {
    case MetricKind::kResource:
      return config_.resource_weight > 0;
    case MetricKind::kOther:
      return config_.unknown_weight > 0;
    case MetricKind::kContext:
      return false;
    default:
      return true;
  }
}

}  // namespace grace::models
