#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/platform.h"

namespace grace::core {

// A piece of the data path that is stepped: run_once() does a bounded batch and returns how much
// work it did (0: nothing to do). It never waits and never starts a thread, so tests and the
// simulation step it themselves.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual std::size_t run_once() = 0;
};

// What a thread does after a pass over its stages that found no work.
enum class IdlePolicy : std::uint8_t {
  kSpin = 0,  // keeps the core: lowest latency, for a core of its own only
  kYield,     // spins a little, then gives the core to whoever else wants it
  kPark,      // spins, yields, then sleeps, doubling up to park_max: cheap when quiet
};
// "spin", "yield", "park".
[[nodiscard]] std::optional<IdlePolicy> idle_policy_from(std::string_view name) noexcept;
[[nodiscard]] std::string_view name_of(IdlePolicy policy) noexcept;

struct RunnerConfig {
  // --- behaviour ---
  // Shown by the kernel (top, gdb); cut to 15 characters.
  std::string name = "grace";
  // Pins the thread to this CPU. Empty: the kernel chooses. A CPU that cannot be had is reported by
  // pinned(), not fatal: the engine is slower, not wrong.
  std::optional<unsigned> cpu;
  IdlePolicy idle = IdlePolicy::kPark;
  // --- cost ---
  // Longest sleep of kPark. Longer: fewer wake-ups when quiet; the first event after a quiet time
  // waits up to this long.
  std::chrono::microseconds park_max{200};
};
[[nodiscard]] Result<RunnerConfig> validated(RunnerConfig config);

// Runs stages in turn on one thread of its own until told to stop. The only loop and the only
// waiting of the data path.
//
// Threads: start(), request_stop(), join(): the owner. The stages are used by the runner's thread
// only, between start() and join(). They must outlive the runner.
// Stop: the pass in progress is finished, then the thread ends. Draining is the owner's business:
// it stops runners in flow order, when their input is empty.
class Runner {
 public:
  Runner(RunnerConfig config, std::vector<Stage*> stages);
  ~Runner();  // requests stop and joins
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Once only.
  void start();
  void request_stop() noexcept;
  void join();
  [[nodiscard]] bool running() const noexcept { return thread_.joinable(); }
  // Passes that found work and that did not; for statistics, may lag. Any thread.
  [[nodiscard]] std::uint64_t busy_passes() const noexcept;
  [[nodiscard]] std::uint64_t idle_passes() const noexcept;
  // False until the thread runs, and when the wanted CPU could not be had. True without a wish.
  [[nodiscard]] bool pinned() const noexcept;

 private:
  void run();
  void bind_thread();
  void idle(std::uint64_t idle_streak) const;

  const RunnerConfig config_;
  const std::vector<Stage*> stages_;  // not owned; outlive the runner
  std::thread thread_;
  // Written by the owner.
  alignas(kCacheLineBytes) std::atomic<bool> stop_requested_{false};
  // Written by the runner's thread.
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> busy_passes_{0};
  std::atomic<std::uint64_t> idle_passes_{0};
  std::atomic<bool> pinned_{false};
};

}  // namespace grace::core
