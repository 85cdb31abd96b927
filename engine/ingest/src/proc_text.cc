#include "proc_text.h"

#include <charconv>

namespace grace::ingest {
namespace {

constexpr std::uint64_t kSectorBytes = 512;  // of diskstats, whatever the device's own

// Takes the text up to `end` (and `end` itself) off the front.
std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

// The next word between blanks; empty at the end.
std::string_view take_word(std::string_view& text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    text = {};
    return {};
  }
  const std::size_t end = std::min(text.find_first_of(" \t", begin), text.size());
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

template <typename Number>
std::optional<Number> to_number(std::string_view word) {
  Number number{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return number;
}

// Fills as many numbers as the line has, and tells how many.
template <std::size_t N>
std::size_t take_numbers(std::string_view line, std::array<std::uint64_t, N>& numbers) {
  std::size_t count = 0;
  while (count < N) {
    const auto number = to_number<std::uint64_t>(take_word(line));
    if (!number) break;
    numbers[count++] = *number;
  }
  return count;
}

}  // namespace

std::optional<KernelStat> parse_stat(std::string_view text) {
  KernelStat stat;
  bool has_cpu = false;
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    const std::string_view name = take_word(line);
    if (name == "cpu") {
      std::array<std::uint64_t, 8> times{};
      // steal is there since Linux 2.6.11, irq and softirq since 2.6.0.
      has_cpu = take_numbers(line, times) == times.size();
      stat.cpu = {times[0], times[1], times[2], times[3], times[4], times[5], times[6], times[7]};
    } else if (name.starts_with("cpu")) {
      ++stat.cpu_count;
    } else if (const auto value = to_number<std::uint64_t>(take_word(line))) {
      if (name == "ctxt") stat.context_switches = *value;
      if (name == "processes") stat.forks = *value;
      if (name == "procs_running") stat.running = *value;
      if (name == "procs_blocked") stat.blocked = *value;
    }
  }
  if (!has_cpu) return std::nullopt;
  return stat;
}

std::optional<LoadAverage> parse_loadavg(std::string_view text) {
  std::string_view line = take_until(text, '\n');
  const auto one = to_number<double>(take_word(line));
  const auto five = to_number<double>(take_word(line));
  const auto fifteen = to_number<double>(take_word(line));
  std::string_view tasks = take_word(line);
  const auto running = to_number<std::uint64_t>(take_until(tasks, '/'));
  const auto all = to_number<std::uint64_t>(tasks);
  if (!one || !five || !fifteen || !running || !all) return std::nullopt;
  return LoadAverage{*one, *five, *fifteen, *running, *all};
}

std::optional<MemoryInfo> parse_meminfo(std::string_view text) {
  MemoryInfo memory;
  std::uint64_t reclaimable_bytes = 0;
  bool has_total = false, has_available = false;
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    const std::string_view name = take_until(line, ':');
    const auto kib = to_number<std::uint64_t>(take_word(line));
    if (!kib) continue;
    const std::uint64_t bytes = *kib * 1024;
    if (name == "MemTotal") {
      memory.total_bytes = bytes;
      has_total = bytes > 0;
    } else if (name == "MemAvailable") {
      memory.available_bytes = bytes;
      has_available = true;
    } else if (name == "MemFree" || name == "Buffers" || name == "Cached") {
      reclaimable_bytes += bytes;
    } else if (name == "SwapTotal") {
      memory.swap_total_bytes = bytes;
    } else if (name == "SwapFree") {
      memory.swap_free_bytes = bytes;
    }
  }
  if (!has_total) return std::nullopt;
  if (!has_available) memory.available_bytes = reclaimable_bytes;
  return memory;
}

std::vector<DiskCounters> parse_diskstats(std::string_view text) {
  std::vector<DiskCounters> disks;
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    take_word(line);  // major
    take_word(line);  // minor
    const std::string_view device = take_word(line);
    std::array<std::uint64_t, 10> n{};  // kernel documentation: iostats, fields 1 to 10
    if (device.empty() || take_numbers(line, n) != n.size()) continue;
    disks.push_back(
        {std::string(device), n[0], n[2] * kSectorBytes, n[4], n[6] * kSectorBytes, n[9]});
  }
  return disks;
}

std::vector<NetworkCounters> parse_net_dev(std::string_view text) {
  std::vector<NetworkCounters> interfaces;
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;  // the two heading lines
    std::string_view name = line.substr(0, colon);
    name = take_word(name);
    std::array<std::uint64_t, 16> n{};
    if (name.empty() || take_numbers(line.substr(colon + 1), n) != n.size()) continue;
    interfaces.push_back({std::string(name), n[0], n[1], n[2], n[3], n[8], n[9], n[10], n[11]});
  }
  return interfaces;
}

std::optional<PressureTotals> parse_pressure(std::string_view text) {
  PressureTotals totals;
  bool has_some = false;
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    const std::string_view kind = take_word(line);
    const std::size_t at = line.find("total=");
    if (at == std::string_view::npos) continue;
    const auto total = to_number<std::uint64_t>(line.substr(at + 6));
    if (!total) continue;
    if (kind == "some") {
      totals.some_us = *total;
      has_some = true;
    } else if (kind == "full") {
      totals.full_us = *total;
    }
  }
  if (!has_some) return std::nullopt;
  return totals;
}

std::optional<FileHandles> parse_file_nr(std::string_view text) {
  std::array<std::uint64_t, 3> n{};
  if (take_numbers(take_until(text, '\n'), n) != n.size() || n[2] == 0) return std::nullopt;
  return FileHandles{n[0] - std::min(n[0], n[1]), n[2]};
}

std::optional<std::uint64_t> find_vmstat(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    if (take_word(line) == name) return to_number<std::uint64_t>(take_word(line));
  }
  return std::nullopt;
}

}  // namespace grace::ingest
