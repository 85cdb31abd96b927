#include "proposal_limits.h"

#include <algorithm>

#include "grace/core/hash.h"
#include "grace/core/time.h"

namespace grace::schedule {
namespace {

// A failure this long ago no longer counts as "in a row": a service that was left alone for a day
// begins anew. Also what keeps the table small.
constexpr std::int64_t kBackoffMemoryNs = 24 * core::kNsPerHour;

template <typename Map, typename EndOf>
void make_room(Map& map, std::size_t keys_max, std::uint64_t& evicted_count, EndOf end_of) {
  if (map.size() < keys_max) return;
  const auto first_to_end = std::min_element(
      map.begin(), map.end(), [&](const auto& a, const auto& b) { return end_of(a) < end_of(b); });
  map.erase(first_to_end);
  ++evicted_count;
}

}  // namespace

ProposalLimits::ProposalLimits(const ScheduleConfig& config)
    : proposals_per_hour_max_(config.proposals_per_hour_max),
      keys_max_(config.services_max),
      backoff_first_ns_(config.backoff_first.count() * core::kNsPerMinute),
      backoff_max_ns_(config.backoff_max.count() * core::kNsPerMinute) {}

std::int64_t ProposalLimits::hourly_until_ns(std::string_view service, std::int64_t now_ns) const {
  const auto found = proposals_.find(service);
  if (found == proposals_.end() || found->second.size() < proposals_per_hour_max_) return 0;
  // The oldest of the last proposals_per_hour_max_ has to leave the window.
  const auto& times = found->second;
  const std::int64_t until = times[times.size() - proposals_per_hour_max_] + core::kNsPerHour;
  return now_ns < until ? until : 0;
}

std::int64_t ProposalLimits::backoff_until_ns(std::string_view service, std::string_view diagnosis,
                                              std::int64_t now_ns) const {
  const auto found = backoffs_.find(Pair(service, diagnosis));
  return found != backoffs_.end() && now_ns < found->second.until_ns ? found->second.until_ns : 0;
}

std::int64_t ProposalLimits::cooldown_until_ns(std::string_view playbook, std::string_view service,
                                               std::int64_t now_ns) const {
  const auto found = cooldowns_.find(Pair(playbook, service));
  return found != cooldowns_.end() && now_ns < found->second ? found->second : 0;
}

void ProposalLimits::note_proposal(std::string_view service, std::int64_t now_ns) {
  auto found = proposals_.find(service);
  if (found == proposals_.end()) {
    make_room(proposals_, keys_max_, evicted_count_,
              [](const auto& entry) { return entry.second.back(); });
    found = proposals_.emplace(std::string(service), std::deque<std::int64_t>()).first;
  }
  found->second.push_back(now_ns);
  while (found->second.size() > proposals_per_hour_max_) found->second.pop_front();
}

std::int64_t ProposalLimits::delay_ns(const Pair& key, std::uint32_t failures) const {
  std::int64_t delay = backoff_first_ns_;
  for (std::uint32_t i = 1; i < failures && delay < backoff_max_ns_; ++i) delay *= 2;
  delay = std::min(delay, backoff_max_ns_);
  // Less up to a tenth: the bounds in the documentation stay upper bounds.
  const std::uint64_t hash = core::combine(
      core::combine(core::hash_bytes(key.first), core::hash_bytes(key.second)), failures);
  return delay - static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(delay / 10));
}

void ProposalLimits::note_failure(std::string_view service, std::string_view diagnosis,
                                  std::int64_t now_ns) {
  const Pair key(service, diagnosis);
  if (!backoffs_.contains(key)) {
    make_room(backoffs_, keys_max_, evicted_count_,
              [](const auto& entry) { return entry.second.until_ns; });
  }
  Backoff& backoff = backoffs_[key];
  ++backoff.failures;
  backoff.until_ns = now_ns + delay_ns(key, backoff.failures);
}

void ProposalLimits::note_verified_success(std::string_view service, std::string_view diagnosis) {
  backoffs_.erase(Pair(service, diagnosis));
}

void ProposalLimits::note_run_ended(const Playbook& playbook, std::string_view service,
                                    std::int64_t now_ns) {
  if (playbook.cooldown.count() == 0) return;
  const Pair key(playbook.name, service);
  if (!cooldowns_.contains(key)) {
    make_room(cooldowns_, keys_max_, evicted_count_,
              [](const auto& entry) { return entry.second; });
  }
  cooldowns_[key] = now_ns + playbook.cooldown.count() * core::kNsPerSecond;
}

void ProposalLimits::prune(std::int64_t now_ns) {
  std::erase_if(proposals_, [&](const auto& entry) {
    return entry.second.back() + core::kNsPerHour <= now_ns;
  });
  std::erase_if(backoffs_, [&](const auto& entry) {
    return entry.second.until_ns + kBackoffMemoryNs <= now_ns;
  });
  std::erase_if(cooldowns_, [&](const auto& entry) { return entry.second <= now_ns; });
}

}  // namespace grace::schedule
