#include "load_source.h"

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
      schedule_(arrivals),
      next_ns_(schedule_.next_ns()) {}

ingest::ReadStatus LoadSource::read(core::Chunk& chunk, const ingest::ReadLimits& limits) {
  const std::int64_t now_ns = clock_.monotonic_ns() - timing_.begin_ns;
  if (stopped_ || next_ns_ >= span_.end_ns()) return ingest::ReadStatus::kEnded;
  if (next_ns_ > now_ns || batches_.claim(1).empty()) return ingest::ReadStatus::kIdle;
  SentBatch batch;
  batch.sent_ns = now_ns;
  while (next_ns_ <= now_ns && next_ns_ < span_.end_ns() &&
         chunk.size_bytes < limits.target_bytes) {
    const std::int64_t ts_ns =
        timing_.first_event_ns +
        static_cast<std::int64_t>(static_cast<double>(sent_ + batch.count) * timing_.event_gap_ns);
    const std::size_t size =
        stream_.write(sent_ + batch.count, ts_ns, chunk.text() + chunk.size_bytes);
    chunk.size_bytes += static_cast<std::uint32_t>(size);
    sequence_ += size;
    ++batch.count;
    next_ns_ = schedule_.next_ns();
  }
  if (batch.count == 0) return ingest::ReadStatus::kFull;
  sent_ += batch.count;
  batch.end_sequence = sequence_;
  batch.took_ns = clock_.monotonic_ns() - timing_.begin_ns - now_ns;
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
