#pragma once
#include <cstdint>
#include <memory>

#include "grace/core/clock.h"
#include "grace/ingest/source.h"

namespace grace::tools {

// A recording at its own speed: hands on what the source under it has, small pieces at a time, not
// before its event time has come, `speed` times as fast as the clock. Lines without a timestamp
// pass with the ones before them. Thread: the ingest stage's.
class PacedSource final : public ingest::Source {
 public:
  PacedSource(std::unique_ptr<ingest::Source> inner, double speed, const core::Clock& clock);
  [[nodiscard]] ingest::ReadStatus read(core::Chunk& chunk,
                                        const ingest::ReadLimits& limits) override;
  [[nodiscard]] ingest::InputPosition begin() const noexcept override { return inner_->begin(); }
  void request_stop() override { inner_->request_stop(); }

 private:
  [[nodiscard]] bool is_due();

  std::unique_ptr<ingest::Source> inner_;
  double speed_;
  const core::Clock& clock_;           // outlives the source
  std::unique_ptr<core::Chunk> held_;  // read, not due yet
  ingest::ReadStatus held_status_ = ingest::ReadStatus::kIdle;
  bool holding_ = false;
  std::int64_t first_event_ns_ = 0;
  std::int64_t first_wall_ns_ = 0;
};

// `ts` of the first line of NDJSON text that has one at its top; 0 when none does. A cheap look for
// pacing, not a parser.
[[nodiscard]] std::int64_t peek_timestamp(std::string_view text);

}  // namespace grace::tools
