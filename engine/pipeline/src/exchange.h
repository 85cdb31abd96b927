#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "grace/core/chunk.h"
#include "grace/core/event.h"
#include "grace/core/platform.h"
#include "grace/core/spsc_ring.h"
#include "ordered_item.h"

namespace grace::pipeline {

// Rings carry events and, as events of a kind no input has, the two marks of the exchange.
inline constexpr auto kChunkEndMark = static_cast<core::EventKind>(254);
inline constexpr auto kTickMark = static_cast<core::EventKind>(253);

using EventRing = core::SpscRing<core::Event>;
using ItemRing = core::SpscRing<OrderedItem>;
using ChunkRing = core::SpscRing<core::Chunk*>;

// The rings of the exchange: W chunk rings from ingest, W x W event rings, W item rings to the
// ordered stage. And who parses which chunk: the worker that has the fewest to parse, in turn where
// several have. Each worker has its chunks in ascending order.
class Exchange {
 public:
  Exchange(std::size_t workers, std::size_t event_slots, std::size_t item_slots,
           std::size_t chunks_in_flight_max);
  [[nodiscard]] EventRing& events(std::size_t from, std::size_t to) {
    return *event_rings[from * worker_count + to];
  }

  static constexpr std::size_t kNobody = core::kWorkersMax;
  // Ingest's thread. The chunk with the next number goes to the worker that this gives.
  [[nodiscard]] std::size_t assign(std::uint64_t chunk_number) noexcept;
  // Any thread. kNobody: not assigned yet. Asked for chunks in flight and the next ones.
  [[nodiscard]] std::size_t parser_of(std::uint64_t chunk_number) const noexcept;
  // The worker's own thread: it has parsed one more.
  void note_parsed(std::size_t worker) noexcept;

  std::size_t worker_count;
  std::vector<std::unique_ptr<ChunkRing>> chunk_rings;
  std::vector<std::unique_ptr<EventRing>> event_rings;
  std::vector<std::unique_ptr<ItemRing>> item_rings;

 private:
  struct alignas(core::kCacheLineBytes) Parsed {
    std::atomic<std::uint64_t> chunks{0};
  };
  // By chunk number, modulo: the number and its worker in one word, so that an old one is told from
  // the one that is asked for.
  std::vector<std::atomic<std::uint64_t>> parsers_;
  std::vector<Parsed> parsed_;           // by worker
  std::vector<std::uint64_t> assigned_;  // chunks by worker; ingest's
};

}  // namespace grace::pipeline
