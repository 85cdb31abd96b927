#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include "grace/ingest/source.h"

namespace grace::ingest {

class ChunkFiller;

// Lines from memory: tests, and streams that a tool has made itself. Not live.
class MemorySource final : public Source {
 public:
  explicit MemorySource(std::string text, SourceTraits traits = default_traits());
  ~MemorySource() override;
  [[nodiscard]] static SourceTraits default_traits();
  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override { stopped_ = true; }

 private:
  std::string text_;
  std::size_t position_ = 0;
  std::unique_ptr<ChunkFiller> filler_;
  bool stopped_ = false;
};

}  // namespace grace::ingest
