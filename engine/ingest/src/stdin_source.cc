#include "grace/ingest/stdin_source.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "decoder.h"
#include "lines.h"

namespace grace::ingest {
namespace {

SourceTraits traits_of(const StdinSourceConfig& config) {
  SourceTraits traits;
  traits.name = config.name;
  traits.kind = core::SourceKind::kStdin;
  traits.operator_allowed = config.operator_allowed;
  traits.live = true;
  return traits;
}

// A read() now would not wait: there are bytes, the end, or an error to be told of.
bool is_readable(int fd) {
  pollfd item{fd, POLLIN, 0};
  return ::poll(&item, 1, 0) > 0;
}

}  // namespace

StdinSource::StdinSource(const StdinSourceConfig& config)
    : Source(traits_of(config)), config_(config), buffer_(std::make_unique<LineBuffer>()) {}

StdinSource::~StdinSource() = default;

ReadStatus StdinSource::read(core::Chunk& chunk, const ReadLimits& limits) {
  bool progress = false;
  while (chunk.size_bytes < limits.target_bytes) {
    if (buffer_->needs_empty_chunk() && chunk.size_bytes > 0) return ReadStatus::kFull;
    if (!stopped_ && !is_readable(config_.fd)) break;
    ssize_t count = 0;
    if (!stopped_) count = ::read(config_.fd, buffer_->room(), kReadBytes);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) break;
    if (count < 0) report(io_error(config_.name, errno).value());
    if (count <= 0) {
      buffer_->finish(chunk);
      return ReadStatus::kEnded;
    }
    progress = true;
    if (buffer_->received(static_cast<std::size_t>(count), chunk, limits)) return ReadStatus::kFull;
  }
  if (chunk.size_bytes >= limits.target_bytes) return ReadStatus::kFull;
  return progress ? ReadStatus::kMore : ReadStatus::kIdle;
}

}  // namespace grace::ingest
