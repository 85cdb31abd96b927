#include "grace/core/chunk.h"

namespace grace::core {

// Uninitialised on purpose: pages are touched when text arrives. Both areas have their padding,
// which is never interpreted.
Chunk::Chunk(std::size_t capacity)
    : capacity_(capacity),
      memory_(std::make_unique_for_overwrite<char[]>(2 * (capacity + kChunkPaddingBytes))) {}

}  // namespace grace::core
