#pragma once
#include <atomic>
#include <cstdint>
#include <optional>

#include "grace/core/clock.h"
#include "grace/core/spsc_ring.h"
#include "grace/harness/load.h"
#include "grace/ingest/source.h"
#include "grace/pipeline/engine.h"
#include "line_maker.h"

namespace grace::tools {

// Arrivals that were taken by one read.
struct SentBatch {
  std::uint64_t count = 0;
  std::uint64_t end_sequence = 0;  // behind their last byte
  std::int64_t sent_ns = 0;        // since the begin
  std::int64_t took_ns = 0;        // the generator's own delay: to hand over, and being late
};

// The generator as a source: each read() hands on the arrivals that are due. An arrival waits here
// as it would in a socket's buffer: until the engine has a chunk and asks. It ends when all
// arrivals of the span are sent, or at request_stop(). Nothing is handed on while nobody takes the
// batches. Thread: the ingest stage's, and one of its own that makes the lines from the first read
// on; batches(): one other.
class LoadSource final : public ingest::Source {
 public:
  static constexpr std::size_t kBatchesMax = std::size_t{1} << 16;

  // All outlive the source. `arrivals` and `span` are valid.
  LoadSource(const LoadStream& stream, const harness::ArrivalConfig& arrivals,
             const harness::LoadSpan& span, const LoadClock& timing,
             core::SpscRing<SentBatch>& batches);
  [[nodiscard]] ingest::ReadStatus read(core::Chunk& chunk,
                                        const ingest::ReadLimits& limits) override;
  void request_stop() override { stopped_ = true; }

 private:
  const LoadStream& stream_;
  const harness::LoadSpan span_;
  const LoadClock& timing_;
  core::SpscRing<SentBatch>& batches_;
  const harness::ArrivalConfig arrivals_;
  const core::SystemClock clock_{};
  std::optional<LineMaker> lines_;  // begins when `timing` is set: with the first read
  std::uint64_t sequence_ = 0;
  bool stopped_ = false;
};

// Decisions as they come, with their time.
struct DecidedMark {
  std::uint64_t sequence = 0;
  std::int64_t at_ns = 0;  // monotonic
};
class DecidedMarks final : public pipeline::ProgressListener {
 public:
  static constexpr std::size_t kMarksMax = std::size_t{1} << 16;
  // A mark that finds the ring full is left out and counted: the next one speaks of its events too,
  // a little later.
  void on_decided(std::uint64_t sequence) noexcept override;
  [[nodiscard]] core::SpscRing<DecidedMark>& ring() noexcept { return ring_; }
  [[nodiscard]] std::uint64_t left_out() const noexcept;

 private:
  core::SpscRing<DecidedMark> ring_{kMarksMax};
  std::atomic<std::uint64_t> left_out_{0};
  const core::SystemClock clock_{};
};

}  // namespace grace::tools
