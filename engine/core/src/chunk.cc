#include "grace/core/chunk.h"

#include <new>

#include "grace/core/platform.h"

namespace grace::core {
namespace {

constexpr std::align_val_t kAlign{kCacheLineBytes};

}  // namespace

// Uninitialised on purpose: pages are touched when text arrives. Both areas have their padding,
// which is never interpreted.
ChunkMemory::ChunkMemory(std::size_t capacity)
    : capacity_(capacity),
      bytes_(static_cast<char*>(::operator new(2 * (capacity + kChunkPaddingBytes), kAlign))) {}

void ChunkMemory::Free::operator()(char* bytes) const noexcept {
  ::operator delete(bytes, kAlign);
}

}  // namespace grace::core
