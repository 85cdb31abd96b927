#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "cross_domain.h"
#include "grace/agentic_spine/agentic_spine.h"
#include "grace/core/detector.h"
#include "grace/core/lru_map.h"
#include "service_health.h"

namespace grace::agentic_spine {

// The health of every service and domain, and what is to be said about it: a service that falls ill
// once for each episode, domains that fall ill together once for each spread.
//
// Bounds: services_max (the one without news for longest makes room, counted). Thread: the ordered
// stage's. Everything is iterated in the order of names, so that what comes out is the same on
// every run.
class HealthGraph final : public core::OrderedDetector {
 public:
  HealthGraph(const AgenticSpineConfig& config, const core::OrderedContext& context);
  void on_observation(const core::Observation& observation, std::uint64_t sequence,
                      core::FindingSink& sink) override;
  void on_tick(const core::Tick& tick, core::FindingSink& sink) override;
  void on_control(const core::Event& event, core::FindingSink& sink) override;

  // Criticality-weighted mean over the domain's services; 1 when it has none.
  [[nodiscard]] double domain_health(std::string_view domain) const;
  [[nodiscard]] std::uint64_t turned_away_count() const noexcept { return turned_away_count_; }

 private:
  ServiceHealth& health_of(std::string_view service, std::string_view domain, std::int64_t now_ns);
  void report(const std::string& service, const ServiceHealth& health, const Verdict& verdict,
              std::int64_t now_ns, core::FindingSink& sink) const;

  HealthRules rules_;
  const core::Topology& topology_;
  core::LruMap<std::string, ServiceHealth> services_;
  CrossDomain cross_domain_;
  std::uint64_t turned_away_count_ = 0;
};

}  // namespace grace::agentic_spine
