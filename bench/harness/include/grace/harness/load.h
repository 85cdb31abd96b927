#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "grace/core/latency_histogram.h"
#include "grace/harness/arrivals.h"

namespace grace::harness {

// The parts of a run. Arrivals are scheduled over warm-up and window; those of the window count.
// None is negative, the window is above 0.
struct LoadSpan {
  std::int64_t warmup_ns = 500'000'000;
  std::int64_t window_ns = 2'000'000'000;
  // How long completions are waited for after the window, at most.
  std::int64_t drain_ns_max = 1'000'000'000;
  [[nodiscard]] std::int64_t end_ns() const noexcept { return warmup_ns + window_ns; }
};

// Whether arrivals pile up over the window. Mann 1945 and Kendall 1975 test of a trend, which asks
// for no distribution; Theil 1950 and Sen 1968 slope, which a burst does not bend.
struct BacklogTrend {
  double slope_per_s = 0.0;   // arrivals that pile up a second
  double significance = 0.0;  // Kendall's statistic in standard deviations; above 0: it grows
  bool growing = false;
};
// `backlog` at equal distances over window_s; `rate` is the offered one. It grows when the trend is
// significant (2.33 standard deviations, one in a hundred by chance) and takes more than 1% of what
// arrives: less would not show in the sustained rate.
[[nodiscard]] BacklogTrend trend_of(const std::vector<std::int64_t>& backlog, double window_s,
                                    double rate);

struct LoadResult {
  double offered_rate = 0.0;    // arrivals a second, as scheduled in the window
  double completed_rate = 0.0;  // completions a second within the window: the goodput
  std::uint64_t arrivals = 0;   // intended in the window; = completed + unfinished + unsent
  std::uint64_t completed = 0;
  std::uint64_t unfinished = 0;  // sent, not completed when the drain ended
  std::uint64_t unsent = 0;      // could not be sent until then
  // All in nanoseconds. Response time runs from the intended time, service time from the actual
  // send. Unfinished and unsent arrivals are in the response times with what they had waited when
  // the drain ended: less than the truth, never left out.
  core::LatencyHistogram response;
  core::LatencyHistogram service;
  // What the generator itself was late: the service's refusals are not in it.
  core::LatencyHistogram generator_delay;
  std::vector<std::int64_t> backlog;  // intended and not completed, at equal distances
  BacklogTrend trend;
};

// Makes a LoadResult of what was sent and what was completed, in order. Bounds: one entry for each
// sent() whose arrivals are not all completed. Thread: one.
class LoadRecorder {
 public:
  static constexpr std::size_t kBacklogPoints = 64;

  // `arrivals` is valid and outlives the recorder; times are relative to the run's begin.
  LoadRecorder(const ArrivalConfig& arrivals, const LoadSpan& span);
  // The next `count` arrivals of the schedule went out at sent_ns.
  void sent(std::uint64_t count, std::int64_t sent_ns);
  // The next `count` of those were done at done_ns. Not more than were sent.
  void completed(std::uint64_t count, std::int64_t done_ns);
  void generator_delayed(std::uint64_t count, std::int64_t delay_ns);
  [[nodiscard]] std::uint64_t sent_count() const noexcept { return sent_; }
  [[nodiscard]] std::uint64_t completed_count() const noexcept { return completed_; }
  // The drain ended at end_ns. Once.
  [[nodiscard]] LoadResult finish(std::int64_t end_ns);

 private:
  struct Batch {
    std::uint64_t count;
    std::int64_t sent_ns;
  };
  [[nodiscard]] bool in_window(std::int64_t intended_ns) const noexcept;
  [[nodiscard]] std::size_t point_of(std::int64_t at_ns) const noexcept;
  // The next arrival that is not completed.
  [[nodiscard]] std::int64_t next_intended();

  const LoadSpan span_;
  ArrivalSchedule schedule_;
  std::deque<Batch> in_flight_;
  std::uint64_t sent_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t completed_in_window_ = 0;
  // Arrivals and completions by the point at or before which they were; the last: later ones.
  std::vector<std::int64_t> arrived_at_, done_at_;
  LoadResult result_;
};

}  // namespace grace::harness
