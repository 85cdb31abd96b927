// What the ordered part's findings say. Cold: runs when something is reported.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "ordered.h"
#include "text.h"

namespace grace::proactive {
namespace {

using core::Impact;
constexpr double kContributionTold = 0.25;  // log-odds

}  // namespace

void ProactiveOrdered::add_forecast(core::Finding& finding, const FollowedService& service,
                                    const FollowedSeries& series) const {
  const std::int64_t horizon_ns = horizon_bins_ * bin_ns_;
  finding.type = core::TriggerType::kCapacityPrediction;
  finding.service = service.service;
  finding.domain = service.domain;
  finding.diagnosis_code = "capacity_shortage_predicted";
  finding.what = series.metric;
  finding.suggested_playbooks = {"scale_up_instances"};
  finding.ts_ns = series.ts_ns;
  finding.predicted_ts_ns = series.ts_ns + horizon_ns;
  finding.metadata.emplace_back("ml_model", "\"capacity_forecaster\"");
  finding.metadata.emplace_back("metric", core::json_quoted(series.metric));
  finding.metadata.emplace_back("predicted_time",
                                core::json_quoted(core::format_rfc3339(finding.predicted_ts_ns)));
  finding.metadata.emplace_back("forecast_window",
                                core::json_quoted(core::format_duration(horizon_ns)));
  const std::uint32_t count = std::min<std::uint32_t>(series.sample_count, kSampleCount);
  for (std::uint32_t back = count; back-- > 0;) {
    const Sample& sample = series.samples[(series.sample_count - 1 - back) % kSampleCount];
    finding.evidence.push_back(
        {sample.sequence, sample.ts_ns,
         std::string(series.metric) + " bin closed" +
             (back == 0 ? ", mean " + quantity_text(series.value, series.metric) : "")});
  }
}

void ProactiveOrdered::report_capacity(const FollowedService& service, const FollowedSeries& series,
                                       const Need& need, double probability,
                                       core::FindingSink& sink) const {
  const double predicted = need.going_on.mean;
  const double shortfall = (predicted - need.capacity) / predicted;
  const std::string unit(unit_of(series.metric).empty() ? suffix_of(series.metric)
                                                        : unit_of(series.metric));
  core::Finding finding;
  add_forecast(finding, service, series);
  finding.confidence = probability;
  finding.impact = shortfall >= 0.6   ? Impact::kCritical
                   : shortfall >= 0.4 ? Impact::kHigh
                                      : Impact::kMedium;
  finding.reasoning = {
      "Predicted shortfall: " + percent_text(shortfall),
      "Current: " + number_text(need.capacity) + " " + unit + " capacity",
      "Predicted demand: " + number_text(std::round(predicted)) + " " + unit,
      "Time: " + core::format_rfc3339(finding.predicted_ts_ns),
  };
  finding.metadata.emplace_back("predicted_demand", json_number(predicted));
  finding.metadata.emplace_back("predicted_demand_sd", json_number(need.going_on.sd));
  finding.metadata.emplace_back("current_demand", json_number(need.demand_now));
  finding.metadata.emplace_back("capacity", json_number(need.capacity));
  finding.metadata.emplace_back("shortfall", json_number(shortfall));
  sink.finding(std::move(finding));
}

void ProactiveOrdered::report_fill(const FollowedService& service, const FollowedSeries& series,
                                   double predicted, double probability,
                                   core::FindingSink& sink) const {
  core::Finding finding;
  add_forecast(finding, service, series);
  finding.confidence = probability;
  finding.impact = Impact::kHigh;
  finding.reasoning = {
      std::string(series.metric) + " reaches 100% within " +
          core::format_duration(horizon_bins_ * bin_ns_),
      "Current: " + quantity_text(series.value, series.metric),
      "Predicted: " + quantity_text(predicted, series.metric),
      "Time: " + core::format_rfc3339(finding.predicted_ts_ns),
  };
  finding.metadata.emplace_back("predicted_demand", json_number(predicted));
  finding.metadata.emplace_back("capacity", "100");
  finding.metadata.emplace_back("shortfall",
                                json_number(std::max(0.0, (predicted - 100.0) / predicted)));
  sink.finding(std::move(finding));
}

void ProactiveOrdered::report_risk(const FollowedService& service, const RiskFeatures& features,
                                   double risk, std::int64_t ts_ns, std::uint64_t sequence,
                                   core::FindingSink& sink) const {
  core::Finding finding;
  finding.type = core::TriggerType::kRiskAssessment;
  finding.service = service.service;
  finding.domain = service.domain;
  finding.diagnosis_code = "elevated_risk";
  finding.what = "service";
  finding.confidence = risk;
  finding.impact = risk >= 0.95 ? Impact::kHigh : Impact::kMedium;
  finding.suggested_playbooks = {"investigate_root_cause"};
  finding.ts_ns = ts_ns;
  finding.reasoning.push_back("Risk score " + number_text(std::round(100.0 * risk) / 100.0) +
                              " over threshold " + number_text(config_.risk_min));

  std::array<std::size_t, kRiskFactorCount> order{};
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return risk_.contribution(features, a) > risk_.contribution(features, b);
  });
  std::string contributions;
  core::JsonWriter json(contributions);
  json.begin_object();
  for (const std::size_t factor : order) {
    const double part = risk_.contribution(features, factor);
    json.raw_field(kRiskFactorNames[factor], json_number(part));
    if (part < kContributionTold) continue;
    std::string reason =
        std::string(kRiskFactorNames[factor]) + ": +" + number_text(part) + " to the log-odds";
    if (factor == static_cast<std::size_t>(RiskFactor::kDependency)) {
      reason += " (" + std::string(service.risk.dependency) + ")";
    }
    finding.reasoning.push_back(std::move(reason));
  }
  json.end_object();
  finding.metadata.emplace_back("ml_model", "\"risk_model\"");
  finding.metadata.emplace_back("risk", json_number(risk));
  finding.metadata.emplace_back("contributions", contributions);
  finding.evidence.push_back({sequence, ts_ns, "news of " + std::string(service.service)});
  for (const FollowedSeries& series : service.series) {
    if (finding.evidence.size() >= core::kEvidenceMax || series.sample_count == 0) break;
    const Sample& sample = series.samples[(series.sample_count - 1) % kSampleCount];
    if (series.risk.now < 0.25F || sample.sequence == sequence) continue;
    finding.evidence.push_back(
        {sample.sequence, sample.ts_ns,
         std::string(series.metric) + " bin mean " + quantity_text(series.value, series.metric)});
  }
  sink.finding(std::move(finding));
}

}  // namespace grace::proactive
