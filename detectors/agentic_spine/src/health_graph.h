#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cross_domain.h"
#include "grace/agentic_spine/agentic_spine.h"
#include "grace/core/detector.h"
#include "grace/core/lru_table.h"
#include "service_health.h"

namespace grace::agentic_spine {

// The health of every service and domain, and what is to be said about it: a service that falls ill
// once for each episode, domains that fall ill together once for each spread.
//
// Bounds: services_max (the one without news for longest makes room, counted). Thread: the ordered
// stage's. What is said in one tick is said in the order of names. Cost of a tick: the services
// that are ill, or get well.
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
  struct Service {
    std::string name;
    ServiceHealth health{0};
    bool listed = false;  // in unsettled_
  };
  // The slot of the service, brought up to date.
  std::uint32_t slot_of(std::string_view name, std::string_view domain, std::int64_t now_ns);
  void report(const std::string& service, const ServiceHealth& health, const Verdict& verdict,
              std::int64_t now_ns, core::FindingSink& sink) const;

  HealthRules rules_;
  const core::Topology& topology_;
  core::LruTable<Service> services_;      // by hash of the name
  std::vector<std::uint32_t> unsettled_;  // slots, by name once on_tick() has sorted them
  bool unsettled_sorted_ = true;
  CrossDomain cross_domain_;
  std::uint64_t turned_away_count_ = 0;
};

}  // namespace grace::agentic_spine
