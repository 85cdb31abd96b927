#include <cmath>
#include <string>
#include <utility>

#include "grace/core/platform.h"
#include "grace/proactive/proactive.h"

namespace grace::proactive {
namespace {

using core::ErrorCode;
using core::make_error;

tl::unexpected<core::Error> bad(const char* field, double value, const char* rule) {
  return make_error(ErrorCode::kConfig, std::string("proactive.") + field + " is " +
                                            std::to_string(value) + ": must be " + rule);
}

bool all_finite(const RiskWeights& w) {
  for (const double weight : {w.errors, w.saturation, w.latency, w.trend, w.deploy, w.dependency}) {
    if (!std::isfinite(weight) || weight < 0) return false;
  }
  return std::isfinite(w.intercept);
}

}  // namespace

core::Result<ProactiveConfig> validated(ProactiveConfig config) {
  const auto count = [](auto value) { return static_cast<double>(value); };
  const std::int64_t bin = config.bin.count();
  if (bin < 1 || bin > 3600) return bad("bin", count(bin), "1 s to 1 h");
  if (config.warmup_bins < 8 || config.warmup_bins > 100'000) {
    return bad("warmup_bins", config.warmup_bins, "8 to 100000");
  }
  const std::int64_t horizon = config.horizon.count();
  if (horizon < bin || horizon / bin > 60) {
    return bad("horizon", count(horizon), "1 to 60 bins");
  }
  if (!(config.range_deviations >= 0.5 && config.range_deviations <= 100)) {
    return bad("range_deviations", config.range_deviations, "0.5 to 100");
  }
  if (!(config.range_margin >= 0 && config.range_margin <= 100)) {
    return bad("range_margin", config.range_margin, "0 to 100");
  }
  if (!(config.saturation_percent_max > 0 && config.saturation_percent_max <= 100)) {
    return bad("saturation_percent_max", config.saturation_percent_max, "over 0 and at most 100");
  }
  for (const MetricRange& range : config.ranges) {
    if (range.metric.empty() || !(range.low < range.high)) {
      return make_error(ErrorCode::kConfig, "proactive.ranges: metric '" + range.metric +
                                                "' of service '" + range.service +
                                                "' needs a name and low < high");
    }
  }
  if (config.confirm_bins < 1 || config.confirm_bins > 100) {
    return bad("confirm_bins", config.confirm_bins, "1 to 100");
  }
  if (!(config.refire_factor > 1 && config.refire_factor <= 1000)) {
    return bad("refire_factor", config.refire_factor, "over 1 and at most 1000");
  }
  if (config.quiet_window.count() < bin) {
    return bad("quiet_window", count(config.quiet_window.count()), "at least one bin");
  }
  if (!(config.drift_departure > 0 && config.drift_departure <= 100)) {
    return bad("drift_departure", config.drift_departure, "over 0 and at most 100");
  }
  if (config.drift_bins < 3 || config.drift_bins > 1000) {
    return bad("drift_bins", config.drift_bins, "3 to 1000");
  }
  if (!(config.shortfall_min > 0 && config.shortfall_min < 1)) {
    return bad("shortfall_min", config.shortfall_min, "between 0 and 1");
  }
  if (!(config.risk_min >= 0.5 && config.risk_min < 1)) {
    return bad("risk_min", config.risk_min, "at least 0.5 and below 1");
  }
  if (!all_finite(config.risk_weights)) {
    return make_error(ErrorCode::kConfig, "proactive.risk_weights: must be finite, not negative");
  }
  if (!(config.observed_deviation_min >= 0)) {
    return bad("observed_deviation_min", config.observed_deviation_min, "0 or more");
  }
  if (config.series_max < core::kPartitionCount || config.series_max > 100'000'000) {
    return bad("series_max", count(config.series_max), "64 to 100000000");
  }
  if (config.rich_models_max > config.series_max) {
    return bad("rich_models_max", count(config.rich_models_max), "at most series_max");
  }
  if (config.services_max < 1 || config.services_max > 1'000'000) {
    return bad("services_max", count(config.services_max), "1 to 1000000");
  }
  if (config.service_series_max < 1 || config.service_series_max > 1024) {
    return bad("service_series_max", count(config.service_series_max), "1 to 1024");
  }
  return config;
}

}  // namespace grace::proactive
