#pragma once
#include <chrono>
#include <cstdint>
#include <memory>

#include "grace/core/detector.h"
#include "grace/core/error.h"

namespace grace::agentic_spine {

// The health graph: health in [0, 1] per service and domain, from observations. All times are
// event time.
struct AgenticSpineConfig {
  // --- behaviour ---
  // Health below this is degraded. Larger: more and earlier findings.
  double health_bound = 0.50;
  // An episode ends when health has stayed this far above the bound for recovery_time.
  double recovery_margin = 0.20;
  std::chrono::seconds recovery_time{60};
  // Within an episode a further finding needs a further fall of this much.
  double further_fall = 0.25;
  // A fall within a minute of at least fall_min, and unusual for the service by fall_deviation
  // times its usual change, is reported although health is still above the bound.
  double fall_min = 0.20;
  double fall_deviation = 6.0;
  // Share of failing actions, above the learned share, that halves health.
  double error_share_half = 0.25;
  // How far a metric is off, in robust deviations: up to deviation_min it is healthy, and
  // deviation_half further on it has halved health.
  double deviation_min = 3.0;
  double deviation_half = 5.0;
  // Actions of this span make the error share.
  std::chrono::seconds share_window{30};
  // Health follows the raw value with this time constant; falling is taken on faster.
  std::chrono::seconds smoothing_fall{5};
  std::chrono::seconds smoothing_rise{30};
  // A series that sends no bin for this long has no say any more.
  std::chrono::seconds signal_expiry{180};
  // A degradation is reported when it did not get worse for settle, at the latest after
  // settle_max, at once when it is almost certain.
  std::chrono::seconds settle{10};
  std::chrono::seconds settle_max{40};
  // Probability that a service falls ill within one observation period: once in about 12 days.
  double incident_prior = 1e-5;
  // Domains that degrade within this time of each other are looked at together.
  std::chrono::seconds cascade_window{300};
  std::chrono::seconds cascade_settle{5};

  // --- cost ---
  // Past the bounds the least recently seen is evicted and counted.
  std::uint32_t services_max = 4096;
  std::uint32_t signals_max = 16;  // metrics of one service; further ones are ignored and counted
};

// Every field inside its bounds, else an error that names the field and its value.
[[nodiscard]] core::Result<AgenticSpineConfig> validated(AgenticSpineConfig config);

// Source agentic_spine: health_degradation and cross_domain_alert. Looks across keys only: it has
// no partition detector. `config` must be validated.
[[nodiscard]] std::unique_ptr<core::Subsystem> make_agentic_spine(AgenticSpineConfig config);

}  // namespace grace::agentic_spine
