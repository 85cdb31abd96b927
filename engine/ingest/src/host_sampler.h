#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ingest/host_source.h"
#include "proc_text.h"

namespace grace::ingest {

// Reads the kernel's figures and writes them as metric lines. Rates are differences to the sample
// before, divided by the time between. A counter that went back (interface or device was made
// anew) gives no rate this time.
// Bounds: one line for each figure, busy time for the first kDevicesMax disks.
class HostSource::Sampler {
 public:
  // `unreadable` is called once for each file or figure that cannot be had.
  Sampler(const HostSourceConfig& config, std::function<void(core::Error)> unreadable);
  // Appends the lines of one sample.
  void sample(std::int64_t wall_ns, std::int64_t monotonic_ns, std::string& lines);

 private:
  static constexpr std::size_t kDevicesMax = 16;

  // Empty and reported (once) when it cannot be read.
  std::string_view read(const std::string& path);
  void missing(const std::string& what, std::string reason);
  void metric(std::string_view name, double value, std::string_view label = {},
              std::string_view label_value = {});
  // `now - before` a second, under `name`; nothing when there is no earlier sample.
  void rate(std::string_view name, std::uint64_t before, std::uint64_t now, double scale = 1.0);
  void sample_cpu();
  void sample_load();
  void sample_memory();
  void sample_disk_space();
  void sample_disks();
  void sample_network();
  void sample_pressure();
  void sample_others();
  [[nodiscard]] bool is_whole_device(const std::string& device) const;

  HostSourceConfig config_;
  std::function<void(core::Error)> unreadable_;
  std::set<std::string> missing_;  // what was reported
  std::string* lines_ = nullptr;   // while sample() runs
  std::string buffer_;             // of read()
  std::int64_t ts_ns_ = 0;
  std::optional<std::int64_t> last_ns_;
  double seconds_ = 0.0;  // since the sample before; 0: there is none
  std::optional<KernelStat> stat_;
  std::map<std::string, DiskCounters> disks_;
  std::map<std::string, NetworkCounters> interfaces_;
  std::map<std::string, PressureTotals> pressure_;
  std::optional<std::uint64_t> oom_kills_, major_faults_;
};

}  // namespace grace::ingest
