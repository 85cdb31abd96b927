#include "exchange.h"

#include "grace/core/assert.h"

namespace grace::pipeline {

Exchange::Exchange(std::size_t workers, std::size_t event_slots, std::size_t item_slots,
                   std::size_t chunks_in_flight_max)
    : worker_count(workers),
      parsers_(chunks_in_flight_max + 1),
      in_flight_(chunks_in_flight_max, nullptr),
      parsed_(workers),
      assigned_(workers, 0) {
  for (std::size_t i = 0; i < workers; ++i) {
    chunk_rings.push_back(std::make_unique<ChunkRing>(chunks_in_flight_max));
    free_rings_.push_back(std::make_unique<ChunkRing>(chunks_in_flight_max));
    item_rings.push_back(std::make_unique<ItemRing>(item_slots));
    for (std::size_t j = 0; j < workers; ++j) {
      event_rings.push_back(std::make_unique<EventRing>(event_slots));
    }
  }
  // Relaxed: no thread yet.
  for (auto& parser : parsers_) parser.store(kNobody, std::memory_order_relaxed);
}

void Exchange::add_chunk(core::Chunk* chunk) {
  ChunkRing& ring = *free_rings_[chunk_count_++ % worker_count];
  GRACE_ASSERT(ring.try_push(chunk), "more chunks than may be in flight");
  ring.unbind_roles();  // filled here, from then on by the ordered stage
}

core::Chunk* Exchange::try_acquire(std::size_t near) noexcept {
  core::Chunk* chunk = nullptr;
  for (std::size_t i = 0; i < worker_count; ++i) {
    if (free_rings_[(near + i) % worker_count]->try_pop(chunk)) return chunk;
  }
  return nullptr;
}

std::size_t Exchange::free_chunks() const noexcept {
  std::size_t count = 0;
  for (const auto& ring : free_rings_) count += ring->size();
  return count;
}

std::size_t Exchange::publish(core::Chunk* chunk, std::size_t near) noexcept {
  in_flight_[chunk->number % in_flight_.size()] = chunk;
  const std::size_t worker = assign(chunk->number, near);
  GRACE_ASSERT(chunk_rings[worker]->try_push(chunk), "a ring has room for all chunks");
  return worker;
}

void Exchange::give_back(core::Chunk* chunk) noexcept {
  const std::size_t parser = parser_of(chunk->number);
  GRACE_ASSERT(parser != kNobody, "chunk %llu was parsed by nobody",
               static_cast<unsigned long long>(chunk->number));
  GRACE_ASSERT(free_rings_[parser]->try_push(chunk), "a ring has room for all chunks");
}

std::size_t Exchange::assign(std::uint64_t chunk_number, std::size_t near) noexcept {
  const auto unparsed = [this](std::size_t worker) {
    // Relaxed: a hint, which may be behind.
    return assigned_[worker] - parsed_[worker].chunks.load(std::memory_order_relaxed);
  };
  std::size_t chosen = near;
  std::uint64_t fewest = unparsed(chosen);
  for (std::size_t i = 1; i < worker_count && fewest > 0; ++i) {
    const std::size_t worker = (near + i) % worker_count;
    const std::uint64_t count = unparsed(worker);
    if (count >= fewest) continue;
    fewest = count;
    chosen = worker;
  }
  ++assigned_[chosen];
  const std::uint64_t word = chunk_number * (kNobody + 1) + chosen;
  // Relaxed: no data is read on its strength; the chunk and its events come through rings.
  parsers_[chunk_number % parsers_.size()].store(word, std::memory_order_relaxed);
  return chosen;
}

std::size_t Exchange::parser_of(std::uint64_t chunk_number) const noexcept {
  // Relaxed: as above. An old word names another chunk.
  const std::uint64_t word =
      parsers_[chunk_number % parsers_.size()].load(std::memory_order_relaxed);
  return word / (kNobody + 1) == chunk_number ? word % (kNobody + 1) : kNobody;
}

void Exchange::note_parsed(std::size_t worker) noexcept {
  auto& chunks = parsed_[worker].chunks;
  // Relaxed: only this worker writes it, and it is a hint.
  chunks.store(chunks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace grace::pipeline
