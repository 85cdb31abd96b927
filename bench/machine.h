#pragma once
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "grace/core/hiccup_meter.h"
#include "grace/core/platform.h"

// What stands beside every figure: how quiet the machine was, and how far apart its cores are.
namespace grace::bench {

// A run that lost more than this to others is inconclusive.
inline constexpr double kLostShareMax = 0.02;

inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Quiet {
  std::int64_t watched_ns = 0;
  std::int64_t lost_ns = 0;
  [[nodiscard]] double lost_share() const {
    return watched_ns > 0 ? static_cast<double>(lost_ns) / static_cast<double>(watched_ns) : 0.0;
  }
};

// A moment on each of the first two CPUs, while none of the contestants runs.
inline void watch(Quiet& quiet, std::chrono::milliseconds span) {
  const unsigned cpus = std::min(std::thread::hardware_concurrency(), 2U);
  std::vector<std::unique_ptr<core::HiccupMeter>> meters;
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    meters.push_back(std::make_unique<core::HiccupMeter>(cpu));
  }
  std::this_thread::sleep_for(span);
  for (auto& meter : meters) {
    const core::HiccupReport report = meter->stop();
    quiet.watched_ns += report.watched_ns;
    quiet.lost_ns += report.lost_ns;
  }
}

inline void pin(std::size_t cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  // Where it cannot be pinned, the probe says something about fewer cores; it is only shown.
  static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
}

// Median time of a word's way to the other core and back; what a handover between stages costs.
inline double round_trip_ns() {
  constexpr std::uint64_t kTripsPerBatch = 200;
  constexpr std::size_t kBatches = 25;
  alignas(core::kCacheLineBytes) std::atomic<std::uint64_t> ping{0};
  alignas(core::kCacheLineBytes) std::atomic<std::uint64_t> pong{0};
  constexpr std::uint64_t kTrips = kTripsPerBatch * kBatches;
  std::thread answers([&] {
    pin(1);
    for (std::uint64_t trip = 1; trip <= kTrips; ++trip) {
      // [PING] acquire, [PONG] release: no data beside the numbers; the orders a ring would use.
      while (ping.load(std::memory_order_acquire) < trip) std::this_thread::yield();
      pong.store(trip, std::memory_order_release);
    }
  });
  std::vector<double> batches_ns;
  std::thread asks([&] {
    pin(0);
    std::uint64_t trip = 0;
    for (std::size_t batch = 0; batch < kBatches; ++batch) {
      const double begin_s = now_s();
      for (std::uint64_t i = 0; i < kTripsPerBatch; ++i) {
        // [PING] release, [PONG] acquire: see above.
        ping.store(++trip, std::memory_order_release);
        while (pong.load(std::memory_order_acquire) < trip) std::this_thread::yield();
      }
      batches_ns.push_back((now_s() - begin_s) * 1e9 / static_cast<double>(kTripsPerBatch));
    }
  });
  asks.join();
  answers.join();
  return median(batches_ns);
}

}  // namespace grace::bench
