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
// ordered stage, and W rings of free chunks back to ingest. And who parses which chunk: the worker
// that has the fewest to parse. Each worker has its chunks in ascending order.
//
// A chunk that is done goes back to the ring of the worker that parsed it, in whose cache it is;
// where workers ingest by themselves, that is whom it is taken by next.
class Exchange {
 public:
  Exchange(std::size_t workers, std::size_t event_slots, std::size_t item_slots,
           std::size_t chunks_in_flight_max);
  [[nodiscard]] EventRing& events(std::size_t from, std::size_t to) {
    return *event_rings[from * worker_count + to];
  }

  static constexpr std::size_t kNobody = core::kWorkersMax;
  [[nodiscard]] std::size_t chunks_in_flight_max() const noexcept { return in_flight_.size(); }

  // --- ingest's turn ---
  // An empty chunk, from those that `near` has parsed before if there is one; null: all are in
  // flight.
  [[nodiscard]] core::Chunk* try_acquire(std::size_t near) noexcept;
  // The chunk, which has the next number, goes to `near` unless another worker has fewer to parse;
  // gives who got it.
  std::size_t publish(core::Chunk* chunk, std::size_t near) noexcept;
  [[nodiscard]] std::size_t free_chunks() const noexcept;

  // --- the ordered stage ---
  [[nodiscard]] core::Chunk* in_flight(std::uint64_t chunk_number) const noexcept {
    return in_flight_[chunk_number % in_flight_.size()];
  }
  // The first chunk in flight is done with.
  void give_back(core::Chunk* chunk) noexcept;

  // Any thread. kNobody: not assigned yet. Asked for chunks in flight and the next ones.
  [[nodiscard]] std::size_t parser_of(std::uint64_t chunk_number) const noexcept;
  // The worker's own thread: it has parsed one more.
  void note_parsed(std::size_t worker) noexcept;

  // Before the threads start: one of the chunks that there are.
  void add_chunk(core::Chunk* chunk);

  std::size_t worker_count;
  std::vector<std::unique_ptr<ChunkRing>> chunk_rings;
  std::vector<std::unique_ptr<EventRing>> event_rings;
  std::vector<std::unique_ptr<ItemRing>> item_rings;

 private:
  [[nodiscard]] std::size_t assign(std::uint64_t chunk_number, std::size_t near) noexcept;

  struct alignas(core::kCacheLineBytes) Parsed {
    std::atomic<std::uint64_t> chunks{0};
  };
  // By chunk number, modulo: the number and its worker in one word, so that an old one is told from
  // the one that is asked for.
  std::vector<std::atomic<std::uint64_t>> parsers_;
  std::vector<std::unique_ptr<ChunkRing>> free_rings_;  // by the worker that parsed them last
  // By chunk number modulo its size. Ingest writes; the ordered stage learns of it by the rings on
  // the chunk's way.
  std::vector<core::Chunk*> in_flight_;
  std::size_t chunk_count_ = 0;
  std::vector<Parsed> parsed_;           // by worker
  std::vector<std::uint64_t> assigned_;  // chunks by worker; ingest's
};

}  // namespace grace::pipeline
