#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/finding.h"
#include "grace/core/lru_table.h"
#include "grace/core/time.h"
#include "grace/core/topology.h"
#include "grace/core/trigger.h"
#include "grace/models/root_cause.h"

namespace grace::correlate {

// Keeps what the partitions observe for models::RootCauseModel, the model of
// `grace score rootcause`, and asks it where an incident began.
//
// What it is fed, each once: closed bins of metrics, each the mean of so many samples, under the
// metric's name; and of an actor's actions on a service the errors in each minute, as "errors".
// Minutes, since how surely a series speaks grows with its number of samples: errors by the
// ten-second period would outvote latencies by the minute. Bins of metrics without a role are left
// out: partitions send them only when they are odd, so there is no past to judge them by. Each
// label set and each actor is a series of its own. Calls are the topology's dependencies; they are
// read again when it has changed.
//
// Bounds: the model's, and as many keys as it has series. Past that a new key is refused, unless
// one was silent for kIdle, which makes room: were the one observed longest ago to go, streams of
// more keys than there is room for would leave no key a past. Ranking costs at most
// kServicesRankedMax services in kRankPeriod of event time. What bounds turn away is counted. No
// allocation once the keys are known and their histories full. Thread: the ordered stage's. A
// function of its inputs: no clock.
class CauseFinder {
 public:
  // Event time.
  static constexpr std::int64_t kIdleNs = 15 * core::kNsPerMinute;
  static constexpr std::int64_t kRankPeriodNs = 10 * core::kNsPerSecond;
  static constexpr std::size_t kServicesRankedMax = 4096;  // 0.1 ms each

  struct Counters {
    std::uint64_t evicted = 0;        // keys that made room
    std::uint64_t refused = 0;        // observations of keys, or keys' services, that found no room
    std::uint64_t deferred = 0;       // rankings that were not made: the period had its share
    std::uint64_t edges_refused = 0;  // dependencies beyond the model's bounds, at the last reading
  };
  CauseFinder(const models::RootCauseConfig& config, const core::Topology& topology);

  void on_observation(const core::Observation& observation);
  // False, and counted, when this period's share of rankings is used up.
  [[nodiscard]] bool may_rank(std::int64_t now_ns);
  // All services that the alarmed ones depend on and these themselves, most probable first;
  // nullopt when nothing is known about any of them.
  [[nodiscard]] std::optional<models::RootCauseRanking> rank(
      std::int64_t now_ns, const std::vector<models::Symptom>& alarms);
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::size_t series_count() const noexcept { return model_.series_count(); }
  [[nodiscard]] std::uint32_t key_count() const noexcept { return followed_.count(); }

 private:
  // Null: has no say, or found no room.
  struct Followed {
    models::RootCauseModel::SeriesHandle series = nullptr;
  };
  // Null, and counted: there is no room for a new key.
  [[nodiscard]] models::RootCauseModel::SeriesHandle series_of(const core::Observation& observation,
                                                               std::string_view metric);
  [[nodiscard]] bool make_room(std::int32_t minute);
  void read_topology();

  const core::Topology& topology_;
  models::RootCauseModel model_;
  core::LruTable<Followed> followed_;
  std::uint64_t topology_version_ = 0;
  std::int64_t rank_period_ = 0;     // number of the current one
  std::size_t services_ranked_ = 0;  // in it
  Counters counters_;
};

// Which metric a finding alarms about: "errors" for failing actions, the metric itself where its
// kind tells what is wrong; empty for all that speak of their service as a whole.
[[nodiscard]] std::string alarm_of(const core::Finding& finding);

}  // namespace grace::correlate
