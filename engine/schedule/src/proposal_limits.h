#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "grace/schedule/schedule_config.h"

namespace grace::schedule {

// Proposals an hour for each service, backoff for each (service, diagnosis), cooldown for each
// (playbook, service). Keyed by what repeats, never by ids, which are new each time and would make
// every key its own first.
//
// Thread: the ordered stage's. Bounds: services_max keys in each table; when a table is full the
// entry that ends first makes room and evicted_count() rises.
class ProposalLimits {
 public:
  explicit ProposalLimits(const ScheduleConfig& config);

  // Event time at which the service may be proposed for again; 0: now.
  [[nodiscard]] std::int64_t hourly_until_ns(std::string_view service, std::int64_t now_ns) const;
  [[nodiscard]] std::int64_t backoff_until_ns(std::string_view service, std::string_view diagnosis,
                                              std::int64_t now_ns) const;
  [[nodiscard]] std::int64_t cooldown_until_ns(std::string_view playbook, std::string_view service,
                                               std::int64_t now_ns) const;

  void note_proposal(std::string_view service, std::int64_t now_ns);
  void note_failure(std::string_view service, std::string_view diagnosis, std::int64_t now_ns);
  void note_verified_success(std::string_view service, std::string_view diagnosis);
  void note_run_ended(const Playbook& playbook, std::string_view service, std::int64_t now_ns);
  void prune(std::int64_t now_ns);
  [[nodiscard]] std::uint64_t evicted_count() const noexcept { return evicted_count_; }

 private:
  using Pair = std::pair<std::string, std::string>;
  struct Backoff {
    std::uint32_t failures = 0;
    std::int64_t until_ns = 0;
  };
  [[nodiscard]] std::int64_t delay_ns(const Pair& key, std::uint32_t failures) const;

  const std::size_t proposals_per_hour_max_;
  const std::size_t keys_max_;
  const std::int64_t backoff_first_ns_;
  const std::int64_t backoff_max_ns_;
  std::map<std::string, std::deque<std::int64_t>, std::less<>> proposals_;  // times, oldest first
  std::map<Pair, Backoff> backoffs_;
  std::map<Pair, std::int64_t> cooldowns_;  // until
  std::uint64_t evicted_count_ = 0;
};

}  // namespace grace::schedule
