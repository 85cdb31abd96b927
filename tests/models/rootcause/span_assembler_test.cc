#include "grace/models/span_assembler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "grace/core/time.h"
#include "root_cause_fixture.h"

namespace grace::models {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kStart = 20'000'000 * core::kNsPerMinute;

struct Call {
  std::string trace, id, parent, service, operation;
  std::int64_t start_ns = 0, duration_ns = 0;
  bool failed = false;
  [[nodiscard]] Span span() const {
    return {trace, id, parent, service, operation, start_ns, duration_ns, failed};
  }
};

// A shop: web asks api, and api asks db and then mail; a trace every two seconds.
struct Shop {
  static constexpr int kTraces = 1800;
  std::vector<Call> calls;

  // In the last 150 s the service named takes `slower_ms` longer by itself, or the
  // database fails, or api no longer asks for mail.
  explicit Shop(const std::string& slow = "", std::int64_t slower_ms = 0, bool failing = false,
                bool no_mail = false) {
    for (int i = 0; i < kTraces; ++i) {
      const bool bad = i >= kTraces - 75;
      const std::string trace = "t" + std::to_string(i);
      const std::int64_t start_ns = kStart + i * 2 * core::kNsPerSecond;
      const std::int64_t wobble = (i * 37) % 11 * kMs / 10;
      const auto more = [&](const char* name) { return bad && slow == name ? slower_ms * kMs : 0; };
      const std::int64_t db = 5 * kMs + wobble + more("db");
      const std::int64_t api = 20 * kMs + db + more("api");
      const bool fails = bad && failing;
      calls.push_back({trace, "1", "", "web", "GET /", start_ns, api + 10 * kMs, fails});
      calls.push_back({trace, "2", "1", "web", "HTTP GET", start_ns + kMs, api + 2 * kMs, fails});
      calls.push_back({trace, "3", "2", "api", "list", start_ns + 2 * kMs, api, fails});
      calls.push_back({trace, "4", "3", "db", "SELECT", start_ns + 3 * kMs, db, fails});
      if (bad && no_mail) continue;
      calls.push_back({trace, "5", "3", "mail", "send", start_ns + 4 * kMs + db, 8 * kMs});
    }
  }
  [[nodiscard]] static std::int64_t at_ns() {
    return kStart + kTraces * 2 * core::kNsPerSecond + 20 * core::kNsPerSecond;
  }
  [[nodiscard]] RootCauseRanking rank() const {
    RootCauseModel model;
    SpanAssembler assembler(model);
    for (const Call& call : calls) EXPECT_TRUE(assembler.observe(call.span()));
    assembler.finish();
    EXPECT_EQ(assembler.spans_held() + assembler.cells_held(), 0U);
    return model.rank(at_ns(), std::vector<Symptom>{}).value();
  }
};

TEST(SpanAssembler, OrdinaryTrafficNamesNoCause) {
  EXPECT_FALSE(Shop().rank().names_cause());
}

TEST(SpanAssembler, TimeCountsAgainstWhoSpendsItNotAgainstWhoWaits) {
  for (const char* slow : {"db", "api"}) {
    const RootCauseRanking ranking = Shop(slow, 40).rank();
    ASSERT_TRUE(ranking.names_cause()) << slow;
    EXPECT_EQ(ranking.services[0].service, slow);
    EXPECT_EQ(ranking.services[0].strongest_metric,
              std::string(kSpanSelfTime) + (slow == std::string("db") ? "SELECT" : "list"));
    // The others wait for it and have nothing of their own.
    EXPECT_EQ(ranking.services[1].score, 0.0) << slow;
  }
}

TEST(SpanAssembler, FailuresOfACalleeExplainThoseOfItsCallers) {
  const RootCauseRanking ranking = Shop("", 0, true).rank();
  ASSERT_TRUE(ranking.names_cause());
  EXPECT_EQ(ranking.services[0].service, "db");
  EXPECT_EQ(ranking.services[0].strongest_metric, "span_errors:SELECT");
}

TEST(SpanAssembler, AServiceThatNoLongerMakesACallIsNamedAndNotWhomItCalled) {
  const RootCauseRanking ranking = Shop("", 0, false, true).rank();
  ASSERT_TRUE(ranking.names_cause());
  EXPECT_EQ(ranking.services[0].service, "api");
  EXPECT_EQ(ranking.services[0].strongest_metric, "span_calls:list");
}

// Ten services whose operations go one of many ways by chance, each a few times a minute. Chance is
// taken off for each service, not for all of them together: one moment in ten is the price.
TEST(SpanAssembler, WaysTakenByChanceSeldomNameACause) {
  int named = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    RootCauseModel model;
    SpanAssembler assembler(model);
    const auto at_ns = kStart + 60 * core::kNsPerMinute;
    for (std::int64_t ts_ns = kStart; ts_ns < at_ns; ts_ns += 5 * core::kNsPerSecond) {
      const std::string trace = std::to_string(ts_ns);
      const std::string service = "s" + std::to_string(random() % 10);
      assembler.observe({trace, "0", "", service, "work", ts_ns, 40 * kMs});
      for (int step = 0; step < 3; ++step) {
        const std::string operation = "part" + std::to_string(random() % 6);
        assembler.observe({trace, operation, "0", service, operation, ts_ns + step * 10 * kMs,
                           static_cast<std::int64_t>(random() % 9) * kMs});
      }
    }
    assembler.finish();
    named += model.rank(at_ns, std::vector<Symptom>{}).value().names_cause() ? 1 : 0;
  }
  EXPECT_LE(named, 4);
}

