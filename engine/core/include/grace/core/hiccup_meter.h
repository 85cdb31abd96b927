#pragma once
#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>

#include "grace/core/latency_histogram.h"

namespace grace::core {

struct HiccupReport {
  std::int64_t watched_ns = 0;  // how long the meter ran
  std::int64_t lost_ns = 0;     // sum of the gaps over the threshold
  std::uint64_t gap_count = 0;
  std::int64_t gap_ns_max = 0;
  LatencyHistogram gaps;  // gaps over the threshold
};

// Measures time that the machine took away (hypervisor, interrupts, other processes), so that a
// benchmark can tell its own slowness from its neighbours': a thread reads the clock in a loop, and
// a gap between two readings above the threshold is time in which this core ran somebody else.
// It occupies one core entirely while it runs: never in production, and where the benchmark needs
// every core, run it before and after instead of beside.
class HiccupMeter {
 public:
  // Smallest gap that counts; below it a gap may be the loop itself.
  static constexpr std::int64_t kThresholdNs = 20'000;

  explicit HiccupMeter(std::optional<unsigned> cpu = std::nullopt,
                       std::int64_t threshold_ns = kThresholdNs);
  ~HiccupMeter();
  HiccupMeter(const HiccupMeter&) = delete;
  HiccupMeter& operator=(const HiccupMeter&) = delete;
  // Ends the measurement. Once only.
  [[nodiscard]] HiccupReport stop();

 private:
  void watch(std::optional<unsigned> cpu, std::int64_t threshold_ns);
  std::atomic<bool> stop_requested_{false};
  HiccupReport report_;  // the thread's until it is joined
  std::thread thread_;
};

}  // namespace grace::core
