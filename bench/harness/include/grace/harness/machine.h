#pragma once
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grace/harness/units.h"

// What stands beside every figure: which machine and build it is, how quiet the machine was, and
// how far apart its cores are.
namespace grace::harness {

struct MachineReport {
  std::string cpu_model;
  unsigned cpu_count = 0;  // that this process may use
  std::uint64_t memory_bytes = 0;
  std::string kernel;
  std::string compiler;
  std::string build_type;
  std::string commit;  // "+" behind it: of a changed tree
};
[[nodiscard]] MachineReport machine_report();
// CPUs that this process may use.
[[nodiscard]] unsigned usable_cpus();

// A run that lost more than this to others is inconclusive.
inline constexpr double kLostShareMax = 0.02;

[[nodiscard]] double now_s();

// Of this process. 0: the kernel does not say. Linux: /proc/self/statm.
[[nodiscard]] std::uint64_t resident_bytes();

struct Quiet {
  std::int64_t watched_ns = 0;
  std::int64_t lost_ns = 0;
  [[nodiscard]] double lost_share() const noexcept {
    return watched_ns > 0 ? double(lost_ns) / double(watched_ns) : 0.0;
  }
};
// A moment of core::HiccupMeter on each of the first two CPUs. It takes them entirely: between
// measurements, not beside them.
void watch(Quiet& quiet, std::chrono::milliseconds span);

// Median time of a word's way to the other core and back: what a handover between stages costs. On
// virtual machines it has two modes, about 150 and about 700 ns, and changes between them. Takes a
// tenth of a second at most, and a little more where others have the cores.
[[nodiscard]] double round_trip_ns();

// CPU time that others had while this process measured: the machine's books less our own, the
// hypervisor's theft included, as a share of all CPUs' time. Beside the run and without cost, but
// to the kernel's 10 ms. Linux: /proc/stat.
class ForeignCpu {
 public:
  // `own`: further processes that belong to the measurement.
  explicit ForeignCpu(std::vector<pid_t> own = {});
  // Since the construction. Empty: the books cannot be read.
  [[nodiscard]] std::optional<double> share() const;

 private:
  struct Books {
    double all_s = 0.0;
    double own_s = 0.0;
  };
  [[nodiscard]] std::optional<Books> read() const;
  std::vector<pid_t> own_;
  double begin_s_;
  std::optional<Books> begin_;
};

// All that may make figures worthless.
struct Conditions {
  Quiet quiet;                          // before and after
  std::optional<double> foreign_share;  // meanwhile; the worst of several runs
  double round_trip_ns = 0.0;
  // A service that does nothing, through the same generator at the same rate: the objective's
  // percentile of its response time.
  std::optional<std::int64_t> floor_ns;
  void worst_of(const std::optional<double>& foreign) noexcept;
};
// Why figures taken under these conditions are inconclusive; empty: they are not. Over 2% of time
// lost to others, or a floor over the objective.
[[nodiscard]] std::vector<std::string> doubts(const Conditions& conditions,
                                              const std::optional<Objective>& objective);

}  // namespace grace::harness
