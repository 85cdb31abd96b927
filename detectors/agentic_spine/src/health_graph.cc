#include "health_graph.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "grace/core/hash.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "grace/core/topology.h"
#include "text.h"

namespace grace::agentic_spine {
namespace {

constexpr std::int64_t kDeployNewsNs = 30 * core::kNsPerMinute;  // a deploy explains that long
constexpr std::int64_t kStampNs = 10 * core::kNsPerSecond;       // the grain of "news for longest"
constexpr std::size_t kSignalReasonsMax = 6;

double weight_of(core::Criticality criticality) {
  return static_cast<double>(1U << static_cast<unsigned>(criticality));  // 1, 2, 4, 8
}

core::Impact impact_of(double health, const core::BlastRadius& radius,
                       core::Criticality criticality) {
  int level = health < 0.2 ? 2 : 1;
  if (criticality >= core::Criticality::kHigh || (radius.known && radius.services >= 3)) ++level;
  if (criticality == core::Criticality::kCritical) ++level;
  return static_cast<core::Impact>(std::min(level, 3));
}

}  // namespace

HealthGraph::HealthGraph(const AgenticSpineConfig& config, const core::OrderedContext& context)
    : rules_(config),
      topology_(context.topology),
      services_(config.services_max),
      cross_domain_(config, context.topology) {}

std::uint32_t HealthGraph::slot_of(std::string_view name, std::string_view domain,
                                   std::int64_t now_ns) {
  const std::uint64_t key = core::hash_bytes(name);
  const auto stamp = static_cast<std::int32_t>(now_ns / kStampNs);
  std::uint32_t slot = services_.find(key);
  if (slot != core::kNoSlot) {
    services_.touch(slot, stamp);
  } else {
    if (services_.full()) {
      const std::uint32_t oldest = services_.oldest();
      if (services_[oldest].listed) std::erase(unsettled_, oldest);
      services_.erase(oldest);
      ++turned_away_count_;
    }
    slot = services_.insert(key, stamp);
    services_[slot].name = name;
    services_[slot].health = ServiceHealth(now_ns);
  }
  ServiceHealth& health = services_[slot].health;
  if (!domain.empty()) {
    if (health.domain != domain) health.domain = domain;
  } else if (health.domain.empty()) {
    if (const auto* const node = topology_.find(name); node != nullptr) {
      health.domain = node->domain;
    }
  }
  return slot;
}

void HealthGraph::on_observation(const core::Observation& observation, std::uint64_t sequence,
                                 core::FindingSink&) {
  if (observation.service.empty()) return;
  if (observation.kind == core::ObservationKind::kSilence) return;  // says nothing of health
  const std::uint32_t slot = slot_of(observation.service, observation.domain, observation.ts_ns);
  Service& service = services_[slot];
  if (observation.kind == core::ObservationKind::kActions) {
    service.health.on_actions(observation, rules_);
  } else if (!service.health.on_bin(observation, sequence, rules_)) {
    ++turned_away_count_;
  }
  if (service.listed || !service.health.unsettled()) return;
  service.listed = true;
  unsettled_.push_back(slot);
  unsettled_sorted_ = false;
}

void HealthGraph::on_control(const core::Event& event, core::FindingSink&) {
  if (event.control != core::ControlKind::kDeploy) return;
  const std::string_view name = event.view(event.service);
  if (name.empty()) return;
  services_[slot_of(name, {}, event.ts_ns)].health.deployed_ns = event.ts_ns;
}

void HealthGraph::on_tick(const core::Tick& tick, core::FindingSink& sink) {
  if (!unsettled_sorted_) {
    std::sort(unsettled_.begin(), unsettled_.end(), [&](std::uint32_t a, std::uint32_t b) {
      return services_[a].name < services_[b].name;
    });
    unsettled_sorted_ = true;
  }
  std::vector<IllService> ill;
  std::size_t kept = 0;
  for (const std::uint32_t slot : unsettled_) {
    const std::string& service = services_[slot].name;
    ServiceHealth& health = services_[slot].health;
    if (health.unsettled()) health.advance(tick.watermark_ns, rules_);
    services_[slot].listed = health.unsettled();
    if (services_[slot].listed) unsettled_[kept++] = slot;
    if (health.state() == EpisodeState::kHealthy) continue;
    if (health.may_be_due(tick.watermark_ns, rules_)) {
      const Verdict verdict = health.verdict(rules_);
      if (health.due(verdict, tick.watermark_ns, rules_)) {
        report(service, health, verdict, tick.watermark_ns, sink);
        health.mark_reported(verdict);
      }
    }
    // Only what has been reported is told on: a spread is made of illnesses, not of suspicions.
    if (health.state() == EpisodeState::kReported && !health.domain.empty()) {
      const std::int64_t window_ns = rules_.config.cascade_window.count() * core::kNsPerSecond;
      ill.push_back({service, health.domain, health.health(), health.reported_confidence(),
                     health.chance_within(window_ns), health.onset_ns(), &health.evidence()});
    }
  }
  unsettled_.resize(kept);
  std::stable_sort(ill.begin(), ill.end(),
                   [](const auto& a, const auto& b) { return a.onset_ns < b.onset_ns; });
  for (core::Finding& finding : cross_domain_.on_tick(ill, tick.watermark_ns)) {
    sink.finding(std::move(finding));
  }
}

double HealthGraph::domain_health(std::string_view domain) const {
  double sum = 0.0;
  double weights = 0.0;
  services_.each([&](std::uint32_t slot) {
    const ServiceHealth& health = services_[slot].health;
    if (health.domain != domain) return;
    const auto* const node = topology_.find(services_[slot].name);
    const double weight =
        weight_of(node == nullptr ? core::Criticality::kMedium : node->criticality);
    sum += weight * health.health();
    weights += weight;
  });
  return weights > 0.0 ? sum / weights : 1.0;
}

void HealthGraph::report(const std::string& service, const ServiceHealth& health,
                         const Verdict& verdict, std::int64_t now_ns,
                         core::FindingSink& sink) const {
  core::Finding finding;
  finding.type = core::TriggerType::kHealthDegradation;
  finding.service = service;
  finding.domain = health.domain;
  finding.diagnosis_code = "health_degradation";
  finding.what = "health";
  finding.confidence = verdict.confidence;
  finding.ts_ns = now_ns;
  const auto* const node = topology_.find(service);
  const core::BlastRadius radius = topology_.blast_radius(service);
  finding.impact = impact_of(health.lowest(), radius,
                             node == nullptr ? core::Criticality::kMedium : node->criticality);
  const double bound = rules_.config.health_bound;
  finding.reasoning.push_back(service + " health " + decimal(health.lowest(), 2) + ", bound " +
                              decimal(bound, 2));
  if (health.by_rate()) {
    finding.reasoning.push_back("Health falls faster than usual: usually " +
                                decimal(health.usual_fall(), 3) + " a minute");
  }
  const ActionCounts counts = health.counts();
  if (counts.errors > 0.0) {
    finding.reasoning.push_back("Error share " + percent(counts.errors / counts.actions) + " (" +
                                decimal(counts.errors, 0) + " of " + decimal(counts.actions, 0) +
                                "), baseline " + percent(health.learned_share()));
  }
  for (const Signal& signal : health.signals()) {
    if (signal.badness < rules_.config.deviation_min ||
        finding.reasoning.size() >= kSignalReasonsMax) {
      continue;
    }
    finding.reasoning.push_back(signal.name + " " + decimal(signal.value, 2) + ", usually " +
                                decimal(signal.baseline, 2) + " (" + decimal(signal.badness, 1) +
                                " deviations)");
  }
  if (!health.domain.empty()) {
    finding.reasoning.push_back(domain_title(health.domain) + " domain health " +
                                decimal(domain_health(health.domain), 2));
  }
  finding.suggested_playbooks = {"restart_service", "rollback_flag"};
  // A fresh deploy is the likelier cause: going back is the better first try.
  if (health.deployed_ns != 0 && health.onset_ns() >= health.deployed_ns &&
      health.onset_ns() - health.deployed_ns <= kDeployNewsNs) {
    finding.reasoning.push_back("Deployed " +
                                core::format_duration((health.onset_ns() - health.deployed_ns) /
                                                      core::kNsPerSecond * core::kNsPerSecond) +
                                " before");
    std::swap(finding.suggested_playbooks[0], finding.suggested_playbooks[1]);
  }
  finding.evidence = health.evidence();
  finding.metadata = {
      {"health", decimal(health.lowest(), 4)},
      {"bound", decimal(bound, 4)},
      {"blast_radius", radius.known ? std::to_string(radius.services) : std::string("null")},
      {"domain_health", decimal(domain_health(health.domain), 4)},
      {"log_odds", decimal(verdict.log_odds, 2)},
      {"confirmations", decimal(verdict.confirmations, 1)}};
  sink.finding(std::move(finding));
}

}  // namespace grace::agentic_spine
