#include "grace/harness/machine.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "commit.h"
#include "grace/core/hiccup_meter.h"
#include "grace/core/platform.h"
#include "grace/harness/search.h"

namespace grace::harness {

unsigned usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return std::thread::hardware_concurrency();
  return static_cast<unsigned>(CPU_COUNT(&set));
}

namespace {

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line)) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

void pin(std::size_t cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  // Where it cannot be pinned, the probe says something about fewer cores; it is only shown.
  static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
}

double ticks_s() {
  return 1.0 / double(sysconf(_SC_CLK_TCK));
}

std::optional<double> process_cpu_s(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  // The name, in brackets, may hold anything; utime and stime are the 12th and 13th behind it.
  std::istringstream fields(line.substr(std::min(line.rfind(')') + 1, line.size())));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0.0;
  double system = 0.0;
  if (!(fields >> user >> system)) return std::nullopt;
  return (user + system) * ticks_s();
}

}  // namespace

MachineReport machine_report() {
  MachineReport report;
  report.cpu_model = cpu_model();
  report.cpu_count = usable_cpus();
  report.memory_bytes = std::uint64_t(sysconf(_SC_PHYS_PAGES)) * std::uint64_t(getpagesize());
  utsname names{};
  if (uname(&names) == 0) report.kernel = std::string(names.sysname) + " " + names.release;
  report.compiler = GRACE_COMPILER;
  report.build_type = GRACE_BUILD_TYPE;
  report.commit = GRACE_COMMIT;
  return report;
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::uint64_t resident_bytes() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void watch(Quiet& quiet, std::chrono::milliseconds span) {
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

double round_trip_ns() {
  constexpr std::uint64_t kTripsPerBatch = 20;
  constexpr std::size_t kBatches = 250;
  // Where others have the cores, a trip takes a slice of the scheduler's, milliseconds.
  constexpr double kSpanSecondsMax = 0.1;
  constexpr std::uint64_t kTrips = kTripsPerBatch * kBatches;
  alignas(core::kCacheLineBytes) std::atomic<std::uint64_t> ping{0};
  alignas(core::kCacheLineBytes) std::atomic<std::uint64_t> pong{0};
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
    const double end_s = now_s() + kSpanSecondsMax;
    for (std::size_t batch = 0; batch < kBatches && (batch == 0 || now_s() < end_s); ++batch) {
      const double begin_s = now_s();
      for (std::uint64_t i = 0; i < kTripsPerBatch; ++i) {
        // [PING] release, [PONG] acquire: see above.
        ping.store(++trip, std::memory_order_release);
        while (pong.load(std::memory_order_acquire) < trip) std::this_thread::yield();
      }
      batches_ns.push_back((now_s() - begin_s) * 1e9 / double(kTripsPerBatch));
    }
    ping.store(kTrips, std::memory_order_release);  // [PING] release: whoever waits need not
  });
  asks.join();
  answers.join();
  return median_of(batches_ns);
}

ForeignCpu::ForeignCpu(std::vector<pid_t> own)
    : own_(std::move(own)), begin_s_(now_s()), begin_(read()) {}

std::optional<ForeignCpu::Books> ForeignCpu::read() const {
  std::ifstream in("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  if (!(in >> name >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal)) {
    return std::nullopt;
  }
  Books books;
  books.all_s = (user + nice + system + irq + softirq + steal) * ticks_s();
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return std::nullopt;
  for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
    books.own_s += double(time.tv_sec) + double(time.tv_usec) * 1e-6;
  }
  for (const pid_t pid : own_) {
    const auto cpu_s = process_cpu_s(pid);
    if (!cpu_s) return std::nullopt;
    books.own_s += *cpu_s;
  }
  return books;
}

std::optional<double> ForeignCpu::share() const {
  const auto end = read();
  const double wall_s = (now_s() - begin_s_) * double(sysconf(_SC_NPROCESSORS_ONLN));
  if (!begin_ || !end || !(wall_s > 0.0)) return std::nullopt;
  const double foreign_s = (end->all_s - begin_->all_s) - (end->own_s - begin_->own_s);
  return std::clamp(foreign_s / wall_s, 0.0, 1.0);
}

void Conditions::worst_of(const std::optional<double>& foreign) noexcept {
  if (foreign && (!foreign_share || *foreign > *foreign_share)) foreign_share = foreign;
}

std::vector<std::string> doubts(const Conditions& conditions,
                                const std::optional<Objective>& objective) {
  std::vector<std::string> found;
  const auto lost = [&](double share, const char* when) {
    if (share <= kLostShareMax) return;
    char text[128];
    std::snprintf(text, sizeof text, "others had %.1f%% of the CPUs' time %s, over %.0f%%",
                  share * 100.0, when, kLostShareMax * 100.0);
    found.emplace_back(text);
  };
  lost(conditions.quiet.lost_share(), "before and after the runs");
  lost(conditions.foreign_share.value_or(0.0), "during a run");
  if (objective && conditions.floor_ns && *conditions.floor_ns > objective->limit_ns) {
    found.push_back("a service that does nothing has " + format_span(double(*conditions.floor_ns)) +
                    ": over the objective " + format_objective(*objective));
  }
  return found;
}

}  // namespace grace::harness
