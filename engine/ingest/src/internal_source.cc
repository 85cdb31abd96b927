#include "grace/ingest/internal_source.h"

#include <cstring>
#include <utility>

namespace grace::ingest {
namespace {

SourceTraits traits_of(const InternalSourceConfig& config) {
  SourceTraits traits;
  traits.name = config.name;
  traits.kind = core::SourceKind::kInternal;
  traits.can_wait = false;
  traits.trusted = config.trusted;
  traits.operator_allowed = true;
  traits.live = true;
  traits.auxiliary = true;
  return traits;
}

}  // namespace

InternalSource::InternalSource(const InternalSourceConfig& config)
    : Source(traits_of(config)), config_(config) {}

bool InternalSource::push(std::string_view lines) {
  while (!lines.empty() && lines.back() == '\n') lines.remove_suffix(1);
  if (lines.empty()) return true;
  const std::size_t size_bytes = lines.size() + 1;
  std::string owned;
  if (size_bytes <= kReadBytes) {
    owned.reserve(size_bytes);
    owned.append(lines).push_back('\n');
  }
  {
    const std::lock_guard lock(mutex_);
    if (!owned.empty() && !stopped_ && lines_.size() < config_.lines_max &&
        queued_bytes_ + size_bytes <= config_.bytes_max) {
      queued_bytes_ += size_bytes;
      lines_.push_back(std::move(owned));
      // [QUEUE] release: pairs with the acquire in read(). Only a hint that the lock is worth it.
      queued_count_.store(lines_.size(), std::memory_order_release);
      return true;
    }
  }
  // Relaxed: a statistic.
  counters_.dropped_lines.fetch_add(1, std::memory_order_relaxed);
  return false;
}

ReadStatus InternalSource::read(core::Chunk& chunk, const ReadLimits& limits) {
  // [QUEUE] acquire: pairs with the release in push().
  if (!stop_seen_ && queued_count_.load(std::memory_order_acquire) == 0) return ReadStatus::kIdle;
  const std::lock_guard lock(mutex_);
  // One entry is at most kReadBytes, so it fits any chunk that is below its target.
  while (!lines_.empty() && chunk.size_bytes < limits.target_bytes) {
    const std::string& line = lines_.front();
    std::memcpy(chunk.text() + chunk.size_bytes, line.data(), line.size());
    chunk.size_bytes += static_cast<std::uint32_t>(line.size());
    queued_bytes_ -= line.size();
    lines_.pop_front();
  }
  // Relaxed: only a hint, and the lock orders it against push().
  queued_count_.store(lines_.size(), std::memory_order_relaxed);
  if (lines_.empty()) return stopped_ ? ReadStatus::kEnded : ReadStatus::kMore;
  return ReadStatus::kFull;
}

void InternalSource::request_stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  stop_seen_ = true;
}

}  // namespace grace::ingest
