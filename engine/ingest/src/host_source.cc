#include "grace/ingest/host_source.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "host_sampler.h"
#include "lines.h"

namespace grace::ingest {
namespace {

HostSourceConfig with_name(HostSourceConfig config) {
  if (!config.service.empty()) return config;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) config.service = name.data();
  if (config.service.empty()) config.service = "localhost";
  return config;
}

SourceTraits traits_of(const HostSourceConfig& config) {
  SourceTraits traits;
  traits.name = "host:" + config.service;
  traits.kind = core::SourceKind::kHost;
  traits.operator_allowed = true;
  traits.live = true;
  return traits;
}

}  // namespace

HostSource::HostSource(const HostSourceConfig& config, const core::Clock& clock)
    : Source(traits_of(with_name(config))),
      config_(with_name(config)),
      clock_(clock),
      sampler_(std::make_unique<Sampler>(config_,
                                         [this](core::Error error) { report(std::move(error)); })),
      next_sample_ns_(clock.monotonic_ns()) {}

HostSource::~HostSource() = default;

ReadStatus HostSource::read(core::Chunk& chunk, const ReadLimits& limits) {
  if (stopped_) return ReadStatus::kEnded;
  if (pending_.empty()) {
    const std::int64_t now_ns = clock_.monotonic_ns();
    if (now_ns < next_sample_ns_) return ReadStatus::kIdle;
    const std::int64_t period_ns =
        std::max<std::int64_t>(std::chrono::nanoseconds(config_.period).count(), 1);
    // On the beat of the period; beats that were missed are left out.
    next_sample_ns_ += ((now_ns - next_sample_ns_) / period_ns + 1) * period_ns;
    sampler_->sample(clock_.wall_ns(), now_ns, pending_);
  }
  if (chunk.size_bytes >= limits.target_bytes) return ReadStatus::kFull;
  // Whole lines, as many as fit; the rest goes into the next chunk.
  const std::size_t room = limits.target_bytes - chunk.size_bytes;
  const std::size_t size_bytes =
      pending_.size() <= room ? pending_.size()
                              : whole_lines_bytes(std::string_view(pending_).substr(0, room));
  std::memcpy(chunk.text() + chunk.size_bytes, pending_.data(), size_bytes);
  chunk.size_bytes += static_cast<std::uint32_t>(size_bytes);
  pending_.erase(0, size_bytes);
  return pending_.empty() ? ReadStatus::kMore : ReadStatus::kFull;
}

}  // namespace grace::ingest
