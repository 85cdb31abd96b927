#include "grace/ingest/host_source.h"

#include <map>

#include "grace/core/finding.h"
#include "ingest_fixture.h"

namespace grace::ingest {
namespace {

using namespace std::chrono_literals;

// A machine made of text files.
class HostSourceTest : public ::testing::Test {
 protected:
  void machine() {
    directory_.write("proc/stat",
                     "cpu  1000 100 500 8000 200 50 50 100 7 7\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
                     "cpu1 1 1 1 1 1 1 1 1 0 0\nintr 5 0 0\nctxt 10000\nbtime 1\n"
                     "processes 300\nprocs_running 3\nprocs_blocked 1\n");
    directory_.write("proc/loadavg", "0.50 1.25 2.00 2/345 6789\n");
    directory_.write("proc/meminfo",
                     "MemTotal:        1000000 kB\nMemFree:  100000 kB\nMemAvailable: 250000 kB\n"
                     "SwapTotal: 1000 kB\nSwapFree: 900 kB\nHugePages_Total: 0\n");
    directory_.write("proc/diskstats",
                     "   8       0 sda 100 0 2000 10 200 0 4000 20 0 1000 30\n"
                     "   8       1 sda1 90 0 1900 10 200 0 4000 20 0 1000 30\n"
                     "   7       0 loop0 9 0 9 9 9 0 9 9 0 9 9 0 0 0 0\n");
    directory_.write("sys/block/sda/size", "1");
    directory_.write("sys/block/loop0/size", "1");
    directory_.write(
        "proc/net/dev",
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes packets\n"
        "    lo: 9999 9 0 0 0 0 0 0 9999 9 0 0 0 0 0 0\n"
        "  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n");
    directory_.write("proc/pressure/cpu", "some avg10=1.00 avg60=0.5 avg300=0.1 total=1000000\n");
    directory_.write("proc/pressure/io",
                     "some avg10=0.00 avg60=0.00 avg300=0.00 total=500\n"
                     "full avg10=0.00 avg60=0.00 avg300=0.00 total=400\n");
    directory_.write("proc/vmstat", "pgfault 5\npgmajfault 10\noom_kill 0\n");
    directory_.write("proc/sys/fs/file-nr", "1200\t200\t10000\n");
  }
  void one_second_later() {
    directory_.write("proc/stat",
                     "cpu  1040 110 520 8080 220 55 55 120 7 7\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
                     "cpu1 1 1 1 1 1 1 1 1 0 0\nctxt 10400\nprocesses 310\n"
                     "procs_running 2\nprocs_blocked 0\n");
    directory_.write("proc/diskstats", "   8       0 sda 150 0 4000 10 250 0 6000 20 0 1500 30\n");
    directory_.write("proc/net/dev", "  eth0: 6000 60 2 2 0 0 0 0 2100 21 3 6 0 0 0 0\n");
    directory_.write("proc/pressure/cpu", "some avg10=1.00 avg60=0.5 avg300=0.1 total=1250000\n");
    directory_.write("proc/pressure/io",
                     "some avg10=0.00 avg60=0.00 avg300=0.00 total=100500\n"
                     "full avg10=0.00 avg60=0.00 avg300=0.00 total=50400\n");
    directory_.write("proc/vmstat", "pgmajfault 30\noom_kill 2\n");
  }
  HostSourceConfig config() {
    HostSourceConfig config;
    config.service = "n1";
    config.root = directory_.path();
    config.disk_space = [](const std::string&) { return DiskSpace{1000, 200}; };
    return config;
  }
  void start(const HostSourceConfig& with) {
    bench_.config.linger = 0ns;
    source_ = bench_.add(std::make_unique<HostSource>(with, bench_.clock));
    bench_.start();
  }
  // The metrics of one step, by name.
  std::map<std::string, double> sample() {
    bench_.port.published.clear();
    bench_.step();
    std::map<std::string, double> metrics;
    for (const Published& chunk : bench_.port.published) {
      std::size_t at = 0;
      while ((at = chunk.text.find("\"metric\":\"", at)) != std::string::npos) {
        const std::size_t name = at + 10;
        const std::size_t end = chunk.text.find('"', name);
        const std::size_t value = chunk.text.find("\"value\":", end) + 8;
        metrics[chunk.text.substr(name, end - name)] = std::stod(chunk.text.substr(value));
        at = end;
      }
    }
    return metrics;
  }
  TempDirectory directory_;
  StageBench bench_;
  HostSource* source_ = nullptr;
};

TEST_F(HostSourceTest, TellsLevelsAtOnceAndRatesFromTheSecondSample) {
  machine();
  start(config());
  auto first = sample();
  EXPECT_EQ(
      bench_.port.published.at(0).text.substr(0, bench_.port.published[0].text.find('\n')),
      "{\"ts\":1736950000000000000,\"kind\":\"metric\",\"service\":\"n1\",\"domain\":\"host\","
      "\"metric\":\"processes_running\",\"value\":3}");
  EXPECT_EQ(first["memory_usage_percent"], 75.0);
  EXPECT_EQ(first["swap_usage_percent"], 10.0);
  EXPECT_EQ(first["disk_usage_percent"], 80.0);
  EXPECT_EQ(first["load_1m"], 0.5);
  EXPECT_EQ(first["load_per_cpu"], 0.25);
  EXPECT_EQ(first["file_handle_usage_percent"], 10.0);
  EXPECT_EQ(first.count("cpu_usage_percent"), 0U);
  EXPECT_EQ(first.count("network_receive_rate_bytes"), 0U);

  one_second_later();
  bench_.clock.advance(1'000'000'000);
  auto second = sample();
  // 200 jiffies: 80 idle, 20 iowait.
  EXPECT_EQ(second["cpu_usage_percent"], 50.0);
  EXPECT_EQ(second["cpu_user_percent"], 25.0);
  EXPECT_EQ(second["cpu_steal_percent"], 10.0);
  EXPECT_EQ(second["context_switches_per_second"], 400.0);
  EXPECT_EQ(second["block_read_rate_bytes"], 2000.0 * 512);
  EXPECT_EQ(second["disk_busy_percent"], 50.0);
  EXPECT_EQ(second["network_receive_rate_bytes"], 5000.0);
  EXPECT_EQ(second["network_errors_per_second"], 1.0);
  EXPECT_EQ(second["network_drops_per_second"], 2.0);
  EXPECT_EQ(second["cpu_pressure_percent"], 25.0);
  EXPECT_EQ(second["io_pressure_percent"], 10.0);
  EXPECT_EQ(second["io_full_pressure_percent"], 5.0);
  EXPECT_EQ(second["oom_kill_failures_per_second"], 2.0);
}

TEST_F(HostSourceTest, GivesMetricsTheRolesThatDetectorsKnow) {
  EXPECT_EQ(core::role_of_metric("cpu_usage_percent"), core::MetricRole::kSaturation);
  EXPECT_EQ(core::role_of_metric("memory_usage_percent"), core::MetricRole::kSaturation);
  EXPECT_EQ(core::role_of_metric("disk_usage_percent"), core::MetricRole::kSaturation);
  EXPECT_EQ(core::role_of_metric("io_pressure_percent"), core::MetricRole::kSaturation);
  EXPECT_EQ(core::role_of_metric("network_errors_per_second"), core::MetricRole::kErrors);
  EXPECT_EQ(core::role_of_metric("oom_kill_failures_per_second"), core::MetricRole::kErrors);
  EXPECT_EQ(core::role_of_metric("network_receive_rate_bytes"), core::MetricRole::kDemand);
  EXPECT_EQ(core::role_of_metric("block_read_rate_bytes"), core::MetricRole::kDemand);
}

TEST_F(HostSourceTest, LeavesOutWhatTheKernelHidesAndCountsItOnce) {
  directory_.write("proc/meminfo", "MemTotal: 100 kB\nMemFree: 20 kB\nCached: 30 kB\n");
  start(config());
  for (int i = 0; i < 3; ++i) {
    const auto metrics = sample();
    EXPECT_EQ(metrics.at("memory_usage_percent"), 50.0) << "without MemAvailable";
    EXPECT_EQ(metrics.count("cpu_usage_percent"), 0U);
    bench_.clock.advance(1'000'000'000);
  }
  // stat, loadavg, diskstats, net/dev, 3 pressure files, vmstat, file-nr
  EXPECT_EQ(source_->counters().read_errors.load(), 9U);
}

TEST_F(HostSourceTest, KeepsItsBeatAndLeavesMissedBeatsOut) {
  machine();
  start(config());
  EXPECT_FALSE(sample().empty());
  EXPECT_TRUE(sample().empty());
  bench_.clock.advance(3'400'000'000);
  EXPECT_FALSE(sample().empty());
  EXPECT_TRUE(sample().empty());
  bench_.clock.advance(600'000'000);
  EXPECT_FALSE(sample().empty());
}

TEST_F(HostSourceTest, TakesNoNumberFromMalformedFiles) {
  machine();
  for (const char* name :
       {"proc/stat", "proc/loadavg", "proc/meminfo", "proc/diskstats", "proc/net/dev",
        "proc/pressure/cpu", "proc/pressure/io", "proc/vmstat", "proc/sys/fs/file-nr"}) {
    directory_.write(name, "cpu x y\nMemTotal: many kB\nsome total=\neth0: 1 2\n\n\xff 1/");
  }
  start(config());
  const auto metrics = sample();
  EXPECT_EQ(metrics.size(), 1U) << "only the disk's fill, which is no file";
}

TEST_F(HostSourceTest, SplitsASampleOverSmallChunksAtLines) {
  machine();
  bench_.config.chunk_target_bytes = 4096;
  HostSourceConfig with = config();
  with.service = std::string(700, 'n');
  bench_.config.line_bytes_max = 1024;
  bench_.config.linger = 0ns;
  bench_.add(std::make_unique<HostSource>(with, bench_.clock));
  bench_.start();
  bench_.run_until([&] { return bench_.stage->run_once() == 0; });
  EXPECT_GT(bench_.port.published.size(), 1U);
  for (const Published& chunk : bench_.port.published) EXPECT_EQ(chunk.text.back(), '\n');
}

TEST(HostSource, WatchesThisMachine) {
  const core::SystemClock clock;
  StageBench bench;
  bench.config.linger = 0ns;
  bench.parts.clock = &clock;
  bench.add(std::make_unique<HostSource>(HostSourceConfig{.period = 1ms}, clock));
  bench.start();
  bench.run_until([&] { return bench.port.published.size() >= 3; });
  EXPECT_NE(all_text(bench.port.published).find("\"memory_usage_percent\""), std::string::npos);
  EXPECT_NE(all_text(bench.port.published).find("\"disk_usage_percent\""), std::string::npos);
}

}  // namespace
}  // namespace grace::ingest
