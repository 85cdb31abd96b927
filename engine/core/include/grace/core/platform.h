#pragma once
#include <cstddef>

namespace grace::core {

// Destructive interference size we lay structures out for. Not the standard constant: GCC warns
// (-Winterference-size) that its value may change with compiler flags, which would change layouts.
inline constexpr std::size_t kCacheLineBytes = 64;

// Detector state is divided into this many partitions by key. A partition's state evolves the same
// way whatever the number of workers (worker = partition % worker_count), so bounds that are kept
// per partition, such as evictions, do not depend on the worker count. It is also the unit that can
// be snapshotted and moved between machines.
inline constexpr std::size_t kPartitionCount = 64;
inline constexpr std::size_t kWorkersMax = 16;
static_assert(kPartitionCount % kWorkersMax == 0, "every worker count that divides evenly does so");

}  // namespace grace::core
