// What a long-running caller uses: handles, instances, counted means, several alarms, forgetting.
#include <gtest/gtest.h>

#include <algorithm>

#include "root_cause_fixture.h"

namespace grace::models {
namespace {

constexpr std::int64_t kAt = RecordedSystem::kAt;

std::string first(const RootCauseRanking& ranking) {
  return ranking.names_cause() ? ranking.services.front().service : "none of these";
}

bool ranks(const RootCauseRanking& ranking, std::string_view service) {
  return std::any_of(ranking.services.begin(), ranking.services.end(),
                     [&](const RankedService& each) { return each.service == service; });
}

RootCauseModel::SeriesHandle series_of(RootCauseModel& model, std::string_view service,
                                       std::string_view metric, std::uint64_t instance = 0) {
  RootCauseModel::SeriesHandle found = nullptr;
  EXPECT_EQ(model.find_series(service, metric, instance, found), Observed::kTaken);
  return found;
}

// Two hours of a latency, a mean over `requests` a minute, slower in the last three.
void add_latency(RootCauseModel& model, std::string_view service, double slower_ms, double requests,
                 std::string_view metric = "latency_ms") {
  const auto series = series_of(model, service, metric);
  for (int before = 119; before >= 0; --before) {
    const double usual = 20.0 + 0.2 * static_cast<double>((before * 37) % 11);
    model.observe(series, kAt - before * core::kNsPerMinute, usual + (before < 3 ? slower_ms : 0.0),
                  requests);
  }
}

TEST(RootCauseStream, AHandleIsTheSeriesOfThatName) {
  RecordedSystem system;
  system.calls("web", "api").calls("api", "db").service("web", 50).service("api", 50);
  RootCauseModel by_handle;
  for (const auto& [caller, callee] : system.edges) by_handle.add_edge(caller, callee);
  for (const Line& line : system.lines) {
    by_handle.observe(series_of(by_handle, line.service, line.metric), line.ts_ns, line.value);
  }
  expect_same(by_handle.rank(kAt, std::nullopt).value(), system.rank());
}

TEST(RootCauseStream, CountedMeansTellWhoAddsTheTimeWithoutATrafficSeries) {
  RootCauseModel model;
  model.add_edge("web", "db");
  // Ten calls of the database a request, each of them 10 ms slower: it adds all there is.
  add_latency(model, "web", 100.0, 60.0);
  add_latency(model, "db", 10.0, 600.0);
  EXPECT_EQ(first(model.rank(kAt, std::nullopt).value()), "db");
  // As often called, it adds a tenth of what the caller shows.
  RootCauseModel own;
  own.add_edge("web", "db");
  add_latency(own, "web", 100.0, 60.0);
  add_latency(own, "db", 10.0, 60.0);
  EXPECT_EQ(first(own.rank(kAt, std::nullopt).value()), "web");
}

TEST(RootCauseStream, AMeanOfQuantilesIsNoExcess) {
  RootCauseModel model;
  model.add_edge("web", "db");
  add_latency(model, "web", 100.0, 60.0, "latency_p99");
  add_latency(model, "db", 10.0, 600.0, "latency_p99");
  const RootCauseRanking ranking = model.rank(kAt, std::nullopt).value();
  // Nothing is weighed by shares: both stand for what they show.
  EXPECT_GT(ranking.services[0].score, 0.0);
  EXPECT_GT(ranking.services[1].score, 0.0);
}

TEST(RootCauseStream, InstancesOfOneNameArePastsOfTheirOwn) {
  // One host always slow, the other always fast: as one series neither would be odd.
  RootCauseModel model;
  const auto fast = series_of(model, "api", "latency_ms", 1);
  const auto slow = series_of(model, "api", "latency_ms", 2);
  ASSERT_NE(fast, slow);
  EXPECT_EQ(series_of(model, "api", "latency_ms", 1), fast);
  for (int before = 119; before >= 0; --before) {
    const std::int64_t ts_ns = kAt - before * core::kNsPerMinute;
    model.observe(fast, ts_ns, before < 3 ? 500.0 : 20.0 + before % 5);
    model.observe(slow, ts_ns, 500.0 + before % 7);
  }
  EXPECT_EQ(model.series_count(), 2U);
  EXPECT_EQ(first(model.rank(kAt, std::nullopt).value()), "api");
}

// Two hours of `count` instances, ordinary but for the first, which is slower in the end.
double score_among(int count, double slower_ms) {
  RootCauseModel model;
  for (int i = 0; i < count; ++i) {
    const auto series = series_of(model, "api", "cpu", static_cast<std::uint64_t>(i));
    for (int before = 119; before >= 0; --before) {
      const double usual = 20.0 + 0.2 * static_cast<double>((before * 37 + i * 5) % 11);
      model.observe(series, kAt - before * core::kNsPerMinute,
                    usual + (i == 0 && before < 3 ? slower_ms : 0.0));
    }
  }
  return model.rank(kAt, std::nullopt)->services.front().score;
}

TEST(RootCauseStream, TheOddestOfManyInstancesIsLessOdd) {
  const double alone = score_among(1, 8.0);
  const double among_ten = score_among(10, 8.0);
  EXPECT_GT(among_ten, 0.0);
  EXPECT_LT(among_ten, alone);
  EXPECT_LT(score_among(60, 8.0), among_ten);
}

TEST(RootCauseStream, AnInstanceThatIsGoneMakesNoOtherLessOdd) {
  RootCauseModel model;
  const auto add = [&](std::uint64_t instance, int oldest, int newest) {
    const auto series = series_of(model, "api", "cpu", instance);
    for (int before = oldest; before >= newest; --before) {
      model.observe(series, kAt - before * core::kNsPerMinute, 20.0 + (before < 3 ? 9.0 : 0.0));
    }
  };
  add(0, 119, 0);
  const double alone = model.rank(kAt, std::nullopt)->services.front().score;
  ASSERT_GT(alone, 0.0);
  for (std::uint64_t gone = 1; gone < 50; ++gone) add(gone, 119, 60);
  EXPECT_EQ(model.rank(kAt, std::nullopt)->services.front().score, alone);
  add(50, 119, 0);
  EXPECT_LT(model.rank(kAt, std::nullopt)->services.front().score, alone);
}

TEST(RootCauseStream, InstancesAddTheirExcessTogether) {
  // The database's time is told by four hosts, each serving a quarter of the caller's requests.
  RootCauseModel model;
  model.add_edge("web", "db");
  add_latency(model, "web", 100.0, 60.0);
  for (std::uint64_t host = 1; host <= 4; ++host) {
    const auto series = series_of(model, "db", "latency_ms", host);
    for (int before = 119; before >= 0; --before) {
      model.observe(series, kAt - before * core::kNsPerMinute,
                    20.0 + 0.2 * ((before * 37) % 11) + (before < 3 ? 100.0 : 0.0), 15.0);
    }
  }
  EXPECT_EQ(first(model.rank(kAt, std::nullopt).value()), "db");
}

TEST(RootCauseStream, AMeanThatWasMadeElsewhereIsWeighedByTheTraffic) {
  // Both report one average a bin. The database is called ten times a request.
  RootCauseModel model;
  model.add_edge("web", "db");
  add_latency(model, "web", 100.0, 6.0, "latency_avg");
  add_latency(model, "db", 10.0, 6.0, "latency_avg");
  EXPECT_EQ(first(model.rank(kAt, std::nullopt).value()), "web") << "by samples alone";
  for (int before = 119; before >= 0; --before) {
    model.observe(kAt - before * core::kNsPerMinute, "web", "requests", 60.0);
    model.observe(kAt - before * core::kNsPerMinute, "db", "requests", 600.0);
  }
  EXPECT_EQ(first(model.rank(kAt, std::nullopt).value()), "db");
}

TEST(RootCauseStream, ACountInPartsIsOneSample) {
  RootCauseModel whole;
  RootCauseModel parts;
  const auto one = series_of(whole, "api", "errors");
  const auto many = series_of(parts, "api", "errors");
  for (int before = 119; before >= 0; --before) {
    const std::int64_t ts_ns = kAt - before * core::kNsPerMinute;
    const double errors = before < 3 ? 5.0 : before % 2;
    whole.observe(one, ts_ns, errors + 1.0);
    parts.observe_part(many, ts_ns, errors);
    parts.observe_part(many, ts_ns, 0.0);
    parts.observe_part(many, ts_ns, 1.0);
  }
  const RootCauseRanking expected = whole.rank(kAt, std::nullopt).value();
  ASSERT_GT(expected.services.front().score, 0.0);
  EXPECT_EQ(parts.rank(kAt, std::nullopt)->services.front().score, expected.services.front().score);
  EXPECT_EQ(parts.observe_part(many, kAt, -1.0), Observed::kNotFinite);
}

TEST(RootCauseStream, SeveralAlarmsAskAboutAllThatTheyDependOn) {
  RecordedSystem system;
  system.calls("web", "api").calls("batch", "store").calls("other", "archive");
  for (const char* name : {"web", "batch", "other", "archive"}) system.service(name);
  system.service("api", 0.0, 6.0).service("store");
  const RootCauseModel model = system.model();
  const RootCauseRanking both =
      model.rank(kAt, std::vector<Symptom>{{"web", ""}, {"batch", ""}}).value();
  EXPECT_EQ(first(both), "api");
  EXPECT_EQ(both.services.size(), 4U);
  EXPECT_FALSE(ranks(both, "archive"));
  // Who is not known asks nothing, unless nobody is.
  EXPECT_EQ(model.rank(kAt, std::vector<Symptom>{{"web", ""}, {"nobody", ""}})->services.size(),
            2U);
  EXPECT_EQ(model.rank(kAt, std::vector<Symptom>{{"nobody", ""}, {"no one", ""}}).error().code,
            core::ErrorCode::kNotFound);
}

TEST(RootCauseStream, AlarmsOfSeveralKindsSpeakOfEach) {
  RecordedSystem system;
  system.calls("web", "slow").calls("web", "failing");
  system.service("web", 30, 3).service("slow", 60, 0).service("failing", 0, 6);
  const RootCauseModel model = system.model();
  const auto score = [&](const std::vector<Symptom>& alarms, std::string_view service) {
    const RootCauseRanking ranking = model.rank(kAt, alarms).value();
    for (const RankedService& each : ranking.services) {
      if (each.service == service) return each.score;
    }
    return -1.0;
  };
  const Symptom latency{"web", "latency_average"};
  const Symptom failures{"web", "availability_average"};
  const Symptom any{"web", ""};
  EXPECT_LT(score({failures}, "slow"), score({latency, failures}, "slow"));
  EXPECT_LT(score({latency}, "failing"), score({latency, failures}, "failing"));
  EXPECT_EQ(score({any}, "slow"), score({latency, failures}, "slow"));
  EXPECT_EQ(score({any}, "failing"), score({latency, any}, "failing"));
}

TEST(RootCauseStream, TheScopeIsBoundedAndKeepsTheNearest) {
  RootCauseConfig config;
  config.scope_max = 3;
  RootCauseModel model(config);
  model.add_edge("web", "b");
  model.add_edge("web", "a");
  model.add_edge("a", "z");
  model.add_edge("b", "y");
  const RootCauseRanking ranking = model.rank(kAt, Symptom{"web", ""}).value();
  EXPECT_EQ(ranking.services.size(), 3U);
  EXPECT_TRUE(ranks(ranking, "a") && ranks(ranking, "b") && ranks(ranking, "web"));
}

TEST(RootCauseStream, EdgesCanBeReplaced) {
  RecordedSystem system;
  system.calls("web", "old").service("web", 50).service("old", 50).service("new");
  RootCauseModel model = system.model();
  model.add_edge("only", "named");
  model.clear_edges();
  EXPECT_FALSE(model.rank(kAt, Symptom{"only", ""}).has_value()) << "nothing else names it";
  EXPECT_EQ(model.rank(kAt, Symptom{"web", ""})->services.size(), 1U);
  EXPECT_TRUE(model.add_edge("web", "new"));
  EXPECT_EQ(first(model.rank(kAt, Symptom{"web", ""}).value()), "web");
}

TEST(RootCauseStream, WhatIsForgottenMakesRoom) {
  RootCauseConfig config;
  config.series_max = 1;
  config.services_max = 1;
  RootCauseModel model(config);
  const auto series = series_of(model, "a", "latency_ms");
  RootCauseModel::SeriesHandle refused = series;
  EXPECT_EQ(model.find_series("a", "errors", 0, refused), Observed::kSeriesBound);
  EXPECT_EQ(refused, nullptr);
  EXPECT_EQ(model.find_series("b", "errors", 0, refused), Observed::kServiceBound);
  model.forget(series);
  EXPECT_EQ(model.series_count(), 0U);
  EXPECT_NE(series_of(model, "b", "errors"), nullptr);
  EXPECT_FALSE(model.rank(kAt, Symptom{"a", ""}).has_value());
}

TEST(RootCauseStream, OnlyKindsThatCanChangeARankingHaveASay) {
  const RootCauseModel model;
  for (const char* name : {"latency_ms", "errors", "requests_rps", "cpu_usage", "log:x"}) {
    EXPECT_TRUE(model.has_say(metric_kind(name))) << name;
  }
  for (const char* name : {"memory_used", "node_cpu", "temperature"}) {
    EXPECT_FALSE(model.has_say(metric_kind(name))) << name;
  }
}

}  // namespace
}  // namespace grace::models
