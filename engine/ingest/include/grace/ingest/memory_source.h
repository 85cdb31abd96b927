#pragma once
#include <cstddef>
#include <string>

#include "grace/ingest/source.h"

namespace grace::ingest {

// Lines from memory: tests, and streams that a tool has made itself. Not live.
class MemorySource final : public Source {
 public:
  explicit MemorySource(std::string text, SourceTraits traits = default_traits());
  [[nodiscard]] static SourceTraits default_traits();
  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override { stopped_ = true; }

 private:
  std::string text_;
  std::size_t position_ = 0;
  bool in_cut_line_ = false;
  bool stopped_ = false;
};

}  // namespace grace::ingest
