#include "host_sampler.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "decoder.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"

namespace grace::ingest {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;  // /proc/stat grows with CPUs and interrupts

std::optional<DiskSpace> statvfs_space(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return std::nullopt;
  const std::uint64_t unit = info.f_frsize;
  return DiskSpace{info.f_blocks * unit, info.f_bavail * unit};
}

double percent_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

// 0 when the counter went back.
std::uint64_t growth(std::uint64_t before, std::uint64_t now) {
  return now > before ? now - before : 0;
}

}  // namespace

HostSource::Sampler::Sampler(const HostSourceConfig& config,
                             std::function<void(core::Error)> unreadable)
    : config_(config), unreadable_(std::move(unreadable)) {
  if (!config_.root.ends_with('/')) config_.root += '/';
  if (!config_.disk_space) config_.disk_space = statvfs_space;
}

void HostSource::Sampler::missing(const std::string& what, std::string reason) {
  if (!missing_.insert(what).second) return;
  unreadable_({core::ErrorCode::kNotFound, what + ": " + std::move(reason), 0, 0});
}

std::string_view HostSource::Sampler::read(const std::string& path) {
  const std::string full = config_.root + path;
  const UniqueFd fd(::open(full.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    missing(full, std::strerror(errno));
    return {};
  }
  buffer_.resize(kFileBytesMax);
  std::size_t used = 0;
  while (used < buffer_.size()) {
    const ssize_t count = ::read(fd.get(), buffer_.data() + used, buffer_.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) missing(full, std::strerror(errno));  // pressure files, when switched off
    if (count <= 0) break;
    used += static_cast<std::size_t>(count);
  }
  return {buffer_.data(), used};
}

void HostSource::Sampler::metric(std::string_view name, double value, std::string_view label,
                                 std::string_view label_value) {
  core::JsonWriter json(*lines_);
  json.begin_object()
      .field("ts", ts_ns_)
      .field("kind", "metric")
      .field("service", config_.service)
      .field("domain", config_.domain)
      .field("metric", name)
      .field("value", value);
  if (!label.empty()) {
    json.key("labels").begin_object().field(label, label_value).end_object();
  }
  json.end_object();
  lines_->push_back('\n');
}

void HostSource::Sampler::rate(std::string_view name, std::uint64_t before, std::uint64_t now,
                               double scale) {
  if (seconds_ <= 0 || now < before) return;
  metric(name, static_cast<double>(now - before) / seconds_ * scale);
}

void HostSource::Sampler::sample(std::int64_t wall_ns, std::int64_t monotonic_ns,
                                 std::string& lines) {
  lines_ = &lines;
  ts_ns_ = wall_ns;
  seconds_ = last_ns_ ? static_cast<double>(monotonic_ns - *last_ns_) /
                            static_cast<double>(core::kNsPerSecond)
                      : 0.0;
  last_ns_ = monotonic_ns;
  sample_cpu();
  sample_load();
  sample_memory();
  sample_disk_space();
  sample_disks();
  sample_network();
  sample_pressure();
  sample_others();
  lines_ = nullptr;
}

void HostSource::Sampler::sample_cpu() {
  const auto now = parse_stat(read("proc/stat"));
  const auto before = std::exchange(stat_, now);
  if (!now) return;
  metric("processes_running", static_cast<double>(now->running));
  metric("processes_blocked", static_cast<double>(now->blocked));
  if (!before) return;
  const std::uint64_t total = growth(before->cpu.total(), now->cpu.total());
  if (total == 0) return;
  const auto share = [&](std::uint64_t CpuTimes::*mode) {
    return std::min(percent_of(growth(before->cpu.*mode, now->cpu.*mode), total), 100.0);
  };
  metric("cpu_usage_percent",
         std::max(0.0, 100.0 - share(&CpuTimes::idle) - share(&CpuTimes::iowait)));
  metric("cpu_user_percent", share(&CpuTimes::user) + share(&CpuTimes::nice));
  metric("cpu_system_percent", share(&CpuTimes::system));
  metric("cpu_irq_percent", share(&CpuTimes::irq) + share(&CpuTimes::softirq));
  metric("cpu_iowait_percent", share(&CpuTimes::iowait));
  metric("cpu_steal_percent", share(&CpuTimes::steal));
  rate("context_switches_per_second", before->context_switches, now->context_switches);
  rate("forks_per_second", before->forks, now->forks);
}

void HostSource::Sampler::sample_load() {
  const auto load = parse_loadavg(read("proc/loadavg"));
  if (!load) return;
  metric("load_1m", load->one_minute);
  metric("load_5m", load->five_minutes);
  metric("load_15m", load->fifteen_minutes);
  metric("tasks", static_cast<double>(load->tasks));
  if (stat_ && stat_->cpu_count > 0) metric("load_per_cpu", load->one_minute / stat_->cpu_count);
}

void HostSource::Sampler::sample_memory() {
  const auto memory = parse_meminfo(read("proc/meminfo"));
  if (!memory) return;
  const std::uint64_t used = growth(memory->available_bytes, memory->total_bytes);
  metric("memory_usage_percent", percent_of(used, memory->total_bytes));
  metric("memory_used_bytes", static_cast<double>(used));
  if (memory->swap_total_bytes == 0) return;
  metric("swap_usage_percent", percent_of(growth(memory->swap_free_bytes, memory->swap_total_bytes),
                                          memory->swap_total_bytes));
}

void HostSource::Sampler::sample_disk_space() {
  const auto space = config_.disk_space(config_.disk_path);
  if (!space || space->total_bytes == 0) {
    missing(config_.disk_path, "file system tells no size");
    return;
  }
  const std::uint64_t used = growth(space->available_bytes, space->total_bytes);
  metric("disk_usage_percent", percent_of(used, space->total_bytes), "path", config_.disk_path);
}

// Partitions repeat their device's figures; loop and ram devices are somebody else's.
bool HostSource::Sampler::is_whole_device(const std::string& device) const {
  if (device.starts_with("loop") || device.starts_with("ram") || device.starts_with("zram")) {
    return false;
  }
  struct stat info {};
  return ::stat((config_.root + "sys/block/" + device).c_str(), &info) == 0;
}

void HostSource::Sampler::sample_disks() {
  std::map<std::string, DiskCounters> now;
  for (DiskCounters& disk : parse_diskstats(read("proc/diskstats"))) {
    if (now.size() < kDevicesMax && is_whole_device(disk.device)) now[disk.device] = disk;
  }
  std::uint64_t read_bytes = 0, written_bytes = 0, requests = 0;
  double busiest = 0.0;
  bool any = false;
  for (const auto& [device, disk] : now) {
    const auto before = disks_.find(device);
    if (before == disks_.end() || seconds_ <= 0) continue;
    any = true;
    const DiskCounters& old = before->second;
    read_bytes += growth(old.read_bytes, disk.read_bytes);
    written_bytes += growth(old.written_bytes, disk.written_bytes);
    requests += growth(old.reads, disk.reads) + growth(old.writes, disk.writes);
    const double busy = static_cast<double>(growth(old.busy_ms, disk.busy_ms)) / (10.0 * seconds_);
    busiest = std::max(busiest, std::min(busy, 100.0));
  }
  disks_ = std::move(now);
  if (!any) return;
  metric("disk_busy_percent", busiest);
  metric("block_read_rate_bytes", static_cast<double>(read_bytes) / seconds_);
  metric("block_write_rate_bytes", static_cast<double>(written_bytes) / seconds_);
  metric("block_rate_operations", static_cast<double>(requests) / seconds_);
}

void HostSource::Sampler::sample_network() {
  std::map<std::string, NetworkCounters> now;
  for (NetworkCounters& each : parse_net_dev(read("proc/net/dev"))) {
    if (each.interface != "lo") now[each.interface] = each;
  }
  NetworkCounters sum;
  bool any = false;
  for (const auto& [name, each] : now) {
    const auto found = interfaces_.find(name);
    if (found == interfaces_.end() || seconds_ <= 0) continue;
    any = true;
    const NetworkCounters& old = found->second;
    sum.received_bytes += growth(old.received_bytes, each.received_bytes);
    sum.sent_bytes += growth(old.sent_bytes, each.sent_bytes);
    sum.received_packets += growth(old.received_packets, each.received_packets);
    sum.sent_packets += growth(old.sent_packets, each.sent_packets);
    sum.received_errors += growth(old.received_errors, each.received_errors);
    sum.sent_errors += growth(old.sent_errors, each.sent_errors);
    sum.received_drops += growth(old.received_drops, each.received_drops);
    sum.sent_drops += growth(old.sent_drops, each.sent_drops);
  }
  interfaces_ = std::move(now);
  if (!any) return;
  rate("network_receive_rate_bytes", 0, sum.received_bytes);
  rate("network_send_rate_bytes", 0, sum.sent_bytes);
  rate("network_receive_rate_packets", 0, sum.received_packets);
  rate("network_send_rate_packets", 0, sum.sent_packets);
  rate("network_errors_per_second", 0, sum.received_errors + sum.sent_errors);
  rate("network_drops_per_second", 0, sum.received_drops + sum.sent_drops);
}

void HostSource::Sampler::sample_pressure() {
  // Microseconds a second into percent.
  constexpr double kPercent = 100.0 / 1'000'000.0;
  for (const char* name : {"cpu", "memory", "io"}) {
    const std::string resource(name);
    const auto now = parse_pressure(read("proc/pressure/" + resource));
    if (!now) continue;
    const auto before = pressure_.find(resource);
    if (before != pressure_.end()) {
      rate(resource + "_pressure_percent", before->second.some_us, now->some_us, kPercent);
      if (before->second.full_us && now->full_us) {
        rate(resource + "_full_pressure_percent", *before->second.full_us, *now->full_us, kPercent);
      }
    }
    pressure_[resource] = *now;
  }
}

void HostSource::Sampler::sample_others() {
  const std::string_view vmstat = read("proc/vmstat");
  const auto oom_kills = find_vmstat(vmstat, "oom_kill");
  const auto major_faults = find_vmstat(vmstat, "pgmajfault");
  if (oom_kills && oom_kills_) rate("oom_kill_failures_per_second", *oom_kills_, *oom_kills);
  if (major_faults && major_faults_) {
    rate("major_faults_per_second", *major_faults_, *major_faults);
  }
  oom_kills_ = oom_kills;
  major_faults_ = major_faults;
  if (const auto handles = parse_file_nr(read("proc/sys/fs/file-nr"))) {
    metric("file_handle_usage_percent", percent_of(handles->open, handles->open_max));
  }
}

}  // namespace grace::ingest
