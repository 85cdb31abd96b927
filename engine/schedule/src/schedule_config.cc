#include "grace/schedule/schedule_config.h"

#include <filesystem>

namespace grace::schedule {

core::Result<ScheduleConfig> validated(ScheduleConfig config) {
  const auto bad = [](std::string_view field, std::string_view why) {
    return core::make_error(core::ErrorCode::kConfig,
                            "schedule." + std::string(field) + ": " + std::string(why));
  };
  auto trust = validated(config.trust);
  if (!trust) return tl::unexpected(trust.error());
  config.trust = std::move(*trust);
  const double fraction = config.breakers.fleet_fraction_max;
  if (!(fraction > 0.0 && fraction <= 1.0)) {
    return bad("breakers.fleet_fraction_max", std::to_string(fraction) + " is outside (0, 1]");
  }
  if (config.breakers.fleet_services_min == 0) {
    return bad("breakers.fleet_services_min", "0 would stop every run; at least 1");
  }
  if (config.breakers.attempts_per_hour_max > 10'000) {
    return bad("breakers.attempts_per_hour_max",
               std::to_string(config.breakers.attempts_per_hour_max) + " is over 10000");
  }
  for (const auto& path : config.limits.exec_allowed) {
    const std::filesystem::path program(path);
    if (!program.is_absolute() || program.lexically_normal() != program) {
      return bad("exec_allowed", "'" + path + "' is not a plain absolute path");
    }
  }
  if (config.proposals_per_hour_max == 0 || config.proposals_per_hour_max > 1'000) {
    return bad("proposals_per_hour_max",
               std::to_string(config.proposals_per_hour_max) + " is outside [1, 1000]");
  }
  if (config.backoff_first.count() < 1 || config.backoff_max < config.backoff_first) {
    return bad("backoff", "first " + std::to_string(config.backoff_first.count()) + " and max " +
                              std::to_string(config.backoff_max.count()) +
                              " minutes: need 1 <= first <= max");
  }
  if (config.approval_expiry.count() < 1) return bad("approval_expiry", "under one second");
  if (config.step_result_grace.count() < 1) return bad("step_result_grace", "under one minute");
  if (config.attempts_per_incident_max == 0) return bad("attempts_per_incident_max", "is 0");
  if (config.incidents_max == 0) return bad("incidents_max", "is 0");
  if (config.executing_max == 0 || config.executing_max > config.runs_active_max) {
    return bad("executing_max", std::to_string(config.executing_max) +
                                    " is outside [1, runs_active_max = " +
                                    std::to_string(config.runs_active_max) + "]");
  }
  if (config.history_max == 0) return bad("history_max", "is 0");
  if (config.services_max == 0) return bad("services_max", "is 0");
  return config;
}

}  // namespace grace::schedule
