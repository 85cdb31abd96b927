// Who parses which chunk. That decisions do not depend on it, is determinism_test's business.
#include "exchange.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace grace::pipeline {
namespace {

// An exchange and the chunks of it, with numbers in order.
class ExchangeTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kFirst = 1000;  // of a run that goes on after a restart

  void make(std::size_t workers, std::size_t chunks) {
    exchange_ = std::make_unique<Exchange>(workers, 64, 64, chunks);
    for (std::size_t i = 0; i < chunks; ++i) {
      chunks_.push_back(std::make_unique<core::Chunk>(64));
      exchange_->add_chunk(chunks_.back().get());
    }
  }
  // Who parses the next chunk, when `near` reads it.
  std::size_t publish(std::size_t near) {
    core::Chunk* const chunk = exchange_->try_acquire(near);
    if (chunk == nullptr) return Exchange::kNobody;
    chunk->number = next_++;
    return exchange_->publish(chunk, near);
  }
  // The worker has parsed its next chunk, and all shards are done with it; gives the chunk.
  core::Chunk* finish(std::size_t worker) {
    core::Chunk* chunk = nullptr;
    if (!exchange_->chunk_rings[worker]->try_pop(chunk)) return nullptr;
    exchange_->note_parsed(worker);
    EXPECT_EQ(exchange_->in_flight(chunk->number), chunk);
    exchange_->give_back(chunk);
    return chunk;
  }

  std::vector<std::unique_ptr<core::Chunk>> chunks_;
  std::unique_ptr<Exchange> exchange_;
  std::uint64_t next_ = kFirst;
};

TEST_F(ExchangeTest, AChunkGoesToWhoReadItAndThenToWhoHasTheFewest) {
  make(4, 12);
  for (const std::size_t expected : {2U, 3U, 0U, 1U, 2U, 3U, 0U, 1U}) {
    EXPECT_EQ(publish(2), expected);
  }
}

TEST_F(ExchangeTest, WhoIsBehindGetsNoMore) {
  make(2, 8);
  EXPECT_EQ(publish(0), 0U);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(publish(0), 1U);
    EXPECT_NE(finish(1), nullptr);
  }
  EXPECT_NE(finish(0), nullptr);
  EXPECT_EQ(publish(0), 0U);
}

TEST_F(ExchangeTest, AChunkComesBackToWhoParsedIt) {
  make(2, 4);
  for (const std::size_t near : {0U, 0U, 1U, 1U}) EXPECT_NE(publish(near), Exchange::kNobody);
  std::vector<core::Chunk*> parsed_by_0, parsed_by_1;
  for (int i = 0; i < 2; ++i) {
    parsed_by_0.push_back(finish(0));
    parsed_by_1.push_back(finish(1));
  }
  EXPECT_EQ(exchange_->free_chunks(), 4U);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(exchange_->try_acquire(1), parsed_by_1[i]);
    EXPECT_EQ(exchange_->try_acquire(0), parsed_by_0[i]);
  }
  EXPECT_EQ(exchange_->try_acquire(0), nullptr);
  EXPECT_EQ(exchange_->free_chunks(), 0U);
}

TEST_F(ExchangeTest, TakesAnothersChunkRatherThanNone) {
  make(2, 4);
  for (int i = 0; i < 4; ++i) EXPECT_NE(publish(0), Exchange::kNobody);
  EXPECT_EQ(publish(0), Exchange::kNobody);
  core::Chunk* const back = finish(1);
  EXPECT_EQ(exchange_->try_acquire(0), back);
}

TEST_F(ExchangeTest, TellsWhoParsesAChunkInFlightAndOfNoOther) {
  constexpr std::uint64_t kInFlight = 8;
  make(2, kInFlight);
  EXPECT_EQ(exchange_->parser_of(0), Exchange::kNobody);
  for (std::uint64_t chunk = kFirst; chunk < kFirst + 100; ++chunk) {
    EXPECT_EQ(exchange_->parser_of(chunk), Exchange::kNobody) << chunk;
    const std::size_t parser = publish(chunk % 2);
    EXPECT_EQ(exchange_->parser_of(chunk), parser);
    EXPECT_EQ(exchange_->parser_of(chunk + 1), Exchange::kNobody);
    if (chunk - kFirst >= kInFlight) {
      EXPECT_NE(exchange_->parser_of(chunk - kInFlight + 1), Exchange::kNobody);
    }
    EXPECT_NE(finish(parser), nullptr);
  }
}

}  // namespace
}  // namespace grace::pipeline
