#include "grace/models/alert_history.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "grace/core/hash.h"
#include "grace/core/time.h"

namespace grace::models {
namespace {

constexpr std::int64_t kWindowNs = core::kNsPerMinute;  // in which an alert's density is counted
constexpr std::int64_t kStampNs = 10 * core::kNsPerSecond;

double seconds_of(std::int64_t span_ns) noexcept {
  return static_cast<double>(span_ns) / static_cast<double>(core::kNsPerSecond);
}

std::int64_t ns_of(std::chrono::seconds span) noexcept {
  return span.count() * core::kNsPerSecond;
}

}  // namespace

AlertHistory::AlertHistory(const AlertHistoryConfig& config)
    : config_(config), miner_(config.templates), pasts_(config.alerts_max) {}

void AlertHistory::move_to(std::int64_t ts_ns) {
  if (!begun_) begin_ns_ = now_ns_ = ts_ns;
  begun_ = true;
  // No later than what keeps the time since the beginning in its type: 292 years.
  constexpr std::int64_t kSpanMax = std::numeric_limits<std::int64_t>::max();
  const std::int64_t latest = begin_ns_ < 0 ? begin_ns_ + kSpanMax : kSpanMax;
  now_ns_ = std::max(now_ns_, std::min(ts_ns, latest));
}

double AlertHistory::rate_of(std::uint64_t events) const {
  const double watched = std::max(1.0, seconds_of(now_ns_ - begin_ns_));
  return (static_cast<double>(events) + 1.0) / (watched + seconds_of(ns_of(config_.episode)));
}

bool AlertHistory::ends_episode(const Past& past) const {
  const std::int64_t episode_ns = ns_of(config_.episode);
  return past.episodes == 0 || now_ns_ - past.last_ns > episode_ns ||
         now_ns_ - past.episode_begin_ns > episode_ns;
}

void AlertHistory::update(Past& past, bool new_episode) const {
  if (new_episode) {
    if (past.episode_peak > past.peaks.back()) {
      past.peaks.back() = past.episode_peak;
      std::ranges::sort(past.peaks, std::greater<>());
    }
    past.episode_peak = 0;
    past.episode_begin_ns = now_ns_;
  }
  if (new_episode || now_ns_ - past.window_begin_ns >= kWindowNs) {
    past.window_begin_ns = now_ns_;
    past.window_count = 0;
  }
  ++past.window_count;
  past.episode_peak = std::max(past.episode_peak, past.window_count);
}

bool AlertHistory::recurring(const Past& past) const {
  return static_cast<double>(past.window_count) <=
         config_.surge_factor * static_cast<double>(past.peaks.back());
}

SeenAlert AlertHistory::add(std::string_view service, std::string_view signature,
                            std::string_view text, std::uint64_t arrivals) {
  SeenAlert seen;
  seen.service = core::hash_bytes(service);
  seen.kind = core::combine(core::hash_bytes(signature), miner_.add(text));
  seen.alert = core::combine(seen.service, seen.kind);
  const auto stamp = static_cast<std::int32_t>((now_ns_ - begin_ns_) / kStampNs);
  Past& past = pasts_[pasts_.find_or_insert(seen.alert, stamp, evicted_count_)];
  const bool new_episode = ends_episode(past);
  update(past, new_episode);
  seen.recurring = recurring(past);
  if (seen.recurring) {
    seen.rate = rate_of(past.count);
  } else {
    seen.rate = rate_of(past.episodes > 0 ? past.episodes : arrivals);
  }
  ++past.count;
  if (new_episode) ++past.episodes;
  past.last_ns = now_ns_;
  return seen;
}

bool AlertHistory::is_coincidence(const SeenAlert& seen, double pause_s) const {
  return is_coincidence(seen.rate, seen.recurring ? std::max(1.0, pause_s) : pause_s);
}

}  // namespace grace::models
