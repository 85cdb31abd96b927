// Workers that share the ingest stage, stepped by hand. That decisions do not depend on who reads
// what, is determinism_test's business.
#include "ingest_port.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "grace/core/clock.h"
#include "grace/ingest/memory_source.h"

namespace grace::pipeline {
namespace {

class NoRejects final : public parse::RejectSink {
 public:
  void rejected(const parse::Reject&) override {}
};

constexpr std::size_t kWorkers = 2;
constexpr std::size_t kChunks = 8;

// Two workers without detectors, and a source of many chunks.
class IngestGuestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ingest::IngestConfig config;
    config.chunk_target_bytes = 4 * 1024;
    config.line_bytes_max = 1024;
    for (std::size_t i = 0; i < kChunks; ++i) {
      chunks_.push_back(std::make_unique<core::Chunk>(ingest::chunk_capacity_bytes(config)));
      exchange_.add_chunk(chunks_.back().get());
    }
    std::string text;
    for (int i = 0; i < 10'000; ++i) text += "no event, but a line\n";
    ingest::IngestParts parts;
    parts.sources.push_back(std::make_unique<ingest::MemorySource>(std::move(text)));
    parts.port = &port_;
    parts.clock = &clock_;
    auto stage = ingest::IngestStage::create(config, std::move(parts));
    ASSERT_TRUE(stage) << stage.error().message;
    stage_ = std::move(*stage);
    shared_ = std::make_unique<IngestGuest::Shared>(*stage_, port_);
    for (std::size_t i = 0; i < kWorkers; ++i) {
      WorkerConfig worker;
      worker.index = i;
      worker.parse.line_bytes_max = config.line_bytes_max;
      workers_.push_back(std::make_unique<Worker>(worker, exchange_, rejects_, subsystems_));
      guests_.push_back(std::make_unique<IngestGuest>(*shared_, *workers_.back(), i));
    }
  }
  std::size_t waiting(std::size_t worker) { return exchange_.chunk_rings[worker]->size(); }

  core::ManualClock clock_;
  core::SubsystemList subsystems_;
  NoRejects rejects_;
  Exchange exchange_{kWorkers, 64, 64, kChunks};
  Port port_{exchange_};
  std::vector<std::unique_ptr<core::Chunk>> chunks_;
  std::unique_ptr<ingest::IngestStage> stage_;
  std::unique_ptr<IngestGuest::Shared> shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<IngestGuest>> guests_;
};

TEST_F(IngestGuestTest, WhoReadsAChunkParsesIt) {
  EXPECT_GT(guests_[1]->run_once(), 0U);
  EXPECT_EQ(waiting(0), 0U);
  EXPECT_EQ(waiting(1), 1U);
  EXPECT_EQ(exchange_.parser_of(0), 1U);
  EXPECT_GT(guests_[0]->run_once(), 0U);
  EXPECT_EQ(waiting(0), 1U);
  EXPECT_EQ(waiting(1), 1U);
}

TEST_F(IngestGuestTest, WhoHasAChunkToParseReadsNone) {
  EXPECT_GT(guests_[0]->run_once(), 0U);
  EXPECT_EQ(guests_[0]->run_once(), 0U);  // it waits
  EXPECT_GT(workers_[0]->run_once(), 0U);
  EXPECT_EQ(waiting(0), 0U);
  while (!workers_[0]->is_hungry()) EXPECT_GT(workers_[0]->run_once(), 0U);
  EXPECT_GT(guests_[0]->run_once(), 0U);
  EXPECT_EQ(waiting(0), 1U);
  EXPECT_EQ(waiting(1), 0U);
}

TEST_F(IngestGuestTest, WhoeverFindsTheTurnTakenReadsNone) {
  std::promise<void> taken, looked;
  std::thread other([&] {
    EXPECT_TRUE(shared_->turn.try_take());
    taken.set_value();
    looked.get_future().wait();
    shared_->turn.give_back();
  });
  taken.get_future().wait();
  EXPECT_EQ(guests_[1]->run_once(), 0U);
  EXPECT_EQ(waiting(1), 0U);
  looked.set_value();
  other.join();
  EXPECT_GT(guests_[1]->run_once(), 0U);
  EXPECT_EQ(waiting(1), 1U);
}

TEST_F(IngestGuestTest, AThreadOfItsOwnReadsForAllInTurn) {
  for (std::size_t chunk = 0; chunk < 4; ++chunk) {
    EXPECT_GT(stage_->run_once(), 0U);
    const std::size_t parser = exchange_.parser_of(chunk);
    ASSERT_EQ(parser, chunk % kWorkers);
    while (!workers_[parser]->is_hungry()) ASSERT_GT(workers_[parser]->run_once(), 0U);
  }
}

}  // namespace
}  // namespace grace::pipeline
