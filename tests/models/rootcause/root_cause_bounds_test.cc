#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "root_cause_fixture.h"

namespace grace::models {
namespace {

RecordedSystem mixed() {
  RecordedSystem system;
  system.calls("web", "api").calls("api", "db").calls("web", "cache");
  system.service("web", 50, 4).service("api", 50).service("db", 40).service("cache");
  return system.log("api", "Served#1", 1, 1).log("api", "Retry#2", 0, 1);
}

TEST(RootCauseInput, OrderOfLinesDoesNotMatter) {
  RecordedSystem system = mixed();
  // Duplicates in time with other values are samples like any other.
  system.add(1, "web", "latency_average", 500.0);
  system.add(30, "web", "latency_average", -0.0);
  system.add(30, "web", "latency_average", 0.0);
  const RootCauseRanking expected = system.rank();
  RootCauseConfig small;
  small.history_max = 32;
  const RootCauseRanking expected_small =
      system.model(small).rank(RecordedSystem::kAt, std::nullopt).value();
  std::mt19937_64 random(7);
  for (int round = 0; round < 5; ++round) {
    std::shuffle(system.lines.begin(), system.lines.end(), random);
    std::shuffle(system.edges.begin(), system.edges.end(), random);
    expect_same(system.rank(), expected);
    expect_same(system.model(small).rank(RecordedSystem::kAt, std::nullopt).value(),
                expected_small);
  }
}

TEST(RootCauseInput, LaterSamplesAreNotLookedAt) {
  RecordedSystem system = mixed();
  const RootCauseRanking expected = system.rank();
  for (int minute = 1; minute < 20; ++minute) {
    system.add(-minute, "cache", "latency_average", 9000.0);
  }
  expect_same(system.rank(), expected);
}

TEST(RootCauseInput, ValuesThatAreNotFiniteAreRefused) {
  RootCauseModel model;
  EXPECT_EQ(model.observe(1, "a", "b", std::numeric_limits<double>::quiet_NaN()),
            Observed::kNotFinite);
  EXPECT_EQ(model.observe(1, "a", "b", std::numeric_limits<double>::infinity()),
            Observed::kNotFinite);
  EXPECT_EQ(model.observe(1, "a", "b", -std::numeric_limits<double>::infinity()),
            Observed::kNotFinite);
  EXPECT_EQ(model.series_count(), 0U);
}

TEST(RootCauseInput, ExtremeValuesGiveFiniteProbabilities) {
  RecordedSystem system = mixed();
  const double largest = std::numeric_limits<double>::max();
  for (int minute = 0; minute < 3; ++minute) {
    system.add(minute, "db", "latency_average", largest);
    system.add(minute, "db", "requests_sum", largest);
    system.add(minute, "web", "availability_average", -largest);
    system.add(minute, "api", "latency_average", std::numeric_limits<double>::denorm_min());
  }
  const RootCauseRanking ranking = system.rank();
  double sum = ranking.none;
  for (const RankedService& each : ranking.services) sum += each.probability;
  EXPECT_NEAR(sum, 1.0, 1e-12);
}

TEST(RootCauseInput, AnEmptyModelNamesNone) {
  const auto ranking = RootCauseModel().rank(0, std::nullopt);
  ASSERT_TRUE(ranking.has_value());
  EXPECT_TRUE(ranking->services.empty());
  EXPECT_EQ(ranking->none, 1.0);
  EXPECT_FALSE(ranking->names_cause());
}

TEST(RootCauseBounds, WhatIsBeyondABoundIsRefusedAndSaidSo) {
  RootCauseConfig config;
  config.series_max = 2;
  config.services_max = 2;
  config.edges_max = 1;
  RootCauseModel model(config);
  EXPECT_EQ(model.observe(1, "a", "x", 1), Observed::kTaken);
  EXPECT_EQ(model.observe(1, "a", "y", 1), Observed::kTaken);
  EXPECT_EQ(model.observe(1, "a", "z", 1), Observed::kSeriesBound);
  EXPECT_EQ(model.observe(2, "a", "x", 1), Observed::kTaken);
  EXPECT_FALSE(model.add_edge("b", "c"));  // would need a third service
  EXPECT_TRUE(model.add_edge("a", "b"));
  EXPECT_EQ(model.observe(1, "c", "x", 1), Observed::kServiceBound);
  EXPECT_FALSE(model.add_edge("b", "a"));
  EXPECT_EQ(model.rank(1, std::nullopt)->services.size(), 2U);
}

TEST(RootCauseBounds, ALongHistoryIsJudgedByItsNewestPart) {
  // Slow in the distant past: with a short memory, being as slow again is news.
  RootCauseConfig config;
  config.history_max = 64;
  RootCauseModel model(config);
  const std::int64_t at = RecordedSystem::kAt;
  for (int minute = 2000; minute >= 0; --minute) {
    const bool slow = minute > 500 || minute < 3;
    model.observe(at - minute * core::kNsPerMinute, "api", "latency_p99",
                  (slow ? 900.0 : 20.0) + minute % 7);
  }
  EXPECT_TRUE(model.rank(at, std::nullopt)->names_cause());
}

}  // namespace
}  // namespace grace::models
