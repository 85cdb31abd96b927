#pragma once
#include <algorithm>
#include <cstddef>

#include "grace/core/chunk.h"
#include "grace/core/packed_ring.h"
#include "grace/ingest/source.h"

namespace grace::ingest {

// Read from one ring before the next one's turn: larger copies better, smaller is fairer.
inline constexpr std::size_t kTurnBytes = 64 * 1024;

// One ring's turn. The chunk is below its target.
inline core::PackedRingReader::Taken take_turn(core::PackedRingReader& ring, core::Chunk& chunk,
                                               const ReadLimits& limits,
                                               std::size_t event_bytes_max) noexcept {
  const std::size_t used = chunk.size_bytes;
  const std::size_t wanted = std::min(kTurnBytes, limits.target_bytes - used);
  auto taken = ring.take(chunk.text() + used, chunk.capacity() - used, wanted, event_bytes_max,
                         limits.past_caches);
  chunk.size_bytes += static_cast<std::uint32_t>(taken.bytes);
  chunk.packed_records += taken.records;
  // Its turn has ended, but the chunk has room.
  if (taken.bytes >= wanted) taken.more = false;
  return taken;
}

// The target is reached, or the ring's next record does not fit.
inline bool is_full(const core::PackedRingReader::Taken& taken, const core::Chunk& chunk,
                    const ReadLimits& limits) noexcept {
  return chunk.size_bytes >= limits.target_bytes || taken.more;
}

}  // namespace grace::ingest
