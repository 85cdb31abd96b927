#pragma once
#include <chrono>
#include <cstdint>

#include "grace/core/error.h"
#include "grace/models/root_cause.h"

namespace grace::correlate {

// When triggers belong together, and how long an incident lives. All times are event time.
struct CorrelateConfig {
  // --- behaviour ---
  // A trigger joins an incident whose last trigger is at most this old. Larger: fewer, bigger
  // incidents.
  std::chrono::seconds join_window{600};
  // Longest dependency path, in edges, between a trigger's service and one of the incident's. 0:
  // the same service only.
  std::uint32_t topology_hops_max = 2;
  // An incident with no new trigger for this long resolves. At least join_window.
  std::chrono::seconds quiet_resolve{1800};
  // How long a new incident waits for other sources to agree before it may act ...
  std::chrono::seconds group_wait{30};
  // ... and one of critical impact.
  std::chrono::seconds critical_group_wait{0};
  // An incident that has acted nowhere yet is announced again when its confidence rose by at least
  // this much since.
  double announce_rise_min = 0.01;
  // Two findings rest on the same events when this share of the smaller one's evidence is common.
  double shared_evidence_min = 0.5;
  // --- cost ---
  // How root causes are ranked, and what is kept for it: the defaults of `grace score rootcause`.
  // history_max is at most 65,536, series_max 1,048,576.
  models::RootCauseConfig root_cause;
  std::uint32_t incidents_max = 1024;  // open at a time; the quietest one makes room
  std::uint32_t triggers_per_incident_max =
      256;                        // further ones are counted, and merged as duplicates
  std::uint32_t weak_max = 4096;  // weak evidence kept for join_window; oldest goes
};
[[nodiscard]] core::Result<CorrelateConfig> validated(CorrelateConfig config);

// How triggers are judged afterwards. All times are event time.
struct OutcomeConfig {
  // --- behaviour ---
  // A forecast is judged this long after the time it named.
  std::chrono::seconds forecast_grace{60};
  // After a verified run the forecast thing must stay away this long before it is noted as
  // prevented ...
  std::chrono::seconds prevented_hold{120};
  // ... and this much longer before it is learned from; if it comes after all, it came true.
  std::chrono::seconds prevented_confirm{300};
  // Forecasts that name no range come true at this robust deviation from the baseline.
  double deviation_min = 3.0;
  // --- cost ---
  std::uint32_t pending_max = 2048;    // forecasts waiting to be judged; the oldest makes room
  std::uint32_t incidents_max = 1024;  // incidents whose reactive triggers wait for a run
};
[[nodiscard]] core::Result<OutcomeConfig> validated(OutcomeConfig config);

}  // namespace grace::correlate
