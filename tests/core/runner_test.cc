#include "grace/core/runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <string>

#include "grace/core/hiccup_meter.h"

namespace grace::core {
namespace {

// Works through `items`, a few each pass, then is idle.
class CountingStage final : public Stage {
 public:
  explicit CountingStage(std::uint64_t items) : left_(items) {}
  std::size_t run_once() override {
    passes.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t now = std::min<std::uint64_t>(left_, 8);
    left_ -= now;
    done.fetch_add(now, std::memory_order_release);
    return static_cast<std::size_t>(now);
  }
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> passes{0};

 private:
  std::uint64_t left_;
};

void wait_until(auto condition) {
  while (!condition()) std::this_thread::yield();
}

TEST(Runner, StepsEveryStageUnderEachIdlePolicy) {
  for (const IdlePolicy idle : {IdlePolicy::kSpin, IdlePolicy::kYield, IdlePolicy::kPark}) {
    CountingStage first(1000), second(17);
    RunnerConfig config;
    config.idle = idle;
    Runner runner(config, {&first, &second});
    EXPECT_FALSE(runner.running());
    runner.start();
    wait_until([&] { return first.done.load(std::memory_order_acquire) == 1000; });
    wait_until([&] { return second.done.load(std::memory_order_acquire) == 17; });
    // It goes on asking idle stages for work.
    const std::uint64_t before = first.passes.load(std::memory_order_relaxed);
    wait_until([&] { return first.passes.load(std::memory_order_relaxed) > before + 200; });
    runner.request_stop();
    runner.join();
    EXPECT_FALSE(runner.running());
    EXPECT_EQ(runner.busy_passes(), 125U);
    EXPECT_EQ(runner.busy_passes() + runner.idle_passes(), first.passes.load());
    EXPECT_EQ(first.passes.load(), second.passes.load()) << "a pass that began is finished";
  }
}

TEST(Runner, EndsWithItsDestructor) {
  CountingStage stage(1);
  {
    Runner runner({}, {&stage});
    runner.start();
    wait_until([&] { return stage.passes.load(std::memory_order_relaxed) > 0; });
  }
  const std::uint64_t after = stage.passes.load(std::memory_order_relaxed);
  EXPECT_EQ(stage.passes.load(std::memory_order_relaxed), after);
  Runner never_started({}, {&stage});
}

// Reads how the kernel sees the thread that runs it.
class SelfStage final : public Stage {
 public:
  std::size_t run_once() override {
    if (seen.load(std::memory_order_relaxed)) return 0;
    std::ifstream("/proc/thread-self/comm") >> name;
    std::string line;
    for (std::ifstream status("/proc/thread-self/status"); std::getline(status, line);) {
      if (line.starts_with("Cpus_allowed_list:")) cpus = line.substr(line.find('\t') + 1);
    }
    seen.store(true, std::memory_order_release);
    return 0;
  }
  std::atomic<bool> seen{false};
  std::string name, cpus;
};

TEST(Runner, NamesAndPinsItsThread) {
  SelfStage stage;
  RunnerConfig config;
  config.name = "worker-0-with-a-name-that-is-too-long";
  config.cpu = 0;
  Runner runner(config, {&stage});
  runner.start();
  wait_until([&] { return stage.seen.load(std::memory_order_acquire); });
  runner.request_stop();
  runner.join();
  EXPECT_EQ(stage.name, "worker-0-with-a");
  // A container may withhold CPU 0.
  if (runner.pinned()) {
    EXPECT_EQ(stage.cpus, "0");
  }
}

TEST(Runner, RunsWithoutTheCpuThatItCannotHave) {
  CountingStage stage(1);
  RunnerConfig config;
  config.cpu = 1'000'000;
  Runner runner(config, {&stage});
  runner.start();
  wait_until([&] { return stage.done.load(std::memory_order_acquire) == 1; });
  EXPECT_FALSE(runner.pinned());
}

TEST(RunnerConfig, ValidatorNamesTheField) {
  EXPECT_TRUE(validated(RunnerConfig{}));
  RunnerConfig config;
  config.park_max = std::chrono::microseconds(0);
  ASSERT_FALSE(validated(config));
  EXPECT_NE(validated(config).error().message.find("park_max is 0"), std::string::npos);
  config.park_max = std::chrono::seconds(2);
  EXPECT_FALSE(validated(config));
  config = RunnerConfig{};
  config.name.clear();
  EXPECT_FALSE(validated(config));
}

TEST(HiccupMeter, AccountsForEveryGapOverItsThreshold) {
  // A threshold that every reading passes: all the time must show up as gaps.
  HiccupMeter meter(std::nullopt, -1);
  const HiccupReport report = meter.stop();
  EXPECT_GT(report.gap_count, 0U);
  EXPECT_EQ(report.gaps.count(), report.gap_count);
  EXPECT_EQ(report.gaps.max(), report.gap_ns_max);
  EXPECT_EQ(report.lost_ns, report.watched_ns);
}

}  // namespace
}  // namespace grace::core
