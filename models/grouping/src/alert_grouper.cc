#include "grace/models/alert_grouper.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "grace/core/exact_math.h"
#include "grace/core/hash.h"
#include "grace/core/time.h"

namespace grace::models {
namespace {

using core::kNoSlot;

constexpr std::int64_t kWindowNs = core::kNsPerMinute;  // in which an alert's density is counted
constexpr std::int64_t kStampNs = 10 * core::kNsPerSecond;

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
      miner_(config.templates),
      histories_(config.alerts_max),
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

// Laplace's rule of succession, with one episode's length added to the time watched.
double AlertGrouper::rate_of(std::uint64_t events) const {
  const double watched = std::max(1.0, seconds_of(now_ns_ - begin_ns_));
  return (static_cast<double>(events) + 1.0) / (watched + seconds_of(ns_of(config_.pause_max)));
}

AlertGrouper::History& AlertGrouper::history_of(std::uint64_t alert) {
  const auto stamp = static_cast<std::int32_t>((now_ns_ - begin_ns_) / kStampNs);
  return histories_[histories_.find_or_insert(alert, stamp, evicted_count_)];
}

bool AlertGrouper::ends_episode(const History& history) const {
  const std::int64_t pause_max_ns = ns_of(config_.pause_max);
  return history.episodes == 0 || now_ns_ - history.last_ns > pause_max_ns ||
         now_ns_ - history.episode_begin_ns > pause_max_ns;
}

void AlertGrouper::update(History& history, bool new_episode) const {
  if (new_episode) {
    if (history.episode_peak > history.peaks.back()) {
      history.peaks.back() = history.episode_peak;
      std::ranges::sort(history.peaks, std::greater<>());
    }
    history.episode_peak = 0;
    history.episode_begin_ns = now_ns_;
  }
  if (new_episode || now_ns_ - history.window_begin_ns >= kWindowNs) {
    history.window_begin_ns = now_ns_;
    history.window_count = 0;
  }
  ++history.window_count;
  history.episode_peak = std::max(history.episode_peak, history.window_count);
}

bool AlertGrouper::recurring(const History& history) const {
  return static_cast<double>(history.window_count) <=
         config_.surge_factor * static_cast<double>(history.peaks.back());
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
  const std::int64_t pause_ns = now_ns_ - incident.last_ns;
  if (pause_ns <= ns_of(config_.close_gap)) return true;
  const double gaps = static_cast<double>(incident.gaps);
  const double span = seconds_of(ns_of(config_.expected_gap)) + gaps * incident.mean_gap_s;
  return (gaps + 1.0) * core::exact_log(1.0 + seconds_of(pause_ns) / span) <= pause_nats_max_;
}

bool AlertGrouper::belongs(const Incident& incident, const Seen& seen, Tie tie) const {
  if (incident.alerts.has(seen.alert)) return true;
  if (tie == Tie::kNone && !incident.templates.has(seen.kind)) return false;
  const double pause_s = seconds_of(now_ns_ - incident.last_ns);
  // Times come in whole seconds from many sources: what recurs is given one at least.
  const double exposed_s = seen.recurring ? std::max(1.0, pause_s) : pause_s;
  if (seen.rate * exposed_s > config_.coincidence_max) return false;
  return tie >= Tie::kRelated || seen.recurring ||
         rate_of(arrival_count_) * pause_s <= config_.coincidence_max;
}

AlertGrouper::Incident* AlertGrouper::best_incident(const Seen& seen) {
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

void AlertGrouper::join(Incident& incident, const Seen& seen) {
  if (!seen.recurring) {
    const double gap_s = seconds_of(now_ns_ - incident.last_ns);
    incident.gaps = std::min(incident.gaps + 1, kGapsMax);
    incident.mean_gap_s += (gap_s - incident.mean_gap_s) / static_cast<double>(incident.gaps);
    incident.last_ns = now_ns_;
  }
  if (!incident.services.has(seen.service)) ++arrival_count_;
  incident.services.add(seen.service);
  incident.alerts.add(seen.alert);
  incident.templates.add(seen.kind);
}

void AlertGrouper::expire() {
  std::erase_if(incidents_, [this](const Incident& incident) {
    return now_ns_ - incident.last_ns > ns_of(config_.pause_max);
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
  incident.last_ns = now_ns_;
  return incident;
}

AlertGrouper::Seen AlertGrouper::look(const Alert& alert) {
  Seen seen;
  seen.service = core::hash_bytes(alert.service);
  seen.kind = core::combine(core::hash_bytes(alert.signature), miner_.add(alert.text));
  seen.alert = core::combine(seen.service, seen.kind);
  History& history = history_of(seen.alert);
  const bool new_episode = ends_episode(history);
  update(history, new_episode);
  seen.recurring = recurring(history);
  if (seen.recurring) {
    seen.rate = rate_of(history.count);
  } else {
    seen.rate = rate_of(history.episodes > 0 ? history.episodes : arrival_count_);
  }
  ++history.count;
  if (new_episode) ++history.episodes;
  history.last_ns = now_ns_;
  return seen;
}

AlertGroup AlertGrouper::add(const Alert& alert) {
  if (!begun_) begin_ns_ = now_ns_ = alert.ts_ns;
  begun_ = true;
  // No later than what keeps the time since the first alert in its type: 292 years.
  constexpr std::int64_t kSpanMax = std::numeric_limits<std::int64_t>::max();
  const std::int64_t latest = begin_ns_ < 0 ? begin_ns_ + kSpanMax : kSpanMax;
  now_ns_ = std::max(now_ns_, std::min(alert.ts_ns, latest));
  expire();
  const Seen seen = look(alert);
  if (Incident* const incident = best_incident(seen); incident != nullptr) {
    join(*incident, seen);
    return {incident->id, false};
  }
  if (seen.recurring) {
    std::uint64_t& group = history_of(seen.alert).background_group;
    if (group == kNoGroup) group = next_group_++;
    return {group, true};
  }
  Incident& incident = open();
  ++arrival_count_;
  incident.services.add(seen.service);
  incident.alerts.add(seen.alert);
  incident.templates.add(seen.kind);
  return {incident.id, false};
}

}  // namespace grace::models
