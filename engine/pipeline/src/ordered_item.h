#pragma once
#include <cstdint>
#include <type_traits>

#include "grace/core/chunk.h"
#include "grace/core/event.h"
#include "grace/core/finding.h"

namespace grace::pipeline {

// Where in the handling of one input event something was said. Ties at one sequence are ordered by
// (phase, partition, subsystem), and inside those by the order of the calls: none of the three
// depends on the number of workers or on where chunks were cut.
enum class Phase : std::uint8_t {
  kTick = 0,       // event time moves before the event that moved it is seen
  kFromTick = 1,   // findings and observations of partitions, caused by the tick
  kEvent = 2,      // a mesh or control event itself
  kFromEvent = 3,  // findings and observations caused by the event
};

enum class ItemKind : std::uint8_t { kTick = 0, kEvent, kObservation, kFinding, kShardEnd };

// What a worker tells the ordered stage, copied through its SPSC ring. Plain data; a finding is
// the one thing that is owned: the ring moves the pointer, the ordered stage deletes it.
struct OrderedItem {
  std::uint64_t chunk_number = 0;
  std::uint64_t sequence = 0;
  ItemKind kind = ItemKind::kTick;
  Phase phase = Phase::kTick;
  std::uint8_t partition = 0;
  std::uint8_t subsystem = 0;
  union Content {
    std::int64_t watermark_ns;
    core::Event event;
    core::Observation observation;
    core::Finding* finding;  // owned by whoever holds the item
    Content() noexcept : watermark_ns(0) {}
  } content;

  [[nodiscard]] static bool earlier(const OrderedItem& a, const OrderedItem& b) noexcept {
    if (a.sequence != b.sequence) return a.sequence < b.sequence;
    if (a.phase != b.phase) return a.phase < b.phase;
    if (a.partition != b.partition) return a.partition < b.partition;
    return a.subsystem < b.subsystem;
  }
};

static_assert(std::is_trivially_copyable_v<OrderedItem>, "copied through rings");

}  // namespace grace::pipeline
