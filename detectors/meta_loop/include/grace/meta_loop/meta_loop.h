#pragma once
#include <chrono>
#include <cstdint>
#include <memory>

#include "grace/core/detector.h"
#include "grace/core/error.h"

namespace grace::meta_loop {

// When the supervisor of the other subsystems speaks up. All times are event time.
struct MetaLoopConfig {
  // --- behaviour: systemic issues ---
  // A playbook fails consistently when it ran at least this often ...
  std::uint32_t runs_min = 5;
  // ... and the lower credible bound of its failure rate is over this.
  double failure_rate_min = 0.50;
  // Probability mass below that bound: 5% quantile of the Beta posterior.
  double credible_tail = 0.05;
  // Success below baseline: the recent runs against all earlier ones, at least this far below.
  std::uint32_t recent_runs = 10;
  std::uint32_t baseline_runs_min = 10;
  double success_drop_min = 0.10;
  // The same failure across domains: at least this many failed runs in two or more domains within
  // the window.
  std::uint32_t cross_domain_failures_min = 3;
  std::chrono::seconds cross_domain_window{3600};
  // What was said is said again only when the failures behind it grew by this factor, or after
  // the condition was gone.
  double refire_factor = 2.0;

  // --- behaviour: directives ---
  // Settled outcomes of a source before its minimum confidence is judged.
  std::uint32_t outcomes_min = 10;
  // Precision so far above the minimum that a lower minimum is called for.
  double precision_slack = 0.15;
  // Largest share of its value by which a directive moves a threshold at once (the adjustable's own
  // step bound applies on top).
  double step_share = 0.10;

  // --- cost ---
  std::uint32_t playbooks_max = 512;  // followed; runs of further ones are counted only
  std::uint32_t failures_max = 1024;  // failed runs kept for cross_domain_window
};
[[nodiscard]] core::Result<MetaLoopConfig> validated(MetaLoopConfig config);

// "capacity.shortfall_min": 0.10, between 0.05 and 0.25, at most 0.01 a step, one an hour. The
// pipeline declares it before detectors are made.
void declare_adjustables(core::LearnedState& learned);

// The meta_loop subsystem: looks at runs and outcomes, never at raw events. `config` must have
// passed validated(). The subsystem must outlive the detectors it makes.
[[nodiscard]] std::unique_ptr<core::Subsystem> make_meta_loop(MetaLoopConfig config = {});

}  // namespace grace::meta_loop
