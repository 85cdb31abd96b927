#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "grace/schedule/schedule_config.h"

namespace grace::schedule {

// Stops automatic healing that has become the problem. Three breakers: "attempts" (runs started in
// a sliding hour), "fleet" (share of services in remediation), "playbook:NAME" (failures in a row).
// One that has tripped stays open until acknowledged; acknowledging forgets what tripped it.
// Thread: the ordered stage's. Bounds: one entry a playbook, attempts_per_hour_max start times.
class BreakerBoard {
 public:
  struct Trip {
    std::string breaker;
    std::string reason;
  };
  explicit BreakerBoard(const BreakerConfig& config) : config_(config) {}

  // Before one more run is decided on. `services` in remediation once it runs; `fleet` services.
  [[nodiscard]] std::vector<Trip> before_start(std::int64_t now_ns, std::size_t services,
                                               std::size_t fleet);
  void note_start(std::int64_t now_ns);
  [[nodiscard]] std::optional<Trip> note_failure(std::string_view playbook);
  void note_success(std::string_view playbook);

  [[nodiscard]] std::vector<std::string> open() const { return {open_.begin(), open_.end()}; }
  // The open breakers that concern a run of this playbook.
  [[nodiscard]] std::vector<std::string> open_for(std::string_view playbook) const;
  // Returns what was closed. "*" or empty: all.
  std::vector<std::string> acknowledge(std::string_view breaker);
  void restore_open(std::string_view breaker) { open_.emplace(breaker); }  // from the ledger

 private:
  [[nodiscard]] std::optional<Trip> trip(std::string breaker, std::string reason);

  BreakerConfig config_;
  std::deque<std::int64_t> starts_;  // oldest first, at most attempts_per_hour_max
  std::map<std::string, std::uint32_t, std::less<>> failures_in_a_row_;
  std::set<std::string, std::less<>> open_;
};

}  // namespace grace::schedule
