#include "cascade_detector.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "grace/core/evidence.h"
#include "grace/core/hash.h"
#include "grace/core/json_writer.h"
#include "grace/core/probability.h"
#include "grace/core/time.h"
#include "text.h"

namespace grace::log_analyzer {
namespace {

// A component not known better begins to err a quarter of a time in its first hour.
constexpr double kPriorOnsets = 0.25;
constexpr double kPriorHours = 1.0;
constexpr double kHoursMax = 48.0;  // then halved
constexpr double kChanceMax = 0.2;  // a component that errs that often tells nothing
// Prior odds that the densest onsets of a window are one cascade: there are 1440 windows in a day.
constexpr double kOddsDependent = 0.005;     // the topology joins them
constexpr double kOddsUnknown = 0.001;       // the topology does not know them
constexpr double kOddsIndependent = 0.0002;  // the topology knows them, and of no dependency
constexpr std::size_t kChainMax = 16;

// P(N >= k) of a Poisson distribution.
double poisson_tail(double mean, std::size_t k) {
  // From the k-th term up: 1 - (the terms below) would cancel for the small tails of interest.
  double term = std::exp(-mean + static_cast<double>(k) * std::log(std::max(mean, 1e-300)) -
                         core::log_gamma(static_cast<double>(k) + 1.0));
  double sum = 0.0;
  for (std::size_t i = k; i < k + 200; ++i) {
    sum += term;
    term *= mean / static_cast<double>(i + 1);
    if (term < sum * 1e-12) break;
  }
  return std::min(1.0, sum);
}

}  // namespace

CascadeDetector::CascadeDetector(const LogAnalyzerConfig& config, const core::Topology& topology)
    : topology_(topology),
      window_ns_(config.cascade_window.count() * core::kNsPerSecond),
      settle_ns_(config.cascade_settle.count() * core::kNsPerSecond),
      quiet_ns_(config.error_quiet.count() * core::kNsPerSecond),
      components_min_(config.cascade_components_min),
      components_(config.components_max) {
  onsets_.reserve(kOnsetsMax);
}

double CascadeDetector::onset_chance(const Component& component, std::int64_t now_ns) const {
  const double hours = component.hours + static_cast<double>(std::max<std::int64_t>(
                                             0, now_ns - component.seen_since_ns)) /
                                             static_cast<double>(core::kNsPerHour);
  const double per_hour = (kPriorOnsets + component.onsets) / (kPriorHours + hours);
  const double window_hours =
      static_cast<double>(window_ns_) / static_cast<double>(core::kNsPerHour);
  return -std::expm1(-per_hour * window_hours);
}

CascadeDetector::Component& CascadeDetector::component_of(const core::Observation& observation) {
  const std::uint64_t key = core::hash_bytes(observation.service);
  const auto stamp =
      static_cast<std::int32_t>(observation.ts_ns / (kStampSeconds * core::kNsPerSecond));
  std::uint32_t slot = components_.find(key);
  if (slot == kNoSlot) {
    slot = components_.find_or_insert(key, stamp, turned_away_count_);
    components_[slot] = {.service = observation.service,
                         .node = topology_.node_of(observation.service),
                         .seen_since_ns = observation.ts_ns};
  } else {
    components_.touch(slot, stamp);
  }
  return components_[slot];
}

void CascadeDetector::renumber() {
  if (nodes_version_ == topology_.version()) return;
  nodes_version_ = topology_.version();
  components_.each([&](std::uint32_t slot) {
    Component& component = components_[slot];
    component.node = topology_.node_of(component.service);
  });
}

void CascadeDetector::on_observation(const core::Observation& observation, std::uint64_t,
                                     core::FindingSink&) {
  if (observation.kind != core::ObservationKind::kActions) return;
  Component& component = component_of(observation);
  if (observation.value <= 0.0) return;
  const bool onset =
      !component.erred || observation.first_error_ts_ns - component.last_error_ns > window_ns_;
  component.erred = true;
  component.last_error_ns = std::max(component.last_error_ns, observation.ts_ns);
  if (!onset) return;
  add_onset(observation, onset_chance(component, observation.first_error_ts_ns));
  component.onsets += 1.0;
  const std::int64_t span_ns = observation.ts_ns - component.seen_since_ns;
  const double hours =
      component.hours + static_cast<double>(span_ns) / static_cast<double>(core::kNsPerHour);
  if (hours > kHoursMax) {
    component.hours = hours * 0.5;
    component.onsets *= 0.5;
    component.seen_since_ns = observation.ts_ns;
  }
}

void CascadeDetector::add_onset(const core::Observation& observation, double chance) {
  if (onsets_.size() >= kOnsetsMax) {
    ++turned_away_count_;
    return;
  }
  const Onset onset{core::hash_bytes(observation.service),
                    observation.service,
                    observation.domain,
                    observation.action,
                    observation.result_text,
                    observation.first_error_ts_ns,
                    observation.first_error_sequence,
                    chance};
  const auto later = [](const Onset& a, const Onset& b) {
    return std::pair(a.ts_ns, a.sequence) < std::pair(b.ts_ns, b.sequence);
  };
  onsets_.insert(std::upper_bound(onsets_.begin(), onsets_.end(), onset, later), onset);
  joined_ns_ = std::max(joined_ns_, observation.ts_ns);
}

void CascadeDetector::on_tick(const core::Tick& tick, core::FindingSink& sink) {
  const std::int64_t now_ns = tick.watermark_ns;
  // Two windows are kept, so that a chain can be judged whole after its window has passed.
  const auto fresh = std::find_if(onsets_.begin(), onsets_.end(), [&](const Onset& onset) {
    return onset.ts_ns > now_ns - 2 * window_ns_;
  });
  if (fresh != onsets_.begin()) {
    onsets_.erase(onsets_.begin(), fresh);
    judged_count_ = 0;
  }
  if (onsets_.size() < components_min_ || onsets_.size() <= judged_count_) return;
  if (now_ns - joined_ns_ < settle_ns_ && now_ns - onsets_.front().ts_ns < window_ns_) return;
  judged_count_ = onsets_.size();
  judge(now_ns, sink);
}

CascadeDetector::Chain CascadeDetector::make_chain(std::int64_t now_ns) {
  renumber();
  // The densest window: the one with the most telling onsets.
  std::vector<const Onset*> telling;
  for (const Onset& onset : onsets_) {
    const std::uint32_t slot = components_.find(onset.component_key);
    const bool told = slot != kNoSlot && components_[slot].reported &&
                      onset.ts_ns - components_[slot].reported_ns < quiet_ns_;
    if (onset.chance <= kChanceMax && !told) telling.push_back(&onset);
  }
  std::size_t best_first = 0;
  std::size_t best_count = 0;
  for (std::size_t first = 0, end = 0; first < telling.size(); ++first) {
    while (end < telling.size() && telling[end]->ts_ns <= telling[first]->ts_ns + window_ns_) ++end;
    if (end - first > best_count) best_count = end - first, best_first = first;
  }
  Chain chain;
  const auto begin = telling.begin() + static_cast<std::ptrdiff_t>(best_first);
  chain.onsets.assign(begin, begin + static_cast<std::ptrdiff_t>(std::min(best_count, kChainMax)));
  if (chain.onsets.size() < components_min_) return chain;

  // Those that the topology joins: each follows a dependency, or is followed by a dependent.
  std::vector<const Onset*> joined;
  std::size_t known = 0;
  std::vector<std::uint32_t> nodes;  // by onset
  for (const Onset* const onset : chain.onsets) {
    nodes.push_back(topology_.node_of(onset->service));
    known += topology_.find(onset->service) != nullptr ? 1 : 0;
  }
  std::uint32_t root_node = core::Topology::kNoNode;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Onset* const onset = chain.onsets[i];
    bool follows = false;
    bool followed = false;
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (k == i) continue;
      const std::int64_t other_ns = chain.onsets[k]->ts_ns;
      if (other_ns <= onset->ts_ns && topology_.depends(nodes[i], nodes[k])) follows = true;
      if (other_ns >= onset->ts_ns && topology_.depends(nodes[k], nodes[i])) followed = true;
    }
    if (!follows && !followed) continue;
    if (joined.empty()) root_node = nodes[i];
    // One cascade has one root: what chance is asked about is the same set that is counted.
    if (joined.empty() || topology_.depends(nodes[i], root_node)) joined.push_back(onset);
  }
  const bool dependent = joined.size() >= components_min_;
  if (dependent) {
    chain.edges = static_cast<std::uint32_t>(joined.size() - 1);
    chain.onsets = std::move(joined);
  }
  chain.prior_odds = dependent ? kOddsDependent : (known == 0 ? kOddsUnknown : kOddsIndependent);
  // What chance makes: among all components, or only among those that could be drawn in.
  if (chain.onsets.empty()) return chain;
  components_.each([&](std::uint32_t slot) {
    const Component& component = components_[slot];
    if (component.service == chain.onsets.front()->service) return;
    if (dependent && !topology_.depends(component.node, root_node)) return;
    chain.expected += std::min(kChanceMax, onset_chance(component, now_ns));
  });
  return chain;
}

