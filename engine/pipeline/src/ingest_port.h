#pragma once
#include <cstddef>
#include <optional>

#include "exchange.h"
#include "grace/core/runner.h"
#include "grace/core/turn.h"
#include "grace/ingest/chunk_port.h"
#include "grace/ingest/ingest_stage.h"
#include "worker.h"

namespace grace::pipeline {

// Ingest's end of the exchange. Thread: ingest's, or whose turn it is.
class Port final : public ingest::ChunkPort {
 public:
  explicit Port(Exchange& exchange) : exchange_(exchange) {}

  // The worker that has the turn, and would rather parse what it reads; none: all in turn.
  void ingests_for(std::size_t worker) noexcept { worker_ = worker; }

  core::Chunk* try_acquire() override {
    core::Chunk* const chunk = exchange_.try_acquire(near());
    if (chunk != nullptr) ++held_;
    return chunk;
  }
  bool try_publish(core::Chunk* chunk) override {
    exchange_.publish(chunk, near());
    --held_;
    ++published_;
    return true;
  }
  // Fewer on their way than there are workers: one of them has none to parse.
  [[nodiscard]] bool hungry() const override {
    const std::size_t here = held_ + exchange_.free_chunks();
    return exchange_.chunks_in_flight_max() - here < exchange_.worker_count;
  }

 private:
  [[nodiscard]] std::size_t near() const noexcept {
    return worker_.value_or(published_ % exchange_.worker_count);
  }

  Exchange& exchange_;
  std::optional<std::size_t> worker_;
  std::size_t held_ = 0;  // by the ingest stage
  std::size_t published_ = 0;
};

// The ingest stage on the threads of all workers: a worker that has nothing to parse takes the turn
// and reads a chunk, which it then parses itself. Else the text of half the chunks would pass from
// one core to the other, which is more than the events do.
class IngestGuest final : public core::Stage {
 public:
  struct Shared {  // by the guests of all workers
    Shared(ingest::IngestStage& ingest_stage, Port& ingest_port)
        : stage(ingest_stage), port(ingest_port) {}
    ingest::IngestStage& stage;
    Port& port;
    core::Turn turn;
  };
  IngestGuest(Shared& shared, Worker& host, std::size_t index)
      : shared_(shared), host_(host), index_(index) {}

  std::size_t run_once() override {
    if (!host_.is_hungry() || shared_.stage.finished() || !shared_.turn.try_take()) return 0;
    shared_.port.ingests_for(index_);
    const std::size_t work = shared_.stage.run_once();
    shared_.turn.give_back();
    return work;
  }

 private:
  Shared& shared_;
  Worker& host_;
  const std::size_t index_;
};

}  // namespace grace::pipeline
