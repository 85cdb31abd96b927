#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "grace/harness/loops.h"

// Servers whose truth is known, in a time that jumps: tests take no time and never differ.
namespace grace::harness::testing {

constexpr std::int64_t kUs = 1'000;
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kS = 1'000'000'000;

class VirtualTime final : public Timeline {
 public:
  [[nodiscard]] std::int64_t now_ns() override { return now_ns_; }
  void wait_until(std::int64_t at_ns) override { now_ns_ = std::max(now_ns_, at_ns); }

 private:
  std::int64_t now_ns_ = 0;
};

struct ServerConfig {
  // Of each arrival in turn; in parallel where there are several workers.
  std::function<double()> service_ns;
  unsigned workers = 1;
  // What follows, one arrival at a time and in order; the worker waits for it.
  std::function<double()> ordered_ns = [] { return 0.0; };
  // It does nothing within [first, second), since the begin of time.
  std::vector<std::pair<std::int64_t, std::int64_t>> stops = {};
  std::size_t queue_max = std::numeric_limits<std::size_t>::max();  // arrivals not completed
};

inline std::function<double()> constant(double ns) {
  return [ns] { return ns; };
}
inline std::function<double()> exponential(double mean_ns, std::uint64_t seed) {
  return [mean_ns, random = std::mt19937_64(seed)]() mutable {
    return -std::log(1.0 - double(random() >> 11) * 0x1.0p-53) * mean_ns;
  };
}

class SimulatedServer final : public Target {
 public:
  SimulatedServer(ServerConfig config, VirtualTime& time)
      : config_(std::move(config)), time_(time), free_at_(config_.workers, 0.0) {}

  std::uint64_t try_send(std::uint64_t, std::uint64_t count) override {
    std::uint64_t taken = 0;
    for (; taken < count && done_ns_.size() < config_.queue_max; ++taken) {
      const auto worker = std::min_element(free_at_.begin(), free_at_.end());
      const double begin = std::max(double(time_.now_ns()), *worker);
      const double worked = after(begin, config_.service_ns());
      ordered_free_at_ = after(std::max(worked, ordered_free_at_), config_.ordered_ns());
      *worker = ordered_free_at_;
      done_ns_.push_back(std::int64_t(std::ceil(ordered_free_at_)));
    }
    return taken;
  }
  Completion poll() override {
    if (done_ns_.empty() || done_ns_.front() > time_.now_ns()) return {};
    const Completion done{1, done_ns_.front()};
    done_ns_.pop_front();
    return done;
  }
  [[nodiscard]] std::int64_t next_look_ns() override {
    return done_ns_.empty() ? std::numeric_limits<std::int64_t>::max() : done_ns_.front();
  }

 private:
  // When work of this length is done that may begin at `at`; a stop interrupts it.
  [[nodiscard]] double after(double at, double work_ns) const {
    for (const auto& [begin, end] : config_.stops) {
      if (at >= double(end)) continue;
      if (at + work_ns <= double(begin)) break;
      work_ns -= std::max(0.0, double(begin) - at);
      at = double(end);
    }
    return at + work_ns;
  }

  ServerConfig config_;
  VirtualTime& time_;
  std::vector<double> free_at_;  // by worker
  double ordered_free_at_ = 0.0;
  std::deque<std::int64_t> done_ns_;
};

inline ArrivalConfig arrivals_at(ArrivalKind kind, double rate, std::uint64_t seed = 1) {
  ArrivalConfig config;
  config.kind = kind;
  config.rate = rate;
  config.seed = seed;
  return config;
}

inline LoadResult simulate(const ServerConfig& server, const ArrivalConfig& arrivals,
                           const LoadSpan& span) {
  VirtualTime time;
  SimulatedServer target(server, time);
  return drive_open(arrivals, span, target, time);
}

}  // namespace grace::harness::testing