void CascadeDetector::judge(std::int64_t now_ns, core::FindingSink& sink) {
  const Chain chain = make_chain(now_ns);
  if (chain.onsets.size() < components_min_) return;
  // Order needs distinct times: errors that all begin at once have a common cause elsewhere.
  std::size_t distinct = 1;
  for (std::size_t i = 1; i < chain.onsets.size(); ++i) {
    if (chain.onsets[i]->ts_ns != chain.onsets[i - 1]->ts_ns) ++distinct;
  }
  if (distinct < components_min_) return;
  const double p = poisson_tail(chain.expected, chain.onsets.size() - 1);
  const double odds = std::log(chain.prior_odds) + core::log_bayes_from_p(p);
  const double confirmations = static_cast<double>(chain.onsets.size()) + chain.edges;
  const double confidence = core::logistic(odds) * core::confirmed(confirmations);
  if (confidence < core::kFindingFloor) return;
  for (const Onset* const onset : chain.onsets) {
    const std::uint32_t slot = components_.find(onset->component_key);
    if (slot == kNoSlot) continue;  // it has made room since
    components_[slot].reported = true;
    components_[slot].reported_ns = now_ns;
  }
  sink.finding(describe(chain, confidence, now_ns));
}

core::Finding CascadeDetector::describe(const Chain& chain, double confidence,
                                        std::int64_t now_ns) const {
  core::Finding finding;
  const Onset& root = *chain.onsets.front();
  finding.type = core::TriggerType::kAnomalySequence;
  finding.confidence = confidence;
  finding.service = root.service;
  finding.domain = root.domain;
  finding.diagnosis_code = "error_cascade";
  finding.what = root.action;
  finding.suggested_playbooks = {"immediate_investigation", "restart_service"};
  finding.ts_ns = now_ns;
  auto highest = core::Criticality::kLow;
  std::string components;
  core::JsonWriter list(components);
  list.begin_array();
  constexpr std::size_t kChainReasonsMax = core::kReasonsMax - 2;
  for (const Onset* const onset : chain.onsets) {
    std::string step = std::string(onset->service) + "." + std::string(onset->action) + ":" +
                       std::string(onset->result_text);
    finding.evidence.push_back({onset->sequence, onset->ts_ns, step});
    if (finding.reasoning.size() < kChainReasonsMax) finding.reasoning.push_back(std::move(step));
    list.value(onset->service);
    if (const auto* const node = topology_.find(onset->service); node != nullptr) {
      highest = std::max(highest, node->criticality);
    }
  }
  list.end_array();
  const std::int64_t span_ns = chain.onsets.back()->ts_ns - root.ts_ns;
  finding.reasoning.push_back(std::to_string(chain.onsets.size()) + " components within " +
                              format_span(span_ns));
  finding.reasoning.push_back(
      chain.edges > 0 ? std::to_string(chain.edges) + " of them after a component they depend on"
                      : std::string("Dependencies unknown: by order alone"));
  const bool critical = chain.onsets.size() >= 4 || highest == core::Criticality::kCritical;
  finding.impact = critical ? core::Impact::kCritical : core::Impact::kHigh;
  finding.metadata = {{"pattern", core::json_quoted("error_cascade")},
                      {"components", components},
                      {"span_seconds", std::to_string(span_ns / core::kNsPerSecond)},
                      {"dependency_edges", std::to_string(chain.edges)},
                      {"expected_by_chance", decimal(chain.expected, 4)}};
  return finding;
}

}  // namespace grace::log_analyzer
