// Who parses which chunk. That decisions do not depend on it, is determinism_test's business.
#include "exchange.h"

#include <gtest/gtest.h>

namespace grace::pipeline {
namespace {

TEST(Exchange, WorkersTakeTurnsWhereAllHaveAsMuchToParse) {
  Exchange exchange(4, 64, 64, 12);
  for (std::uint64_t chunk = 0; chunk < 8; ++chunk) {
    EXPECT_EQ(exchange.assign(chunk), chunk % 4);
  }
}

TEST(Exchange, WhoIsBehindGetsNoMore) {
  Exchange exchange(2, 64, 64, 8);
  EXPECT_EQ(exchange.assign(0), 0U);  // and parses it for the rest of this test
  for (std::uint64_t chunk = 1; chunk < 7; ++chunk) {
    EXPECT_EQ(exchange.assign(chunk), 1U);
    exchange.note_parsed(1);
  }
  exchange.note_parsed(0);
  EXPECT_EQ(exchange.assign(8), 0U);
}

TEST(Exchange, TellsWhoParsesAChunkInFlightAndOfNoOther) {
  constexpr std::uint64_t kFirst = 1000;  // of a run that goes on after a restart
  constexpr std::uint64_t kInFlight = 8;
  Exchange exchange(2, 64, 64, kInFlight);
  EXPECT_EQ(exchange.parser_of(0), Exchange::kNobody);
  for (std::uint64_t chunk = kFirst; chunk < kFirst + 100; ++chunk) {
    EXPECT_EQ(exchange.parser_of(chunk), Exchange::kNobody) << chunk;
    const std::size_t parser = exchange.assign(chunk);
    EXPECT_EQ(exchange.parser_of(chunk), parser);
    EXPECT_EQ(exchange.parser_of(chunk + 1), Exchange::kNobody);
    if (chunk - kFirst >= kInFlight) {
      EXPECT_NE(exchange.parser_of(chunk - kInFlight + 1), Exchange::kNobody);
    }
    exchange.note_parsed(parser);
  }
}

}  // namespace
}  // namespace grace::pipeline