TEST(SpanAssembler, CallsSideBySideCountOnceAndWhatOutlastsTheSpanNotAtAll) {
  // 100 ms, of which calls take 90 at all times. What changes in the end is that they no longer
  // overlap and no longer outlast it: read in the other way, its own time would have grown.
  RootCauseModel model;
  SpanAssembler assembler(model);
  for (int i = 0; i < 30; ++i) {
    const bool late = i >= 27;
    const std::string trace = std::to_string(i);
    const std::int64_t start_ns = kStart + i * core::kNsPerMinute;
    const std::int64_t second_ns = (late ? 60 : 30) * kMs;
    assembler.observe({trace, "1", "", "web", "GET /", start_ns, 100 * kMs});
    assembler.observe({trace, "2", "1", "api", "a", start_ns + 10 * kMs, (late ? 50 : 70) * kMs});
    assembler.observe(
        {trace, "3", "1", "api", "b", start_ns + second_ns, (late ? 100 : 350) * kMs - second_ns});
  }
  assembler.finish();
  const auto ranking = model.rank(kStart + 30 * core::kNsPerMinute, std::vector<Symptom>{}).value();
  const auto web = std::find_if(ranking.services.begin(), ranking.services.end(),
                                [](const auto& each) { return each.service == "web"; });
  ASSERT_NE(web, ranking.services.end());
  EXPECT_EQ(web->score, 0.0) << web->strongest_metric;
}

TEST(SpanAssembler, OrderWithinTheIdleTimeDoesNotMatter) {
  Shop shop("db", 40, true);
  const RootCauseRanking expected = shop.rank();
  std::mt19937_64 random(7);
  // Six traces, twelve seconds, at a time.
  for (std::size_t at = 0; at + 30 <= shop.calls.size(); at += 30) {
    const auto first = shop.calls.begin() + static_cast<std::ptrdiff_t>(at);
    std::shuffle(first, first + 30, random);
  }
  expect_same(shop.rank(), expected);
}

TEST(SpanAssembler, BoundsHoldAndSayWhatTheyTurnedAway) {
  RootCauseConfig small;
  small.series_max = 8;
  RootCauseModel model(small);
  SpanConfig config;
  config.spans_max = 16;
  config.cells_max = 8;
  config.trace_spans_max = 4;
  SpanAssembler assembler(model, config);
  std::uint64_t refused = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string trace = "t" + std::to_string(i / 5);
    const std::string id = std::to_string(i);
    refused += assembler.observe({trace, id, "", "web", "op" + id, kStart + i, kMs}) ? 0 : 1;
    ASSERT_LE(assembler.spans_held(), config.spans_max);
    ASSERT_LE(assembler.cells_held(), config.cells_max);
  }
  assembler.finish();
  const SpanAssembler::Counters& counters = assembler.counters();
  EXPECT_EQ(counters.spans, 800U);  // four of five
  EXPECT_EQ(counters.cut, 200U);
  EXPECT_EQ(refused, 200U);
  EXPECT_EQ(counters.closed_early, 196U);  // all but the last four traces
  EXPECT_EQ(model.series_count(), 8U);
  EXPECT_EQ(counters.no_room, 800U * 3 - 8);  // own time, errors and one step of each
}

TEST(SpanAssembler, WhatIsNoSpanIsRefused) {
  RootCauseModel model;
  SpanAssembler assembler(model);
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  EXPECT_FALSE(assembler.observe({"", "1", "", "web", "op", 1, 1}));
  EXPECT_FALSE(assembler.observe({"t", "1", "", "", "op", 1, 1}));
  EXPECT_FALSE(assembler.observe({"t", "1", "", "web", "", 1, 1}));
  EXPECT_FALSE(assembler.observe({"t", "1", "", "web", "op", 1, -1}));
  EXPECT_FALSE(assembler.observe({"t", "1", "", "web", "op", -1, 1}));
  EXPECT_FALSE(assembler.observe({"t", "1", "", "web", "op", kMax, 1}));
  EXPECT_FALSE(assembler.observe({"t", "1", "", "web", "op", 1, kMax}));
  EXPECT_EQ(assembler.counters().refused, 7U);
  EXPECT_EQ(assembler.counters().spans, 0U);
  // Spans that call each other, or themselves, end all the same.
  EXPECT_TRUE(assembler.observe({"t", "1", "1", "web", "op", 1, 1}));
  EXPECT_TRUE(assembler.observe({"t", "2", "3", "web", "op", 1, 1}));
  EXPECT_TRUE(assembler.observe({"t", "3", "2", "api", "op", 1, 1}));
  assembler.finish();
  EXPECT_EQ(assembler.spans_held(), 0U);
}

}  // namespace
}  // namespace grace::models
