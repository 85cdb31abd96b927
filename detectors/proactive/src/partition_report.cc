// What the partition's findings say. Cold: runs when something is reported.
#include <algorithm>
#include <cmath>
#include <string>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "numeric.h"
#include "partition.h"
#include "text.h"

namespace grace::proactive {
namespace {

using core::Impact;
using core::MetricRole;

constexpr std::uint32_t kTrendSpanBins = 10;  // over which a rise is told
constexpr double kTrendTold = 0.05;           // a smaller rise is not worth a sentence

const char* diagnosis_of(MetricRole role, bool up) {
  switch (role) {
    case MetricRole::kLatency:
      return up ? "latency_spike" : "latency_drop";
    case MetricRole::kErrors:
      return up ? "error_spike" : "error_drop";
    case MetricRole::kSaturation:
      return up ? "saturation_forecast" : "saturation_drop";
    case MetricRole::kHealth:
      return up ? "health_rise" : "health_drop";
    case MetricRole::kDemand:
      return up ? "demand_spike" : "demand_drop";
    case MetricRole::kCapacity:
      return up ? "capacity_rise" : "capacity_drop";
    case MetricRole::kOther:
      break;
  }
  return "metric_anomaly";
}

std::vector<std::string> playbooks_of(MetricRole role) {
  switch (role) {
    case MetricRole::kLatency:
      return {"scale_up_instances", "warm_cache"};
    case MetricRole::kSaturation:
      return {"scale_up_instances"};
    case MetricRole::kErrors:
      return {"restart_service", "rollback_flag"};
    default:
      return {"investigate_root_cause"};
  }
}

// How far beyond the bound, in units of the way from the baseline to the bound.
Impact impact_of(MetricRole role, double excess) {
  const bool central = role == MetricRole::kLatency || role == MetricRole::kErrors ||
                       role == MetricRole::kSaturation || role == MetricRole::kHealth;
  if (!central) return excess >= 1.0 ? Impact::kMedium : Impact::kLow;
  if (excess >= 2.0) return Impact::kCritical;
  return excess >= 0.1 ? Impact::kHigh : Impact::kMedium;
}

std::string span_text(std::int64_t span_ns) {
  if (span_ns % core::kNsPerMinute == 0)
    return std::to_string(span_ns / core::kNsPerMinute) + "min";
  return std::to_string(span_ns / core::kNsPerSecond) + "s";
}

// "Latency trend increasing 45% over 10min", or empty.
std::string trend_sentence(const SeriesModel& model, bool up, std::int64_t bin_ns) {
  const std::uint32_t span =
      std::min<std::uint32_t>({kTrendSpanBins, kRecentBins - 1, model.bins - 1});
  if (span < 3) return {};
  const double before = model.recent_back(span);
  const double change = (model.recent_back(0) - before) / std::max(std::fabs(before), 1e-12);
  if ((up ? change : -change) < kTrendTold) return {};
  return subject_of(model.role, model.metric) + " trend " + (up ? "increasing " : "decreasing ") +
         number_text(std::round(100.0 * std::fabs(change))) + "% over " + span_text(span * bin_ns);
}

}  // namespace

void ProactivePartition::add_common(core::Finding& finding, const SeriesModel& model,
                                    const core::Event& event) const {
  finding.service = model.service;
  finding.domain = model.domain;
  finding.what = model.metric;
  finding.ts_ns = event.ts_ns;
  finding.metadata.emplace_back("metric", core::json_quoted(model.metric));
  const std::string_view labels = event.view(event.detail);
  if (!labels.empty()) finding.metadata.emplace_back("labels", std::string(labels));
  const auto count = std::min<std::uint32_t>(model.bins, kSampleCount);
  for (std::uint32_t back = count; back-- > 0;) {
    const Sample& sample = model.samples[(model.bins - 1 - back) % kSampleCount];
    finding.evidence.push_back({sample.sequence, sample.ts_ns,
                                std::string(model.metric) + " bin mean " +
                                    quantity_text(model.recent_back(back), model.metric)});
  }
}

core::Finding ProactivePartition::forecast_of(const SeriesModel& model, const core::Event& event,
                                              std::int64_t end_ns, const char* ml_model) const {
  core::Finding finding;
  finding.type = core::TriggerType::kAnomalyForecast;
  add_common(finding, model, event);
  add_window(finding, end_ns, ml_model);
  return finding;
}

void ProactivePartition::add_window(core::Finding& finding, std::int64_t end_ns,
                                    const char* ml_model) const {
  const std::int64_t horizon_ns = horizon_bins_ * bin_ns_;
  finding.predicted_ts_ns = end_ns + horizon_ns;
  finding.metadata.emplace_back("ml_model", core::json_quoted(ml_model));
  finding.metadata.emplace_back("predicted_time",
                                core::json_quoted(core::format_rfc3339(finding.predicted_ts_ns)));
  finding.metadata.emplace_back("forecast_window",
                                core::json_quoted(core::format_duration(horizon_ns)));
}

void ProactivePartition::report_forecast(SeriesModel& model, const Closed& bin,
                                         const core::Event& event, const Range& range,
                                         const Outlook& outlook, bool up, core::FindingSink& sink) {
  const double bound = up ? range.high : range.low;
  const double room = std::max(std::fabs(bound - model.baseline.center), model.baseline.scale());

  core::Finding finding = forecast_of(model, event, bin.end_ns, "anomaly_forecaster");
  finding.diagnosis_code = diagnosis_of(model.role, up);
  finding.confidence = outlook.probability;
  finding.impact =
      impact_of(model.role, (up ? outlook.at_horizon - bound : bound - outlook.at_horizon) / room);
  finding.suggested_playbooks = playbooks_of(model.role);

  std::string rise = trend_sentence(model, up, bin_ns_);
  if (!rise.empty()) finding.reasoning.push_back(std::move(rise));
  const bool beyond = up ? outlook.at_horizon > bound : outlook.at_horizon < bound;
  finding.reasoning.push_back(
      "Forecast " + quantity_text(outlook.at_horizon, model.metric) + " at " +
      core::format_rfc3339(finding.predicted_ts_ns) +
      (!beyond ? " is close to the end of "
       : up    ? " exceeds "
               : " falls below ") +
      (range.configured ? "configured" : "learned") + " range " + number_text(range.low) +
      (range.low < 0 || range.high < 0 ? " to " : "-") + quantity_text(range.high, model.metric));
  const std::uint32_t run = up ? model.trend.run_up : model.trend.run_down;
  finding.reasoning.push_back("Movement has lasted " + std::to_string(run) + " bins of " +
                              core::format_duration(bin_ns_) + ", usual level " +
                              quantity_text(model.baseline.center, model.metric));
  finding.reasoning.push_back("Probability of leaving the range within " +
                              core::format_duration(horizon_bins_ * bin_ns_) + ": " +
                              percent_text(outlook.probability));

  auto& metadata = finding.metadata;
  metadata.emplace_back("predicted_value", json_number(outlook.at_horizon));
  metadata.emplace_back("current_value", json_number(bin.mean));
  metadata.emplace_back("bound", json_number(bound));
  metadata.emplace_back("range_low", json_number(range.low));
  metadata.emplace_back("range_high", json_number(range.high));
  if (outlook.crossing_ns != 0) {
    metadata.emplace_back("crossing_time",
                          core::json_quoted(core::format_rfc3339(
                              outlook.crossing_ns / core::kNsPerSecond * core::kNsPerSecond)));
  }
  if (const RichSeries* const r = rich(model); r != nullptr && r->forecast.ready()) {
    const std::size_t last = kHorizonCount - 1;
    metadata.emplace_back("trend_forecast", json_number(r->forecast.trend_mean(last)));
    metadata.emplace_back("neural_forecast", json_number(r->forecast.neural_mean(last)));
    metadata.emplace_back("neural_weight", json_number(r->forecast.neural_weight(last)));
  }
  if (outlook.half_width90 > 0) {
    metadata.emplace_back("interval90_half_width", json_number(outlook.half_width90));
  }
  sink.finding(std::move(finding));
}

// The series is outside already; the forecast is that it is so again within the horizon.
core::Finding ProactivePartition::shift_of(const SeriesModel& model, const RichSeries& rich,
                                           const Closed& bin, const core::Event& event,
                                           double departure, double probability,
                                           const char* ml_model) const {
  const models::SeasonLevel::Residual& r = rich.residual;
  const bool up = departure > 0;
  const double room = std::max(models::SeasonLevel::kHoldDeparture * std::fabs(r.expected),
                               models::SeasonLevel::kHoldMeanZ * r.unit);

  core::Finding finding = forecast_of(model, event, bin.end_ns, ml_model);
  finding.diagnosis_code = diagnosis_of(model.role, up);
  finding.confidence = probability;
  finding.impact = std::fabs(departure) >= config_.range_margin      ? Impact::kHigh
                   : std::fabs(departure) >= config_.drift_departure ? Impact::kMedium
                                                                     : Impact::kLow;
  finding.suggested_playbooks = playbooks_of(model.role);
  finding.reasoning.push_back(subject_of(model.role, model.metric) + " is " +
                              percent_text(std::fabs(departure)) + (up ? " above" : " below") +
                              " what is usual" +
                              (rich.season.seasonal() ? " at this time of the day" : ""));
  finding.reasoning.push_back("Usual: " + quantity_text(r.expected, model.metric) +
                              ", last bin: " + quantity_text(bin.mean, model.metric));
  auto& metadata = finding.metadata;
  metadata.emplace_back("current_value", json_number(bin.mean));
  metadata.emplace_back("expected", json_number(r.expected));
  metadata.emplace_back("departure", json_number(departure));
  metadata.emplace_back("seasonal", rich.season.seasonal() ? "true" : "false");
  metadata.emplace_back("range_low", json_number(r.expected - room));
  metadata.emplace_back("range_high", json_number(r.expected + room));
  if (rich.ensemble != nullptr) {
    const models::SeriesVerdict& verdict = rich.ensemble->verdict();
    metadata.emplace_back("ensemble_score", json_number(verdict.anomaly_score));
    metadata.emplace_back("ensemble_tail", json_number(verdict.tail_probability));
    metadata.emplace_back("ensemble_surprise", json_number(verdict.surprise));
    metadata.emplace_back("ensemble_member", core::json_quoted(name_of(verdict.member)));
  }
  return finding;
}

void ProactivePartition::report_onset(const SeriesModel& model, const RichSeries& rich,
                                      const Closed& bin, const core::Event& event, double departure,
                                      double probability, core::FindingSink& sink) const {
  core::Finding finding =
      shift_of(model, rich, bin, event, departure, probability, "series_ensemble");
  const double out = std::fabs(rich.residual.now);
  finding.reasoning.push_back("The last bin is " + number_text(std::round(10.0 * out) / 10.0) +
                              " deviations away, threshold " + number_text(kShiftDeviations));
  const models::SeriesVerdict& verdict = rich.ensemble->verdict();
  finding.reasoning.push_back("The ensemble is surprised as well, most of all by " +
                              std::string(name_of(verdict.member)) + ": score " +
                              number_text(verdict.anomaly_score));
  finding.reasoning.push_back("Probability that this is no chance: " + percent_text(probability));
  finding.metadata.emplace_back("deviations", json_number(rich.residual.now));
  sink.finding(std::move(finding));
}

void ProactivePartition::report_shift(const SeriesModel& model, const RichSeries& rich,
                                      const Closed& bin, const core::Event& event,
                                      double probability, core::FindingSink& sink) const {
  const models::SeasonLevel::Residual& r = rich.residual;
  core::Finding finding =
      shift_of(model, rich, bin, event, r.departure, probability, "season_level");
  finding.reasoning.push_back(
      "The mean of the last bins is " + number_text(std::round(10.0 * std::fabs(r.mean_z)) / 10.0) +
      " of its deviations away, threshold " + number_text(kShiftDeviations));
  finding.reasoning.push_back("Probability of being outside again within " +
                              core::format_duration(horizon_bins_ * bin_ns_) + ": " +
                              percent_text(probability));
  finding.metadata.emplace_back("deviations", json_number(r.mean_z));
  sink.finding(std::move(finding));
}

void ProactivePartition::report_swing(const SeriesModel& model, const RichSeries& rich,
                                      const Closed& bin, const core::Event& event,
                                      double probability, core::FindingSink& sink) const {
  const models::SeasonLevel::Residual& r = rich.residual;
  core::Finding finding = forecast_of(model, event, bin.end_ns, "season_level_swing");
  finding.diagnosis_code = "metric_unstable";
  finding.confidence = probability;
  finding.impact = r.swing >= config_.range_margin ? Impact::kHigh : Impact::kMedium;
  finding.suggested_playbooks = {"investigate_root_cause"};
  finding.reasoning.push_back(subject_of(model.role, model.metric) + " swings by " +
                              percent_text(r.swing) + " of what is usual from bin to bin");
  finding.reasoning.push_back(
      "The mean step of the last bins is " + number_text(std::round(10.0 * r.swing_z) / 10.0) +
      " of its deviations above what it usually is, threshold " + number_text(kShiftDeviations));
  finding.reasoning.push_back("Probability that this is no chance: " + percent_text(probability));
  auto& metadata = finding.metadata;
  metadata.emplace_back("current_value", json_number(bin.mean));
  metadata.emplace_back("expected", json_number(r.expected));
  metadata.emplace_back("swing", json_number(r.swing));
  metadata.emplace_back("deviations", json_number(r.swing_z));
  sink.finding(std::move(finding));
}

void ProactivePartition::report_drift(const SeriesModel& model, const Closed& bin,
                                      const core::Event& event, const Drift& drift,
                                      core::FindingSink& sink) const {
  const double size = std::max(std::fabs(drift.expected), model.baseline.scale());
  const double departure = (drift.recent - drift.expected) / size;
  core::Finding finding;
  finding.type = core::TriggerType::kDriftDetected;
  finding.diagnosis_code = "performance_drift";
  finding.confidence = drift.probability;
  finding.impact = std::fabs(departure) >= 1.0 ? Impact::kHigh : Impact::kMedium;
  finding.suggested_playbooks = {"investigate_root_cause"};
  add_common(finding, model, event);
  const std::int64_t lasted_ns = model.drift.held_bins * bin_ns_;
  finding.reasoning.push_back(subject_of(model.role, model.metric) + " drifted " +
                              percent_text(std::fabs(departure)) +
                              (departure > 0 ? " above" : " below") + " its baseline");
  finding.reasoning.push_back("Baseline: " + quantity_text(drift.expected, model.metric) +
                              ", now: " + quantity_text(drift.recent, model.metric));
  finding.reasoning.push_back("Sustained for " + core::format_duration(lasted_ns) + ", threshold " +
                              percent_text(config_.drift_departure));
  const std::int64_t since_ns =
      bin.end_ns - (drift.change.probability > 0 ? drift.change.bins_since * bin_ns_ : lasted_ns);
  if (drift.change.probability > 0) {
    finding.reasoning.push_back("Another segment since " + core::format_rfc3339(since_ns) +
                                ", probability " + percent_text(drift.change.probability));
  }
  finding.metadata.emplace_back("ml_model", "\"drift_detector\"");
  finding.metadata.emplace_back("baseline", json_number(drift.expected));
  finding.metadata.emplace_back("current_value", json_number(drift.recent));
  finding.metadata.emplace_back("departure", json_number(departure));
  finding.metadata.emplace_back("sustained_bins", json_number(model.drift.held_bins));
  finding.metadata.emplace_back("change_probability", json_number(drift.change.probability));
  finding.metadata.emplace_back("since", core::json_quoted(core::format_rfc3339(since_ns)));
  sink.finding(std::move(finding));
}

}  // namespace grace::proactive
