#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "grace/core/error.h"
#include "grace/schedule/playbook.h"
#include "grace/schedule/trust_core.h"

namespace grace::schedule {

// Each breaker, once tripped, stays open until a person acknowledges it. An open breaker stops
// automatic approval; a person can still approve a run, whose decision shows the open breaker.
struct BreakerConfig {
  // Runs started in a sliding hour, over all services and sources. 0 switches the breaker off.
  std::uint32_t attempts_per_hour_max = 20;
  // Failures in a row of one playbook, over all services: opens for that playbook. 0: off.
  std::uint32_t consecutive_failures_max = 3;
  // Share of the fleet in remediation at once. Not under fleet_services_min services, so that a
  // fleet of three can be healed at all. 1: off.
  double fleet_fraction_max = 0.25;
  std::uint32_t fleet_services_min = 2;
};

struct ScheduleConfig {
  // --- behaviour ---
  TrustConfig trust;
  BreakerConfig breakers;
  PlaybookLimits limits;
  // Runs proposed for one service in a sliding hour of event time.
  std::uint32_t proposals_per_hour_max = 3;
  // After the n-th failure in a row for a (service, diagnosis): first x 2^(n-1), at most max, less
  // up to a tenth by hash, so that equal failures on many services do not come back together.
  std::chrono::minutes backoff_first{5};
  std::chrono::minutes backoff_max{120};
  // A person has this long to decide; an approval is good for as long once given.
  std::chrono::seconds approval_expiry{1800};
  // A step whose result has not come this long after its own timeout fails the run (the executor
  // reports every step, a dead executor's too; this is the net below it). Event time.
  std::chrono::minutes step_result_grace{10};
  // Runs for one incident, whatever became of them.
  std::uint32_t attempts_per_incident_max = 6;
  // --- bounds ---
  std::uint32_t incidents_max = 4'096;  // open incidents remembered; further ones are counted
  std::uint32_t runs_active_max = 64;   // not ended, waiting for a person included
  std::uint32_t executing_max = 8;      // executing, verifying or rolling back
  std::uint32_t history_max = 1'024;    // ended runs kept for queries
  std::uint32_t services_max = 10'000;  // services (and pairs) with limits in force
};
// kConfig names the field and its value.
[[nodiscard]] core::Result<ScheduleConfig> validated(ScheduleConfig config);

}  // namespace grace::schedule
