#include "load_source.h"

#include <algorithm>
#include <cstring>

namespace grace::tools {
namespace {

ingest::SourceTraits load_traits() {
  ingest::SourceTraits traits;
  traits.name = "load";
  traits.kind = core::SourceKind::kMemory;
  traits.live = true;
  return traits;
}

}  // namespace

LoadSource::LoadSource(const LoadStream& stream, const harness::ArrivalConfig& arrivals,
                       const harness::LoadSpan& span, const LoadClock& timing,
                       core::SpscRing<SentBatch>& batches)
    : Source(load_traits()),
      stream_(stream),
      span_(span),
      timing_(timing),
      batches_(batches),
      arrivals_(arrivals) {}

ingest::ReadStatus LoadSource::read(core::Chunk& chunk, const ingest::ReadLimits& limits) {
  if (!lines_) lines_.emplace(stream_, arrivals_, span_, timing_);
  if (stopped_ || lines_->ended()) return ingest::ReadStatus::kEnded;
  const std::int64_t now_ns = clock_.monotonic_ns() - timing_.begin_ns;
  if (batches_.claim(1).empty()) return ingest::ReadStatus::kIdle;
  SentBatch batch;
  batch.sent_ns = now_ns;
  std::int64_t late_ns = 0;
  const LineMaker::Line* line = lines_->next();
  while (line != nullptr && line->due_ns <= now_ns && chunk.size_bytes < limits.target_bytes) {
    std::memcpy(chunk.text() + chunk.size_bytes, line->text, line->size_bytes);
    chunk.size_bytes += static_cast<std::uint32_t>(line->size_bytes);
    sequence_ += line->size_bytes;
    ++batch.count;
    late_ns = std::max(late_ns, line->made_ns - line->due_ns);
    lines_->pop();
    line = lines_->next();
  }
  if (chunk.size_bytes >= limits.target_bytes && batch.count == 0) return ingest::ReadStatus::kFull;
  if (batch.count == 0) return ingest::ReadStatus::kIdle;
  batch.end_sequence = sequence_;
  batch.took_ns = clock_.monotonic_ns() - timing_.begin_ns - now_ns + late_ns;
  static_cast<void>(batches_.try_push(batch));  // there is room: only this thread pushes
  if (chunk.size_bytes >= limits.target_bytes) return ingest::ReadStatus::kFull;
  return ingest::ReadStatus::kMore;
}

void DecidedMarks::on_decided(std::uint64_t sequence) noexcept {
  if (ring_.try_push(DecidedMark{sequence, clock_.monotonic_ns()})) return;
  left_out_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a figure
}

std::uint64_t DecidedMarks::left_out() const noexcept {
  return left_out_.load(std::memory_order_relaxed);  // relaxed: a figure
}

}  // namespace grace::tools
