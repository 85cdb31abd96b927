#include "paced_source.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "grace/core/time.h"

namespace grace::tools {
namespace {

// One read of the source under it: small, so that lines pass when due and not a chunk at a time.
constexpr std::size_t kPieceBytes = 1024;

ingest::SourceTraits live(ingest::SourceTraits traits) {
  traits.live = true;
  return traits;
}

}  // namespace

std::int64_t peek_timestamp(std::string_view text) {
  const std::size_t key = text.find("\"ts\":");
  if (key == std::string_view::npos) return 0;
  std::string_view rest = text.substr(key + 5);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  if (!rest.empty() && rest.front() == '"') {
    rest.remove_prefix(1);
    const std::size_t end = rest.find('"');
    return end == std::string_view::npos ? 0 : core::parse_rfc3339(rest.substr(0, end)).value_or(0);
  }
  std::int64_t ts_ns = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), ts_ns);
  return ts_ns;
}

PacedSource::PacedSource(std::unique_ptr<ingest::Source> inner, double speed,
                         const core::Clock& clock)
    : Source(live(inner->traits())), inner_(std::move(inner)), speed_(speed), clock_(clock) {}

bool PacedSource::is_due() {
  const std::int64_t event_ns = peek_timestamp({held_->text(), held_->size_bytes});
  if (event_ns == 0) return true;
  if (first_event_ns_ == 0) {
    first_event_ns_ = event_ns;
    first_wall_ns_ = clock_.monotonic_ns();
  }
  const double wait_ns = static_cast<double>(event_ns - first_event_ns_) / speed_;
  return static_cast<double>(clock_.monotonic_ns() - first_wall_ns_) >= wait_ns;
}

ingest::ReadStatus PacedSource::read(core::Chunk& chunk, const ingest::ReadLimits& limits) {
  if (!holding_) {
    if (held_ == nullptr) held_ = std::make_unique<core::Chunk>(chunk.capacity());
    held_->size_bytes = 0;
    held_->begins_cut = held_->ends_cut = held_->last_of_source = false;
    ingest::ReadLimits piece = limits;
    piece.target_bytes = std::min(kPieceBytes, limits.target_bytes);
    held_status_ = inner_->read(*held_, piece);
    if (held_->size_bytes == 0) return held_status_;
    holding_ = true;
  }
  if (!is_due()) return ingest::ReadStatus::kIdle;
  // A cut line must begin its chunk, and the piece must fit.
  const bool starts_anew = held_->begins_cut || held_->ends_cut || held_->last_of_source;
  if (chunk.size_bytes > 0 &&
      (starts_anew || chunk.size_bytes + held_->size_bytes > limits.target_bytes)) {
    return ingest::ReadStatus::kFull;
  }
  std::memcpy(chunk.text() + chunk.size_bytes, held_->text(), held_->size_bytes);
  chunk.size_bytes += held_->size_bytes;
  chunk.begins_cut = held_->begins_cut;
  chunk.ends_cut = held_->ends_cut;
  chunk.last_of_source = held_->last_of_source;
  holding_ = false;
  if (held_status_ == ingest::ReadStatus::kIdle) return ingest::ReadStatus::kMore;
  // "Full" was about the small piece, unless a line was cut.
  if (held_status_ == ingest::ReadStatus::kFull && !starts_anew) return ingest::ReadStatus::kMore;
  return held_status_;
}

}  // namespace grace::tools
