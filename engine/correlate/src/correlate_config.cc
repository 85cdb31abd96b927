#include "grace/correlate/correlate_config.h"

#include <string>

namespace grace::correlate {
namespace {

using core::ErrorCode;
using core::make_error;
using core::Result;

constexpr std::uint32_t kRootCauseHistoryMax = 65'536;
constexpr std::uint32_t kRootCauseSeriesMax = 1'048'576;

template <typename Number>
tl::unexpected<core::Error> refused(const char* field, Number value, const char* wanted) {
  return make_error(ErrorCode::kConfig,
                    std::string(field) + " = " + std::to_string(value) + ": must be " + wanted);
}

}  // namespace

Result<CorrelateConfig> validated(CorrelateConfig config) {
  if (config.join_window.count() < 1) {
    return refused("correlate.join_window", config.join_window.count(), "at least 1 s");
  }
  if (config.quiet_resolve < config.join_window) {
    return make_error(ErrorCode::kConfig,
                      "correlate.quiet_resolve = " + std::to_string(config.quiet_resolve.count()) +
                          " s: must be at least correlate.join_window = " +
                          std::to_string(config.join_window.count()) + " s");
  }
  if (config.group_wait.count() < 0) {
    return refused("correlate.group_wait", config.group_wait.count(), "at least 0 s");
  }
  if (config.critical_group_wait.count() < 0) {
    return refused("correlate.critical_group_wait", config.critical_group_wait.count(),
                   "at least 0 s");
  }
  if (!(config.announce_rise_min > 0.0 && config.announce_rise_min <= 1.0)) {
    return refused("correlate.announce_rise_min", config.announce_rise_min, "over 0, at most 1");
  }
  if (!(config.shared_evidence_min > 0.0 && config.shared_evidence_min <= 1.0)) {
    return refused("correlate.shared_evidence_min", config.shared_evidence_min,
                   "over 0, at most 1");
  }
  if (config.incidents_max < 1) {
    return refused("correlate.incidents_max", config.incidents_max, "at least 1");
  }
  if (config.triggers_per_incident_max < 1) {
    return refused("correlate.triggers_per_incident_max", config.triggers_per_incident_max,
                   "at least 1");
  }
  const models::RootCauseConfig& causes = config.root_cause;
  if (causes.history_max < 1 || causes.history_max > kRootCauseHistoryMax) {
    return refused("correlate.root_cause_history_max", causes.history_max, "from 1 to 65536");
  }
  if (causes.series_max < 1 || causes.series_max > kRootCauseSeriesMax) {
    return refused("correlate.root_cause_series_max", causes.series_max, "from 1 to 1048576");
  }
  return config;
}

Result<OutcomeConfig> validated(OutcomeConfig config) {
  if (config.forecast_grace.count() < 0) {
    return refused("outcome.forecast_grace", config.forecast_grace.count(), "at least 0 s");
  }
  if (config.prevented_hold.count() < 0) {
    return refused("outcome.prevented_hold", config.prevented_hold.count(), "at least 0 s");
  }
  if (config.prevented_confirm.count() < 0) {
    return refused("outcome.prevented_confirm", config.prevented_confirm.count(), "at least 0 s");
  }
  if (!(config.deviation_min > 0.0)) {
    return refused("outcome.deviation_min", config.deviation_min, "over 0");
  }
  if (config.pending_max < 1) {
    return refused("outcome.pending_max", config.pending_max, "at least 1");
  }
  if (config.incidents_max < 1) {
    return refused("outcome.incidents_max", config.incidents_max, "at least 1");
  }
  return config;
}

}  // namespace grace::correlate
