#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "grace/core/clock.h"
#include "grace/ingest/source.h"

namespace grace::ingest {

struct DiskSpace {
  std::uint64_t total_bytes = 0;
  std::uint64_t available_bytes = 0;
};

struct HostSourceConfig {
  // --- behaviour ---
  std::chrono::milliseconds period{1'000};
  std::string service = {};  // empty: this host's name
  std::string domain = "host";
  std::string root = "/";       // where proc/ and sys/ are found; tests give a folder
  std::string disk_path = "/";  // whose file system's fill is reported
  // Null: statvfs.
  std::function<std::optional<DiskSpace>(const std::string& path)> disk_space = {};
};

// This host, from the kernel's own figures: one metric line each, every period. What the kernel (or
// a container) does not show is left out and counted once under read_errors. Rates need two
// samples, so the first period brings levels only. A missed period is not made up for.
// Metrics: see the module's README. Stop: ends at once.
// `clock` must outlive the source.
class HostSource final : public Source {
 public:
  HostSource(const HostSourceConfig& config, const core::Clock& clock);
  ~HostSource() override;
  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override { stopped_ = true; }

 private:
  class Sampler;
  HostSourceConfig config_;
  const core::Clock& clock_;
  std::unique_ptr<Sampler> sampler_;
  std::string pending_;  // sampled lines that did not fit the last chunk
  std::int64_t next_sample_ns_ = 0;
  bool stopped_ = false;
};

}  // namespace grace::ingest
