#include "grace/ingest/memory_source.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "lines.h"

namespace grace::ingest {

SourceTraits MemorySource::default_traits() {
  SourceTraits traits;
  traits.name = "memory";
  traits.kind = core::SourceKind::kMemory;
  traits.operator_allowed = true;
  return traits;
}

MemorySource::MemorySource(std::string text, SourceTraits traits)
    : Source(std::move(traits)), text_(std::move(text)), filler_(std::make_unique<ChunkFiller>()) {}

MemorySource::~MemorySource() = default;

ReadStatus MemorySource::read(core::Chunk& chunk, const ReadLimits& limits) {
  if (stopped_) return ReadStatus::kEnded;
  return filler_->fill(chunk, limits, [this](char* to, std::size_t size_bytes) {
    const std::size_t count = std::min(size_bytes, text_.size() - position_);
    std::memcpy(to, text_.data() + position_, count);
    position_ += count;
    return count;
  });
}

}  // namespace grace::ingest
