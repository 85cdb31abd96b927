#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "grace/core/lru_table.h"
#include "grace/models/template_miner.h"

namespace grace::models {

struct AlertHistoryConfig {
  // --- behaviour ---
  // The grain of an alert's episodes: one ends by a pause of this length, and when it has lasted
  // that long.
  std::chrono::seconds episode{600};
  // An alert that would come this probably by mere coincidence belongs to nothing.
  double coincidence_max = 0.05;
  // An alert is recurring when it had three episodes at least 1/surge_factor as dense as now.
  double surge_factor = 4.0;
  // --- cost ---
  std::uint32_t alerts_max = 8192;  // different (service, template), 128 bytes each
  TemplateMinerConfig templates{};
};

// What an alert says and how often the like came, as known before it.
struct SeenAlert {
  std::uint64_t service = 0;
  std::uint64_t kind = 0;   // what it says: its signature and the template of its text
  std::uint64_t alert = 0;  // both: the same again at the same service
  double rate = 0.0;        // at which it came so far, 1/s
  bool recurring = false;
};

// Tells which alerts say the same, and answers one question about each: would it have come now
// anyhow? Recurring alerts count by each time, rare ones by their episodes, and one that was never
// seen by the rate of what its caller calls arrivals. Rates are those of the whole stream so far,
// by Laplace's rule of succession with one episode added to the time watched.
//
// Bounds: AlertHistoryConfig; the least recently seen alert makes room and is counted. A function
// of its inputs alone. Thread: one. No allocation after construction.
class AlertHistory {
 public:
  explicit AlertHistory(const AlertHistoryConfig& config = {});

  // Event time moves on: never backwards, and at most 292 years from its beginning.
  void move_to(std::int64_t ts_ns);
  [[nodiscard]] std::int64_t now_ns() const noexcept { return now_ns_; }

  // An alert comes now. `signature`: the rule that fired, as a stable name; `text`: message or
  // title, in which identifiers do not matter; `arrivals`: how many there were.
  SeenAlert add(std::string_view service, std::string_view signature, std::string_view text,
                std::uint64_t arrivals);

  // Rate of something that came so many times, 1/s.
  [[nodiscard]] double rate_of(std::uint64_t events) const;
  // Whether so long a pause would bring as much by chance, too: then it proves nothing.
  [[nodiscard]] bool is_coincidence(double rate, double pause_s) const {
    return rate * pause_s > config_.coincidence_max;
  }
  // The same for an alert. Times come in whole seconds from many sources: what recurs is given one
  // second at least.
  [[nodiscard]] bool is_coincidence(const SeenAlert& seen, double pause_s) const;

  [[nodiscard]] std::uint64_t evicted_count() const noexcept {
    return evicted_count_ + miner_.evicted_count();
  }

 private:
  static constexpr std::size_t kRecurring = 3;  // episodes

  // What is known of one (service, template).
  struct Past {
    std::uint64_t count = 0;
    std::uint32_t episodes = 0;
    std::uint32_t window_count = 0;                 // alerts in the current minute
    std::uint32_t episode_peak = 0;                 // highest window_count of the current episode
    std::array<std::uint32_t, kRecurring> peaks{};  // of earlier episodes, the highest, descending
    std::int64_t window_begin_ns = 0;
    std::int64_t episode_begin_ns = 0;
    std::int64_t last_ns = 0;
  };
  void update(Past& past, bool new_episode) const;
  [[nodiscard]] bool ends_episode(const Past& past) const;
  [[nodiscard]] bool recurring(const Past& past) const;

  AlertHistoryConfig config_;
  TemplateMiner miner_;
  core::LruTable<Past> pasts_;
  std::int64_t begin_ns_ = 0;
  std::int64_t now_ns_ = 0;
  bool begun_ = false;
  std::uint64_t evicted_count_ = 0;
};

}  // namespace grace::models
