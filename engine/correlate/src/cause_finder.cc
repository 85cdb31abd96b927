#include "grace/correlate/cause_finder.h"

#include "grace/core/time.h"

namespace grace::correlate {
namespace {

constexpr std::string_view kErrors = "errors";
// So many edges take as long to read as one service to rank.
constexpr std::size_t kEdgesAsOneService = 128;

// The end of the minute that ends at or after this time; times are not negative.
[[nodiscard]] std::int64_t minute_end(std::int64_t ts_ns) noexcept {
  const std::int64_t past = ts_ns % core::kNsPerMinute;
  return past == 0 ? ts_ns : ts_ns + (core::kNsPerMinute - past);
}

}  // namespace

CauseFinder::CauseFinder(const models::RootCauseConfig& config, const core::Topology& topology)
    : topology_(topology), model_(config), followed_(config.series_max) {
  read_topology();
}

void CauseFinder::read_topology() {
  topology_version_ = topology_.version();
  counters_.edges_refused = 0;
  model_.clear_edges();
  std::size_t edges = 0;
  for (const std::string& service : topology_.services()) {
    for (const std::string& dependency : topology_.find(service)->depends_on) {
      if (!model_.add_edge(service, dependency)) ++counters_.edges_refused;
      ++edges;
    }
  }
  services_ranked_ += edges / kEdgesAsOneService;
}

bool CauseFinder::make_room(std::int32_t minute) {
  const std::uint32_t oldest = followed_.oldest();
  const std::int64_t silent = std::int64_t{minute} - followed_.stamp_of(oldest);
  if (silent * core::kNsPerMinute < kIdleNs) return false;
  if (followed_[oldest].series != nullptr) model_.forget(followed_[oldest].series);
  followed_.erase(oldest);
  ++counters_.evicted;
  return true;
}

models::RootCauseModel::SeriesHandle CauseFinder::series_of(const core::Observation& observation,
                                                            std::string_view metric) {
  const auto minute = static_cast<std::int32_t>(observation.ts_ns / core::kNsPerMinute);
  const std::uint64_t key = observation.order_key;
  std::uint32_t slot = followed_.find(key);
  if (slot == core::kNoSlot) [[unlikely]] {
    if (followed_.full() && !make_room(minute)) {
      ++counters_.refused;
      return nullptr;
    }
    slot = followed_.insert(key, minute);
    models::RootCauseModel::SeriesHandle& series = followed_[slot].series;
    if (model_.has_say(models::metric_kind(metric)) &&
        model_.find_series(observation.service, metric, key, series) != models::Observed::kTaken) {
      ++counters_.refused;
    }
  }
  followed_.touch(slot, minute);
  return followed_[slot].series;
}

void CauseFinder::on_observation(const core::Observation& observation) {
  if (observation.kind == core::ObservationKind::kActions) {
    const auto series = series_of(observation, kErrors);
    if (series == nullptr) return;
    model_.observe_part(series, minute_end(observation.ts_ns), observation.value);
    return;
  }
  if (observation.role == core::MetricRole::kOther) return;
  const auto series = series_of(observation, observation.name);
  if (series == nullptr) return;
  model_.observe(series, observation.ts_ns, observation.value, observation.count);
}

bool CauseFinder::may_rank(std::int64_t now_ns) {
  const std::int64_t period = now_ns / kRankPeriodNs;
  if (period != rank_period_) {
    rank_period_ = period;
    services_ranked_ = 0;
  }
  if (services_ranked_ < kServicesRankedMax) return true;
  ++counters_.deferred;
  return false;
}

std::optional<models::RootCauseRanking> CauseFinder::rank(
    std::int64_t now_ns, const std::vector<models::Symptom>& alarms) {
  if (topology_.version() != topology_version_) read_topology();
  // The minute under way counts as well, as far as it has come.
  auto ranking = model_.rank(minute_end(now_ns), alarms);
  if (!ranking) return std::nullopt;
  services_ranked_ += ranking->services.size();
  return std::move(*ranking);
}

std::string alarm_of(const core::Finding& finding) {
  using models::MetricKind;
  if (finding.type == core::TriggerType::kPatternDetected) {
    return finding.diagnosis_code == "recurring_error" ? std::string(kErrors) : std::string();
  }
  if (finding.type != core::TriggerType::kAnomalyForecast &&
      finding.type != core::TriggerType::kDriftDetected) {
    return {};
  }
  const MetricKind kind = models::metric_kind(finding.what);
  const bool speaks = kind == MetricKind::kLatency || kind == MetricKind::kSelfTime ||
                      kind == MetricKind::kAvailability || kind == MetricKind::kErrors ||
                      kind == MetricKind::kCpu;
  return speaks ? finding.what : std::string();
}

}  // namespace grace::correlate
