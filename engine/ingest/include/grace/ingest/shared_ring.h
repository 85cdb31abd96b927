#pragma once
#include <cstddef>
#include <cstdint>

#include "grace/core/packed_ring.h"

// The memory that an engine shares with a producer in another process, and the message in which it
// hands it over. Layout 1: docs/shared_ring.md.
namespace grace::ingest {

inline constexpr std::uint64_t kSharedRingMagic = 0x474E495245434152ULL;  // "RACERING"
inline constexpr std::uint32_t kSharedRingVersion = 1;

// At the begin of the memory. All but `state` is written once, by the engine, and never read again
// by it.
struct SharedRingHeader {
  static constexpr std::size_t kMemoryOffset = 4096;  // of the records; a page of its own

  std::uint64_t magic = kSharedRingMagic;
  std::uint32_t version = kSharedRingVersion;
  std::uint32_t event_bytes_max = 0;
  std::uint64_t ring_bytes = 0;  // a power of two; the file has kMemoryOffset more
  core::PackedRingState state;   // at 64: tail, at 128: head
};
static_assert(sizeof(SharedRingHeader) == 192 && offsetof(SharedRingHeader, state) == 64);
static_assert(offsetof(core::PackedRingState, head) == 64);
static_assert(sizeof(SharedRingHeader) <= SharedRingHeader::kMemoryOffset);

// What the engine says to a producer that connects. kOk comes with the memory's descriptor.
enum class SharedAnswer : std::uint32_t { kOk = 0, kTooMany = 1, kForbidden = 2, kFailed = 3 };
struct SharedHello {
  std::uint64_t magic = kSharedRingMagic;
  std::uint32_t version = kSharedRingVersion;
  SharedAnswer answer = SharedAnswer::kOk;
};
static_assert(sizeof(SharedHello) == 16);

}  // namespace grace::ingest
