#include "grace/models/root_cause.h"

#include <algorithm>
#include <functional>

namespace grace::models {
namespace {

// Values beyond are taken as this, so that no product of two of them is infinite.
constexpr double kValueMax = 1e140;

[[nodiscard]] bool is_finite(double value) noexcept {
  return value - value == 0.0;
}

}  // namespace

RootCauseModel::Service* RootCauseModel::service_of(std::string_view name) {
  const auto known = services_.find(name);
  if (known != services_.end()) return &known->second;
  if (services_.size() >= config_.services_max) return nullptr;
  return &services_.emplace(std::string(name), Service{}).first->second;
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

Observed RootCauseModel::observe(std::int64_t ts_ns, std::string_view service,
                                 std::string_view metric, double value) {
  if (!is_finite(value)) return Observed::kNotFinite;
  Service* owner = service_of(service);
  if (owner == nullptr) return Observed::kServiceBound;
  auto series = owner->series.find(metric);
  if (series == owner->series.end()) {
    if (series_count_ >= config_.series_max) return Observed::kSeriesBound;
    ++series_count_;
    series = owner->series.emplace(std::string(metric), Series{}).first;
    series->second.kind = metric_kind(metric);
    series->second.bad = bad_direction(series->second.kind, metric);
  }
  std::vector<Point>& points = series->second.points;
  // Adding 0.0 makes 0.0 of -0.0, which would sort beside it in order of arrival.
  points.push_back({ts_ns, std::clamp(value, -kValueMax, kValueMax) + 0.0});
  if (points.size() >= 2 * static_cast<std::size_t>(config_.history_max)) {
    // The newest of the newest: what is cut here could not be among the last history_max later.
    const auto end = points.begin() + static_cast<std::ptrdiff_t>(config_.history_max);
    std::nth_element(points.begin(), end, points.end(), std::greater<>());
    points.resize(config_.history_max);
  }
  return Observed::kTaken;
}

}  // namespace grace::models
