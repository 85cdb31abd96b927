#include "grace/models/alert_grouper.h"

#include <algorithm>

#include "grace/core/exact_math.h"
#include "grace/core/hash.h"
#include "grace/core/time.h"

namespace grace::models {
namespace {

using core::kNoSlot;

double seconds_of(std::int64_t span_ns) noexcept {
  return static_cast<double>(span_ns) / static_cast<double>(core::kNsPerSecond);
}

std::int64_t ns_of(std::chrono::seconds span) noexcept {
  return span.count() * core::kNsPerSecond;
}

std::uint64_t pair_key(std::uint64_t a, std::uint64_t b) noexcept {
  return core::combine(std::min(a, b), std::max(a, b));
}

}  // namespace

template <std::size_t kMax>
bool AlertGrouper::KeptSet<kMax>::has(std::uint64_t key) const noexcept {
  return std::find(keys.begin(), keys.begin() + used, key) != keys.begin() + used;
}

template <std::size_t kMax>
void AlertGrouper::KeptSet<kMax>::add(std::uint64_t key) noexcept {
  if (used < kMax && !has(key)) keys[used++] = key;
}

AlertGrouper::AlertGrouper(const AlertGrouperConfig& config)
    : config_(config),
      pause_nats_max_(-core::exact_log(config.pause_probability_min)),
      history_({.episode = config.pause_max,
                .coincidence_max = config.coincidence_max,
                .surge_factor = config.surge_factor,
                .alerts_max = config.alerts_max,
                .templates = config.templates}),
      background_(config.alerts_max),
      relations_(config.services_max) {
  incidents_.reserve(config.incidents_max);
}

bool AlertGrouper::relate(std::string_view a, std::string_view b) {
  const std::uint64_t first = core::hash_bytes(a);
  const std::uint64_t second = core::hash_bytes(b);
  const std::array keys{core::mix(first), core::mix(second), pair_key(first, second)};
  const auto is_new = [this](std::uint64_t key) { return relations_.find(key) == kNoSlot; };
  // All or nothing: two services that are known without their dependency would be kept apart.
  if (relations_.count() + std::ranges::count_if(keys, is_new) > config_.services_max) return false;
  for (const std::uint64_t key : keys) {
    if (is_new(key)) relations_.insert(key, 0);
  }
  return true;
}

AlertGrouper::Tie AlertGrouper::tie_of(const Incident& incident, std::uint64_t service) const {
  if (incident.services.has(service)) return Tie::kSame;
  const bool known = relations_.find(core::mix(service)) != kNoSlot;
  bool all_known = known;
  for (std::uint32_t i = 0; i < incident.services.used; ++i) {
    const std::uint64_t other = incident.services.keys[i];
    if (relations_.find(pair_key(service, other)) != kNoSlot) return Tie::kRelated;
    all_known = all_known && relations_.find(core::mix(other)) != kNoSlot;
  }
  return all_known ? Tie::kNone : Tie::kUnknown;
}

bool AlertGrouper::goes_on(const Incident& incident) const {
  const std::int64_t pause_ns = history_.now_ns() - incident.last_ns;
  if (pause_ns <= ns_of(config_.close_gap)) return true;
  const double gaps = static_cast<double>(incident.gaps);
  const double span = seconds_of(ns_of(config_.expected_gap)) + gaps * incident.mean_gap_s;
  return (gaps + 1.0) * core::exact_log(1.0 + seconds_of(pause_ns) / span) <= pause_nats_max_;
}

bool AlertGrouper::belongs(const Incident& incident, const SeenAlert& seen, Tie tie) const {
  if (incident.alerts.has(seen.alert)) return true;
  if (tie == Tie::kNone && !incident.templates.has(seen.kind)) return false;
  const double pause_s = seconds_of(history_.now_ns() - incident.last_ns);
  if (history_.is_coincidence(seen, pause_s)) return false;
  return tie >= Tie::kRelated || seen.recurring ||
         !history_.is_coincidence(history_.rate_of(arrival_count_), pause_s);
}

AlertGrouper::Incident* AlertGrouper::best_incident(const SeenAlert& seen) {
  Incident* best = nullptr;
  Tie best_tie = Tie::kNone;
  for (Incident& incident : incidents_) {
    if (!goes_on(incident)) continue;
    const Tie tie = tie_of(incident, seen.service);
    if (!belongs(incident, seen, tie)) continue;
    if (best == nullptr || tie > best_tie ||
        (tie == best_tie && incident.last_ns > best->last_ns)) {
      best = &incident;
      best_tie = tie;
    }
  }
  return best;
}

void AlertGrouper::join(Incident& incident, const SeenAlert& seen) {
  if (!seen.recurring) {
    const double gap_s = seconds_of(history_.now_ns() - incident.last_ns);
    incident.gaps = std::min(incident.gaps + 1, kGapsMax);
    incident.mean_gap_s += (gap_s - incident.mean_gap_s) / static_cast<double>(incident.gaps);
    incident.last_ns = history_.now_ns();
  }
  if (!incident.services.has(seen.service)) ++arrival_count_;
  incident.services.add(seen.service);
  incident.alerts.add(seen.alert);
  incident.templates.add(seen.kind);
}

void AlertGrouper::expire() {
  std::erase_if(incidents_, [this](const Incident& incident) {
    return history_.now_ns() - incident.last_ns > ns_of(config_.pause_max);
  });
}

AlertGrouper::Incident& AlertGrouper::open() {
  if (incidents_.size() == config_.incidents_max) {
    incidents_.erase(std::ranges::min_element(incidents_, {}, &Incident::last_ns));
    ++evicted_count_;
  }
  ++incident_count_;
  Incident& incident = incidents_.emplace_back();
  incident.id = next_group_++;
  incident.last_ns = history_.now_ns();
  return incident;
}

std::uint64_t AlertGrouper::background_group_of(std::uint64_t alert) {
  // Only the order of use matters, so stamps may come again after a wrap.
  stamp_ = (stamp_ + 1) & 0x7fffffff;
  if (const std::uint32_t slot = background_.find(alert); slot != kNoSlot) {
    background_.touch(slot, stamp_);
    return background_[slot];
  }
  const std::uint32_t slot = background_.find_or_insert(alert, stamp_, evicted_count_);
  return background_[slot] = next_group_++;
}

AlertGroup AlertGrouper::add(const Alert& alert) {
  history_.move_to(alert.ts_ns);
  expire();
  const SeenAlert seen = history_.add(alert.service, alert.signature, alert.text, arrival_count_);
  if (Incident* const incident = best_incident(seen); incident != nullptr) {
    join(*incident, seen);
    return {incident->id, false};
  }
  if (seen.recurring) {
    return {background_group_of(seen.alert), true};
  }
  Incident& incident = open();
  ++arrival_count_;
  incident.services.add(seen.service);
  incident.alerts.add(seen.alert);
  incident.templates.add(seen.kind);
  return {incident.id, false};
}

}  // namespace grace::models
