#include "ordered.h"

#include <algorithm>
#include <cmath>

#include "grace/core/hash.h"
#include "grace/core/learned_state.h"
#include "grace/core/outcome.h"
#include "grace/core/time.h"
#include "grace/core/topology.h"
#include "numeric.h"
#include "text.h"

namespace grace::proactive {
namespace {

using core::MetricRole;

constexpr std::int64_t kFreshBins = 3;                        // older bins are not added up
constexpr std::int64_t kDeployNs = 30 * core::kNsPerMinute;   // a deploy's risk fades over this
constexpr std::int64_t kOutcomeNs = 30 * core::kNsPerMinute;  // in which a risk comes true
constexpr double kFeatureTold = 0.25;  // smaller features are neither told nor learned from
constexpr std::int64_t kActionsHalfNs = 2 * core::kNsPerMinute;
constexpr double kDeviationGain = 0.4;  // as the level's, whose deviation it stands for
constexpr double kFull = 100.0;         // percent
// Failed actions: 1 at four Poisson deviations over what is usual.
constexpr double kActionsUnit = 4.0;

// What is left of a service's failed actions. Most have none: no exponential for them.
double actions_at(const ServiceRisk& risk, std::int64_t ts_ns) {
  if (risk.actions == 0.0) return 0.0;
  const double age =
      static_cast<double>(ts_ns - risk.actions_ts_ns) / static_cast<double>(kActionsHalfNs);
  return risk.actions * exact_exp(-0.6931471805599453 * std::max(age, 0.0));
}

}  // namespace

ProactiveOrdered::ProactiveOrdered(const ProactiveConfig& config,
                                   const core::OrderedContext& context)
    : config_(config),
      context_(context),
      bin_ns_(config.bin.count() * core::kNsPerSecond),
      horizon_bins_(static_cast<std::uint32_t>(config.horizon / config.bin)),
      refire_{config.refire_factor, config.quiet_window.count() * core::kNsPerSecond},
      risk_(config.risk_weights),
      silence_(bin_ns_, horizon_bins_, config.services_max) {}

// `name` must outlive the engine.
FollowedService* ProactiveOrdered::service_of(std::string_view name) {
  const std::uint64_t key = core::hash_bytes(name);
  if (const auto found = index_.find(key); found != index_.end()) return found->second;
  if (services_.size() >= config_.services_max) {
    ++refused_count_;
    return nullptr;
  }
  FollowedService& service = services_.emplace_back();
  service.service = name;
  index_.emplace(key, &service);
  return &service;
}

FollowedSeries* ProactiveOrdered::series_of(FollowedService& service,
                                            const core::Observation& observation) {
  for (FollowedSeries& series : service.series) {
    if (series.key == observation.order_key) return &series;
  }
  if (service.series.size() >= config_.service_series_max) {
    ++refused_count_;
    return nullptr;
  }
  FollowedSeries& series = service.series.emplace_back();
  series.key = observation.order_key;
  series.metric = observation.name;
  series.role = observation.role;
  return &series;
}

void ProactiveOrdered::update(FollowedSeries& series, const core::Observation& observation,
                              std::uint64_t sequence) const {
  const std::int64_t gap = series.ts_ns == 0 ? 0 : (observation.ts_ns - series.ts_ns) / bin_ns_ - 1;
  if (series.role == MetricRole::kDemand || series.role == MetricRole::kSaturation) {
    series.trend.step(observation.value, gap);
  }
  series.deviation += kDeviationGain * (observation.deviation - series.deviation);
  series.value = observation.value;
  series.ts_ns = observation.ts_ns;
  series.warm = observation.warm;
  series.risk.take(observation);
  series.samples[series.sample_count++ % kSampleCount] = {sequence, observation.ts_ns};
}

void ProactiveOrdered::on_observation(const core::Observation& observation, std::uint64_t sequence,
                                      core::FindingSink& sink) {
  if (observation.kind == core::ObservationKind::kSilence) {
    if (!silence_.add(observation)) ++refused_count_;
    return;
  }
  FollowedService* const service = service_of(observation.service);
  if (service == nullptr) return;
  if (service->domain.empty()) service->domain = observation.domain;
  if (observation.kind == core::ObservationKind::kActions) {
    const double expected = std::max(observation.baseline, 0.0);
    const double z = (observation.value - expected) / std::sqrt(expected + 1.0);
    ServiceRisk& risk = service->risk;
    risk.actions =
        std::max(actions_at(risk, observation.ts_ns), std::clamp(z / kActionsUnit, 0.0, 2.0));
    risk.actions_ts_ns = observation.ts_ns;
    // While none waits this is set for nothing: the next judgement begins anew.
    const std::int64_t after_ns = observation.ts_ns - risk.sample_ts_ns;
    risk.witnessed |= after_ns > 0 && after_ns <= kOutcomeNs;
    check_risk(*service, observation.ts_ns, sequence, sink);
    return;
  }
  if (observation.role == MetricRole::kOther) return;
  FollowedSeries* const series = series_of(*service, observation);
  if (series == nullptr || observation.ts_ns <= series->ts_ns) return;
  update(*series, observation, sequence);
  if (series->role == MetricRole::kDemand) check_capacity(*service, *series, sink);
  if (series->role == MetricRole::kSaturation) check_fill(*service, *series, sink);
  if (series->role != MetricRole::kDemand && series->role != MetricRole::kCapacity) {
    check_risk(*service, observation.ts_ns, sequence, sink);
  }
}

void ProactiveOrdered::on_tick(const core::Tick& tick, core::FindingSink& sink) {
  // Without news nothing can become known, but that there is none. Of the tick before: all of its
  // observations are here.
  static_cast<void>(tick);
  silence_.flush(sink);
}

void ProactiveOrdered::on_control(const core::Event& event, core::FindingSink& sink) {
  static_cast<void>(sink);
  if (event.control != core::ControlKind::kDeploy) return;
  const std::string_view name = event.view(event.service);
  if (name.empty()) return;
  const auto found = index_.find(core::hash_bytes(name));
  FollowedService* service = found != index_.end() ? found->second : nullptr;
  if (service == nullptr) {
    // The text lives in the chunk only: keep a copy, unless the bound refuses the service anyway.
    if (services_.size() < config_.services_max) {
      service = service_of(names_.emplace_back(name));
    } else {
      ++refused_count_;
    }
  }
  if (service != nullptr) service->risk.deploy_ts_ns = event.ts_ns;
}

void ProactiveOrdered::on_trigger(const core::Trigger& trigger, core::FindingSink& sink) {
  static_cast<void>(sink);
  if (trigger.weak || trigger.source == core::Source::kProactiveMl ||
      trigger.source == core::Source::kMetaLoop) {
    return;
  }
  const auto found = index_.find(core::hash_bytes(trigger.finding.service));
  if (found == index_.end()) return;
  ServiceRisk& risk = found->second->risk;
  if (risk.sample_ts_ns == 0 || trigger.created_ts_ns < risk.sample_ts_ns) return;
  risk.came_true = true;
  // By the half hour before, as long as "nothing came" looks back: both count at the same services.
  risk.witnessed |=
      risk.actions_ts_ns != 0 && trigger.created_ts_ns - risk.actions_ts_ns < kOutcomeNs;
}

void ProactiveOrdered::on_run(const core::PlaybookRun& run, core::FindingSink& sink) {
  static_cast<void>(sink);
  // Our own action may prevent what was judged: that outcome teaches nothing.
  if (!run.proactive || run.state != core::RunState::kExecuting) return;
  const auto found = index_.find(core::hash_bytes(run.service));
  if (found != index_.end()) found->second->risk.sample_ts_ns = 0;
}

void ProactiveOrdered::on_outcome(const core::Outcome& outcome, core::FindingSink& sink) {
  static_cast<void>(sink);
  // A person's word on a risk that was told; other outcomes are seen as triggers of others.
  const core::Finding& finding = outcome.trigger.finding;
  if (finding.type != core::TriggerType::kRiskAssessment) return;
  const bool right = outcome.kind == core::OutcomeKind::kFeedbackRight;
  if (!right && outcome.kind != core::OutcomeKind::kFeedbackWrong) return;
  const auto found = index_.find(core::hash_bytes(finding.service));
  if (found == index_.end() || found->second->risk.sample_ts_ns == 0) return;
  learn_risk(found->second->risk, right);
}

// Demand of one metric (all its series, fresh ones) and the capacity that is measured in the same
// unit: the metrics' last words agree ("requests_rps", "capacity_rps").
ProactiveOrdered::Need ProactiveOrdered::need_of(const FollowedService& service,
                                                 std::string_view demand,
                                                 std::int64_t ts_ns) const {
  Need need;
  double going_variance = 0.0, staying_variance = 0.0, weighted = 0.0;
  const std::string_view unit = suffix_of(demand);
  for (const FollowedSeries& series : service.series) {
    if (!series.warm || ts_ns - series.ts_ns > kFreshBins * bin_ns_) continue;
    if (series.role == MetricRole::kDemand && series.metric == demand) {
      const Prediction going = series.trend.forecast(horizon_bins_);
      const Prediction staying = series.trend.stay(horizon_bins_);
      need.demand_now += series.value;
      need.going_on.mean += going.mean;
      need.staying.mean += staying.mean;
      going_variance += going.sd * going.sd;
      staying_variance += staying.sd * staying.sd;
      weighted += series.value * series.trend.persistence(true, series.deviation);
      ++need.demand_count;
    } else if (series.role == MetricRole::kCapacity && !unit.empty() &&
               suffix_of(series.metric) == unit) {
      need.capacity += series.value;
      ++need.capacity_count;
    }
  }
  need.going_on.sd = std::sqrt(going_variance);
  need.staying.sd = std::sqrt(staying_variance);
  need.lasts = need.demand_now > 0 ? weighted / need.demand_now : 0.0;
  return need;
}

void ProactiveOrdered::check_capacity(FollowedService& service, const FollowedSeries& series,
                                      core::FindingSink& sink) {
  FollowedSeries& first =
      *std::find_if(service.series.begin(), service.series.end(), [&](const FollowedSeries& s) {
        return s.role == MetricRole::kDemand && s.metric == series.metric;
      });
  if (series.ts_ns <= first.judged_ts_ns) return;  // once a bin, whatever the series count
  const Need need = need_of(service, series.metric, series.ts_ns);
  if (need.demand_count == 0 || need.capacity_count == 0 || need.capacity < 0) return;
  first.judged_ts_ns = series.ts_ns;
  const double shortfall_min = std::clamp(
      context_.learned.adjusted("capacity.shortfall_min", config_.shortfall_min), 0.001, 0.95);
  // shortfall > s  <=>  demand > capacity / (1 - s)
  const double bound = need.capacity / (1.0 - shortfall_min);
  const double going_on = normal_cdf((need.going_on.mean - bound) / need.going_on.sd);
  const double staying = normal_cdf((need.staying.mean - bound) / need.staying.sd);
  const double probability = std::min(need.lasts * going_on + (1.0 - need.lasts) * staying, 0.99);
  const double shortfall = (need.going_on.mean - need.capacity) / need.going_on.mean;
  if (probability < core::kFindingFloor || !(shortfall > shortfall_min)) {
    note_absent(first.shortage, series.ts_ns, refire_);
  } else if (note_present(first.shortage, shortfall, series.ts_ns, config_.confirm_bins, refire_)) {
    report_capacity(service, series, need, probability, sink);
  }
}

// Disk or memory that fills up: its capacity is 100%.
void ProactiveOrdered::check_fill(FollowedService& service, FollowedSeries& series,
                                  core::FindingSink& sink) {
  if (!series.warm || !is_percent(series.metric)) return;
  const Prediction going = series.trend.forecast(horizon_bins_);
  const Prediction staying = series.trend.stay(horizon_bins_);
  const double lasts = series.trend.persistence(true, series.deviation);
  const double probability =
      std::min(lasts * normal_cdf((going.mean - kFull) / going.sd) +
                   (1.0 - lasts) * normal_cdf((staying.mean - kFull) / staying.sd),
               0.99);
  if (probability < core::kFindingFloor) {
    note_absent(series.shortage, series.ts_ns, refire_);
  } else if (note_present(series.shortage, odds(probability), series.ts_ns, config_.confirm_bins,
                          refire_)) {
    report_fill(service, series, going.mean, probability, sink);
  }
}

// Looked up again only when the topology or the services followed have changed.
const std::vector<const FollowedService*>& ProactiveOrdered::dependencies_of(
    FollowedService& service) const {
  const std::uint64_t version = context_.topology.version();
  if (service.dependencies_version == version &&
      service.dependencies_services == services_.size()) {
    return service.dependencies;
  }
  service.dependencies_version = version;
  service.dependencies_services = services_.size();
  service.dependencies.clear();
  const core::ServiceNode* const node = context_.topology.find(service.service);
  if (node == nullptr) return service.dependencies;
  for (const std::string& name : node->depends_on) {  // sorted
    const auto found = index_.find(core::hash_bytes(name));
    if (found != index_.end()) service.dependencies.push_back(found->second);
  }
  return service.dependencies;
}

RiskFeatures ProactiveOrdered::features_of(FollowedService& service, std::int64_t ts_ns) {
  RiskFeatures f{};
  const auto at = [&](RiskFactor factor) -> double& { return f[static_cast<std::size_t>(factor)]; };
  const auto own = [&](const FollowedService& s, bool with_trend) {
    RiskFeatures o{};
    o[static_cast<std::size_t>(RiskFactor::kErrors)] = actions_at(s.risk, ts_ns);
    for (const FollowedSeries& series : s.series) {
      if (ts_ns - series.ts_ns > kFreshBins * bin_ns_) continue;
      const RiskFactor factor = series.role == MetricRole::kSaturation ? RiskFactor::kSaturation
                                : series.role == MetricRole::kLatency  ? RiskFactor::kLatency
                                                                       : RiskFactor::kErrors;
      double& slot = o[static_cast<std::size_t>(factor)];
      slot = std::max(slot, static_cast<double>(series.risk.now));
      if (with_trend) {
        double& trend = o[static_cast<std::size_t>(RiskFactor::kTrend)];
        trend = std::clamp(static_cast<double>(series.risk.now - series.risk.slow), trend, 1.0);
      }
    }
    return o;
  };
  f = own(service, true);
  if (service.risk.deploy_ts_ns != 0 && ts_ns >= service.risk.deploy_ts_ns) {
    const double age =
        static_cast<double>(ts_ns - service.risk.deploy_ts_ns) / static_cast<double>(kDeployNs);
    at(RiskFactor::kDeploy) = std::max(0.0, 1.0 - age);
  }
  service.risk.dependency = {};
  for (const FollowedService* const dependency : dependencies_of(service)) {
    const RiskFeatures theirs = own(*dependency, false);
    const double worst = *std::max_element(theirs.begin(), theirs.end());
    if (worst <= at(RiskFactor::kDependency)) continue;
    at(RiskFactor::kDependency) = worst;
    service.risk.dependency = dependency->service;
  }
  return f;
}

// Where nobody looked "nothing came" is no outcome: it would teach that nothing ever comes. Nor is
// "it came" one there, told by the mesh or by the health graph of the same metrics: without what
// would be its opposite it would teach that it always comes.
void ProactiveOrdered::settle_risk(ServiceRisk& judged) noexcept {
  if (judged.witnessed) {
    learn_risk(judged, judged.came_true);
    return;
  }
  ++risk_counts_.due;
  ++risk_counts_.unwitnessed;
  judged.sample_ts_ns = 0;
}

void ProactiveOrdered::learn_risk(ServiceRisk& judged, bool came_true) noexcept {
  const double truth = came_true ? 1.0 : 0.0;
  const double error = truth - judged.sample_risk;
  const double error_at_start = truth - risk_.risk_at_start(judged.sample);
  ++risk_counts_.due;
  ++(came_true ? risk_counts_.came_true : risk_counts_.did_not_come);
  risk_counts_.squared_error += error * error;
  risk_counts_.squared_error_at_start += error_at_start * error_at_start;
  risk_.learn(judged.sample, came_true);
  judged.sample_ts_ns = 0;
}

void ProactiveOrdered::check_risk(FollowedService& service, std::int64_t ts_ns,
                                  std::uint64_t sequence, core::FindingSink& sink) {
  ServiceRisk& state = service.risk;
  const RiskFeatures features = features_of(service, ts_ns);
  const double risk = risk_.risk(features);

  if (state.sample_ts_ns != 0 &&
      ((state.came_true && state.witnessed) || ts_ns - state.sample_ts_ns >= kOutcomeNs)) {
    settle_risk(state);
  }
  if (state.sample_ts_ns == 0 &&
      *std::max_element(features.begin(), features.end()) >= kFeatureTold) {
    state.sample_ts_ns = ts_ns;
    state.sample = features;
    state.sample_risk = risk;
    state.came_true = false;
    state.witnessed = false;
  }
  if (risk <= config_.risk_min) {
    note_absent(state.fire, ts_ns, refire_);
  } else if (note_present(state.fire, odds(risk), ts_ns, 1, refire_)) {
    report_risk(service, features, risk, ts_ns, sequence, sink);
  }
}

}  // namespace grace::proactive
