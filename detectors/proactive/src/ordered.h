#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grace/core/detector.h"
#include "grace/core/platform.h"
#include "grace/proactive/proactive.h"
#include "refire.h"
#include "risk.h"
#include "silence.h"
#include "trend_model.h"

namespace grace::proactive {

// A series as the ordered stage follows it. Plain data but for the name, which is interned.
// In the order of use: what each observation of the service, or of one that depends on it, looks at
// lies in one cache line.
struct alignas(core::kCacheLineBytes) FollowedSeries {
  std::uint64_t key = 0;
  std::int64_t ts_ns = 0;  // end of the last bin
  SeriesRisk risk;
  core::MetricRole role = core::MetricRole::kOther;
  bool warm = false;
  double value = 0.0;      // last bin
  double deviation = 0.0;  // smoothed, of the partition's baseline
  std::string_view metric;
  TrendModel trend;    // demand and fill levels only
  FireState shortage;  // kept in the first series of a demand metric, or of a filling one
  std::int64_t judged_ts_ns = 0;  // bin for which shortage was last judged
  std::array<Sample, kSampleCount> samples{};
  std::uint32_t sample_count = 0;
};

struct FollowedService {
  std::string_view service;  // interned by a partition, or by `deploy` controls in their own store
  std::string_view domain;
  std::vector<FollowedSeries> series;  // in order of appearance, at most service_series_max
  ServiceRisk risk;
  // Those it depends on and that are followed, in the order of their names; as of the topology and
  // the number of services then.
  std::vector<const FollowedService*> dependencies;
  std::uint64_t dependencies_version = 0;
  std::size_t dependencies_services = 0;
};

// Joins what partitions cannot see together: demand with capacity, and the risk of a service with
// its dependencies, deploys and outcomes.
//
// Cost: per observation one hash of the service name and a pass over that service's series (at most
// service_series_max). Threads: the ordered stage's. Bounds: services_max services and
// service_series_max series in each; past them new ones are not followed, and counted in
// refused_count(). Everything is driven by observations and controls in their order; no iteration
// over the hash table reaches the output.
class ProactiveOrdered final : public core::OrderedDetector {
 public:
  ProactiveOrdered(const ProactiveConfig& config, const core::OrderedContext& context);

  void on_observation(const core::Observation& observation, std::uint64_t sequence,
                      core::FindingSink& sink) override;
  void on_tick(const core::Tick& tick, core::FindingSink& sink) override;
  void on_control(const core::Event& event, core::FindingSink& sink) override;
  void on_trigger(const core::Trigger& trigger, core::FindingSink& sink) override;
  void on_run(const core::PlaybookRun& run, core::FindingSink& sink) override;
  void on_outcome(const core::Outcome& outcome, core::FindingSink& sink) override;

  [[nodiscard]] std::uint64_t refused_count() const noexcept { return refused_count_; }
  [[nodiscard]] core::RiskCounts risk_counts() const override { return risk_counts_; }
  [[nodiscard]] const RiskWeights& risk_weights() const noexcept { return risk_.weights(); }

 private:
  struct Need {  // demand against capacity, all series of one metric summed
    double demand_now = 0.0, capacity = 0.0;
    Prediction going_on, staying;
    double lasts = 0.0;  // persistence of the rise
    std::uint32_t demand_count = 0, capacity_count = 0;
  };

  FollowedService* service_of(std::string_view name);
  const std::vector<const FollowedService*>& dependencies_of(FollowedService& service) const;
  FollowedSeries* series_of(FollowedService& service, const core::Observation& observation);
  void update(FollowedSeries& series, const core::Observation& observation,
              std::uint64_t sequence) const;
  [[nodiscard]] Need need_of(const FollowedService& service, std::string_view demand,
                             std::int64_t ts_ns) const;
  void check_capacity(FollowedService& service, const FollowedSeries& series,
                      core::FindingSink& sink);
  void check_fill(FollowedService& service, FollowedSeries& series, core::FindingSink& sink);
  void check_risk(FollowedService& service, std::int64_t ts_ns, std::uint64_t sequence,
                  core::FindingSink& sink);
  void report_capacity(const FollowedService& service, const FollowedSeries& series,
                       const Need& need, double probability, core::FindingSink& sink) const;
  void report_fill(const FollowedService& service, const FollowedSeries& series, double predicted,
                   double probability, core::FindingSink& sink) const;
  // What waits for its outcome has it, or can have none any more.
  void settle_risk(ServiceRisk& judged) noexcept;
  // Its outcome is known. The judgement counts as it was made, before it is learned.
  void learn_risk(ServiceRisk& judged, bool came_true) noexcept;
  void report_risk(const FollowedService& service, const RiskFeatures& features, double risk,
                   std::int64_t ts_ns, std::uint64_t sequence, core::FindingSink& sink) const;
  [[nodiscard]] RiskFeatures features_of(FollowedService& service, std::int64_t ts_ns);
  void add_forecast(core::Finding& finding, const FollowedService& service,
                    const FollowedSeries& series) const;

  const ProactiveConfig& config_;  // the subsystem's, which outlives its detectors
  const core::OrderedContext context_;
  const std::int64_t bin_ns_;
  const std::uint32_t horizon_bins_;
  const RefireRule refire_;
  RiskModel risk_;
  core::RiskCounts risk_counts_;
  SilenceGatherer silence_;
  std::unordered_map<std::uint64_t, FollowedService*> index_;  // by hash of the name; look-up only
  std::deque<FollowedService> services_;                       // addresses hold; only grows
  std::deque<std::string> names_;  // of services first heard of in a control
  std::uint64_t refused_count_ = 0;
};

}  // namespace grace::proactive
