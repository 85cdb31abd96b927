#include "grace/core/runner.h"

#include <algorithm>
#include <utility>

#include "grace/core/assert.h"
#include "thread_control.h"

namespace grace::core {
namespace {

// An idle streak first spins (the next item is often nanoseconds away), then yields, then sleeps.
// More yields or shorter sleeps find nothing sooner: the kernel's timers are 50 us late by default,
// and each attempt takes the core from a thread that has work. With 64 yields and a first sleep of
// 1 us, ingest and the ordered stage spent a seventh of a replay's CPU time on waiting.
constexpr std::uint64_t kSpinPasses = 64;
constexpr std::uint64_t kYieldPasses = 4;
constexpr std::chrono::microseconds kParkFirst{50};
// Least park_max; one below kParkFirst shortens the first sleep as well.
constexpr std::chrono::microseconds kParkMaxMin{1};

}  // namespace

std::string_view name_of(IdlePolicy policy) noexcept {
  switch (policy) {
    case IdlePolicy::kSpin:
      return "spin";
    case IdlePolicy::kYield:
      return "yield";
    case IdlePolicy::kPark:
      break;
  }
  return "park";
}

std::optional<IdlePolicy> idle_policy_from(std::string_view name) noexcept {
  for (const IdlePolicy policy : {IdlePolicy::kSpin, IdlePolicy::kYield, IdlePolicy::kPark}) {
    if (name == name_of(policy)) return policy;
  }
  return std::nullopt;
}

Result<RunnerConfig> validated(RunnerConfig config) {
  using namespace std::chrono_literals;
  if (config.park_max < kParkMaxMin || config.park_max > 1s) {
    return make_error(ErrorCode::kInvalidArgument, "park_max is " +
                                                       std::to_string(config.park_max.count()) +
                                                       " us, must be within 1 and 1000000");
  }
  if (config.name.empty()) {
    return make_error(ErrorCode::kInvalidArgument, "name is empty, a thread needs one");
  }
  return config;
}

Runner::Runner(RunnerConfig config, std::vector<Stage*> stages)
    : config_(std::move(config)), stages_(std::move(stages)) {
  GRACE_ASSERT(!stages_.empty(), "a runner without stages");
  GRACE_ASSERT(std::count(stages_.begin(), stages_.end(), nullptr) == 0, "a stage is null");
}

Runner::~Runner() {
  request_stop();
  join();
}

void Runner::start() {
  GRACE_ASSERT(!thread_.joinable(), "started twice");
  // Thread start orders everything done to the stages before with what the thread does.
  thread_ = std::thread([this] { run(); });
}

void Runner::request_stop() noexcept {
  // Relaxed: the flag carries no data; the owner reads the stages only after join().
  stop_requested_.store(true, std::memory_order_relaxed);
}

void Runner::join() {
  if (thread_.joinable()) thread_.join();
}

std::uint64_t Runner::busy_passes() const noexcept {
  return busy_passes_.load(std::memory_order_relaxed);  // relaxed: statistics, may lag
}
std::uint64_t Runner::idle_passes() const noexcept {
  return idle_passes_.load(std::memory_order_relaxed);  // relaxed: statistics, may lag
}
bool Runner::pinned() const noexcept {
  return pinned_.load(std::memory_order_relaxed);  // relaxed: statistics, may lag
}

void Runner::bind_thread() {
  name_this_thread(config_.name);
  // Relaxed: statistics, may lag.
  pinned_.store(pin_this_thread(config_.cpu), std::memory_order_relaxed);
}

void Runner::run() {
  bind_thread();
  std::uint64_t busy = 0;
  std::uint64_t idle_all = 0;
  std::uint64_t idle_streak = 0;
  // Relaxed: see request_stop().
  while (!stop_requested_.load(std::memory_order_relaxed)) {
    std::size_t work = 0;
    for (Stage* const stage : stages_) work += stage->run_once();
    if (work != 0) {
      idle_streak = 0;
      busy_passes_.store(++busy, std::memory_order_relaxed);  // relaxed: statistics, one writer
    } else {
      idle_passes_.store(++idle_all, std::memory_order_relaxed);  // relaxed: statistics, one writer
      idle(idle_streak++);
    }
  }
}

void Runner::idle(std::uint64_t idle_streak) const {
  if (config_.idle == IdlePolicy::kSpin || idle_streak < kSpinPasses) {
    pause_cpu();
    return;
  }
  if (config_.idle == IdlePolicy::kYield || idle_streak < kSpinPasses + kYieldPasses) {
    std::this_thread::yield();
    return;
  }
  // Doubles with each idle pass; 20 doublings pass every permitted park_max.
  const std::uint64_t doublings =
      std::min<std::uint64_t>(idle_streak - kSpinPasses - kYieldPasses, 20);
  std::this_thread::sleep_for(
      std::min(config_.park_max, kParkFirst * (std::int64_t{1} << doublings)));
}

}  // namespace grace::core
