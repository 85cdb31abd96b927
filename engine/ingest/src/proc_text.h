#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The kernel's text files under /proc, as functions from text to figures (proc(5)). Nothing is
// trusted: a line that does not look as documented is left out, never guessed.
namespace grace::ingest {

// Jiffies since boot, over all CPUs. guest and guest_nice are part of user and nice.
struct CpuTimes {
  std::uint64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0,
                steal = 0;
  [[nodiscard]] std::uint64_t total() const noexcept {
    return user + nice + system + idle + iowait + irq + softirq + steal;
  }
};
struct KernelStat {
  CpuTimes cpu;
  std::uint32_t cpu_count = 0;
  std::uint64_t context_switches = 0;
  std::uint64_t forks = 0;
  std::uint64_t running = 0;
  std::uint64_t blocked = 0;
};
[[nodiscard]] std::optional<KernelStat> parse_stat(std::string_view text);

struct LoadAverage {
  double one_minute = 0, five_minutes = 0, fifteen_minutes = 0;
  std::uint64_t tasks_running = 0, tasks = 0;
};
[[nodiscard]] std::optional<LoadAverage> parse_loadavg(std::string_view text);

struct MemoryInfo {
  std::uint64_t total_bytes = 0, available_bytes = 0, swap_total_bytes = 0, swap_free_bytes = 0;
};
// Kernels before 3.14 lack MemAvailable: then it is MemFree + Buffers + Cached.
[[nodiscard]] std::optional<MemoryInfo> parse_meminfo(std::string_view text);

struct DiskCounters {
  std::string device;
  std::uint64_t reads = 0, read_bytes = 0, writes = 0, written_bytes = 0;
  std::uint64_t busy_ms = 0;  // time with at least one request in flight
};
[[nodiscard]] std::vector<DiskCounters> parse_diskstats(std::string_view text);

struct NetworkCounters {
  std::string interface;
  std::uint64_t received_bytes = 0, received_packets = 0, received_errors = 0, received_drops = 0;
  std::uint64_t sent_bytes = 0, sent_packets = 0, sent_errors = 0, sent_drops = 0;
};
[[nodiscard]] std::vector<NetworkCounters> parse_net_dev(std::string_view text);

// Microseconds in which some task, or all of them (full), waited.
struct PressureTotals {
  std::uint64_t some_us = 0;
  std::optional<std::uint64_t> full_us;  // absent for cpu on older kernels
};
[[nodiscard]] std::optional<PressureTotals> parse_pressure(std::string_view text);

struct FileHandles {
  std::uint64_t open = 0, open_max = 0;
};
[[nodiscard]] std::optional<FileHandles> parse_file_nr(std::string_view text);

// Value of one line "name value" of /proc/vmstat.
[[nodiscard]] std::optional<std::uint64_t> find_vmstat(std::string_view text,
                                                       std::string_view name);

}  // namespace grace::ingest
