#include "grace/correlate/cause_finder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>

#include "grace/core/hash.h"
#include "grace/core/time.h"
#include "grace/correlate/correlator.h"

namespace grace::correlate {
namespace {

using core::kNsPerMinute;
using core::kNsPerSecond;

constexpr std::int64_t kStart = 1'736'950'020 * kNsPerSecond;
constexpr int kMinutes = 120;
constexpr int kTrouble = 4;  // it begins so many minutes before the end
constexpr std::int64_t kEnd = kStart + kMinutes * kNsPerMinute;

// Two hours of what partitions observe of web -> api -> db.
class Observed {
 public:
  Observed() {
    topology.upsert({"web", "edge", {"api"}});
    topology.upsert({"api", "core", {"db"}});
    topology.upsert({"db", "data", {}});
  }
  // Mean of so many samples a minute, slower by `slower` in the end.
  template <typename Sink>
  void metric(Sink& sink, std::string_view service, std::string_view name, double slower,
              std::uint32_t count = 6, std::string_view labels = "") {
    for (int minute = 1; minute <= kMinutes; ++minute) {
      core::Observation bin;
      bin.ts_ns = kStart + minute * kNsPerMinute;
      bin.order_key = key(std::string(service) + '/' + std::string(name) + std::string(labels));
      bin.service = service;
      bin.name = name;
      bin.role = core::role_of_metric(name);
      bin.value = 20.0 + (minute * 37) % 11 + (minute > kMinutes - kTrouble ? slower : 0.0);
      bin.count = count;
      sink.on_observation(bin);
    }
  }
  // Ten actions in every ten seconds; in the end `errors` of them fail in every other period.
  template <typename Sink>
  void actions(Sink& sink, std::string_view actor, std::string_view service, double errors) {
    for (int period = 1; period <= 6 * kMinutes; ++period) {
      core::Observation seen;
      seen.kind = core::ObservationKind::kActions;
      seen.ts_ns = kStart + period * 10 * kNsPerSecond;
      seen.order_key = key(std::string(actor) + '>' + std::string(service));
      seen.service = service;
      seen.name = actor;
      seen.count = 10;
      if (period > 6 * (kMinutes - kTrouble) && period % 2 == 0 && errors > 0) {
        seen.value = errors;
        seen.action = "checkout";
      }
      sink.on_observation(seen);
    }
  }
  static std::uint64_t key(const std::string& text) { return core::hash_bytes(text); }
  static core::Trigger trigger(core::TriggerType type, std::string service, double confidence) {
    core::Trigger result;
    result.source = core::source_of(type);
    result.finding.type = type;
    result.finding.service = std::move(service);
    result.finding.diagnosis_code = "diagnosis";
    result.confidence = confidence;
    result.created_ts_ns = kEnd;
    result.fingerprint = fingerprint_of(result.finding);
    result.trigger_id = trigger_id_of(result.finding, 1, 0);
    return result;
  }

  core::Topology topology;
  core::LearnedState learned;
};

double probability_of(const models::RootCauseRanking& ranking, std::string_view service) {
  for (const models::RankedService& each : ranking.services) {
    if (each.service == service) return each.probability;
  }
  return 0.0;
}

const std::vector<models::Symptom> kWeb{{"web", ""}};

TEST(CauseFinder, NamesTheServiceThatAddsTheTime) {
  Observed seen;
  CauseFinder finder({}, seen.topology);
  seen.metric(finder, "web", "latency_ms", 300.0);
  seen.metric(finder, "api", "latency_ms", 300.0);
  seen.metric(finder, "db", "latency_ms", 300.0);
  const auto ranking = finder.rank(kEnd, kWeb);
  ASSERT_TRUE(ranking.has_value());
  EXPECT_EQ(ranking->services.front().service, "db");
  EXPECT_TRUE(ranking->names_cause());
  EXPECT_EQ(ranking->services.front().strongest_metric, "latency_ms");
}

TEST(CauseFinder, NamesNoneWhenNothingIsOdd) {
  Observed seen;
  CauseFinder finder({}, seen.topology);
  seen.metric(finder, "web", "latency_ms", 0.0);
  seen.metric(finder, "db", "latency_ms", 0.0);
  seen.actions(finder, "web", "api", 0.0);
  EXPECT_FALSE(finder.rank(kEnd, kWeb)->names_cause());
}

TEST(CauseFinder, FailingActionsAreErrorsOfTheirService) {
  Observed seen;
  CauseFinder finder({}, seen.topology);
  seen.actions(finder, "web", "api", 2.0);
  EXPECT_EQ(finder.series_count(), 1U);
  const auto ranking = finder.rank(kEnd, kWeb);
  ASSERT_TRUE(ranking->names_cause());
  EXPECT_EQ(ranking->services.front().service, "api");
  EXPECT_EQ(ranking->services.front().strongest_metric, "errors");
  EXPECT_GT(ranking->services.front().onset_ns, kEnd - (kTrouble + 1) * kNsPerMinute);
}

// Ten-second periods are six times as many samples as minutes; that must not make errors six times
// as sure as what a metric says once a minute.
TEST(CauseFinder, ErrorsByThePeriodSayAsMuchAsErrorsByTheMinute) {
  Observed seen;
  CauseFinder by_actions({}, seen.topology);
  seen.actions(by_actions, "web", "api", 2.0);
  CauseFinder by_metric({}, seen.topology);
  for (int minute = 1; minute <= kMinutes; ++minute) {
    core::Observation bin;
    bin.ts_ns = kStart + minute * kNsPerMinute;
    bin.service = "api";
    bin.name = "errors";
    bin.role = core::MetricRole::kErrors;
    bin.order_key = 1;
    bin.value = minute > kMinutes - kTrouble ? 6.0 : 0.0;
    bin.count = 6;
    by_metric.on_observation(bin);
  }
  const auto counted = by_actions.rank(kEnd, kWeb);
  EXPECT_GT(counted->services.front().score, 0.0);
  EXPECT_EQ(counted->services.front().score, by_metric.rank(kEnd, kWeb)->services.front().score);
}

TEST(CauseFinder, TheMinuteUnderWayCounts) {
  Observed seen;
  CauseFinder finder({}, seen.topology);
  seen.actions(finder, "web", "api", 0.0);
  core::Observation failing;
  failing.kind = core::ObservationKind::kActions;
  failing.service = "api";
  failing.order_key = Observed::key("web>api");
  failing.count = 10;
  failing.value = 9;
  for (const int second : {10, 70}) {
    failing.ts_ns = kEnd + second * kNsPerSecond;
    finder.on_observation(failing);
  }
  const auto ranking = finder.rank(kEnd + 71 * kNsPerSecond, kWeb);
  EXPECT_EQ(ranking->services.front().service, "api");
  EXPECT_TRUE(ranking->names_cause());
}

// What comes only when it is odd would be its own past.
TEST(CauseFinder, MetricsThatComeOnlyWhenOddAreLeftOut) {
  Observed seen;
  CauseFinder finder({}, seen.topology);
  ASSERT_EQ(core::role_of_metric("open_spans"), core::MetricRole::kOther);
  ASSERT_EQ(models::metric_kind("open_spans"), models::MetricKind::kTraffic);
  seen.metric(finder, "db", "open_spans", 0.0);
  EXPECT_EQ(finder.key_count(), 0U);
}

TEST(CauseFinder, AChangedTopologyIsReadAgain) {
  Observed seen;
  CauseFinder finder({}, seen.topology);
  seen.metric(finder, "db", "latency_ms", 300.0);
  seen.metric(finder, "cache", "latency_ms", 300.0);
  EXPECT_GT(probability_of(*finder.rank(kEnd, kWeb), "db"), 0.5);
  seen.topology.upsert({"web", "edge", {"cache"}});
  const auto ranking = finder.rank(kEnd, kWeb);
  EXPECT_EQ(probability_of(*ranking, "db"), 0.0) << "web does not depend on it any more";
  EXPECT_GT(probability_of(*ranking, "cache"), 0.5);
}

TEST(CauseFinder, KnowsNothingAboutAServiceThatNobodyNamed) {
  Observed seen;
  CauseFinder finder({}, seen.topology);
  EXPECT_FALSE(finder.rank(kEnd, {{"nobody", ""}}).has_value());
  EXPECT_TRUE(finder.rank(kEnd, kWeb).has_value()) << "the topology names it";
}

TEST(CauseFinder, MetricsWithoutASayKeepNoHistory) {
  Observed seen;
  CauseFinder finder({}, seen.topology);
  seen.metric(finder, "db", "disk_usage", 300.0);
  seen.metric(finder, "db", "memory_used", 300.0);
  EXPECT_EQ(finder.series_count(), 0U);
}

TEST(CauseFinder, PastItsBoundOnlyAKeyThatFellSilentMakesRoom) {
  Observed seen;
  models::RootCauseConfig config;
  config.series_max = 3;
  CauseFinder finder(config, seen.topology);
  const auto observe = [&](const std::string& service, int minute) {
    static std::deque<std::string> names;  // observations hold views
    core::Observation bin;
    bin.service = names.emplace_back(service);
    bin.name = "latency_ms";
    bin.role = core::MetricRole::kLatency;
    bin.order_key = Observed::key(service);
    bin.ts_ns = kStart + minute * kNsPerMinute;
    bin.value = 1.0;
    finder.on_observation(bin);
  };
  const auto known = [&](const char* service) {
    return finder.rank(kEnd, {{service, ""}}).has_value();
  };
  for (int i = 0; i < 3; ++i) observe("s" + std::to_string(i), i);
  // Four keys by turns: were the oldest to go, none would ever have a past.
  for (int minute = 3; minute < 30; ++minute) {
    for (const char* service : {"s0", "s1", "s2", "new"}) observe(service, minute);
  }
  EXPECT_EQ(finder.counters().evicted, 0U);
  EXPECT_EQ(finder.counters().refused, 27U);
  EXPECT_FALSE(known("new"));
  const int later = 29 + static_cast<int>(CauseFinder::kIdleNs / kNsPerMinute);
  observe("s0", later - 1);
  observe("new", later - 1);
  EXPECT_FALSE(known("new")) << "s1 is silent for a minute less than it takes";
  observe("new", later);
  EXPECT_TRUE(known("new") && known("s0") && known("s2"));
  EXPECT_FALSE(known("s1"));
  EXPECT_EQ(finder.counters().evicted, 1U);
  for (int i = 0; i < 1000; ++i) observe("churn" + std::to_string(i), later + i * 20);
  EXPECT_EQ(finder.series_count(), 3U);
  EXPECT_EQ(finder.key_count(), 3U);
}

TEST(CauseFinder, APeriodHasItsShareOfRankingsAndTheNextOneHasItAgain) {
  Observed seen;
  CauseFinder finder({}, seen.topology);
  for (std::size_t ranked = 0; ranked < CauseFinder::kServicesRankedMax; ranked += 3) {
    ASSERT_TRUE(finder.may_rank(kEnd));
    EXPECT_EQ(finder.rank(kEnd, kWeb)->services.size(), 3U);
  }
  EXPECT_FALSE(finder.may_rank(kEnd));
  EXPECT_EQ(finder.counters().deferred, 1U);
  EXPECT_TRUE(finder.may_rank(kEnd + CauseFinder::kRankPeriodNs));
}

TEST(CauseFinder, ServicesBeyondTheModelsBoundAreCounted) {
  Observed seen;
  models::RootCauseConfig config;
  config.services_max = 3;  // those of the topology
  CauseFinder finder(config, seen.topology);
  seen.metric(finder, "stranger", "latency_ms", 0.0);
  EXPECT_EQ(finder.counters().refused, 1U) << "once, not for every sample";
  seen.topology.upsert({"api", "core", {"db", "far"}});
  static_cast<void>(finder.rank(kEnd, kWeb));
  EXPECT_EQ(finder.counters().edges_refused, 1U);
}

TEST(CauseFinder, ItsBoundsAreBoundedThemselves) {
  EXPECT_TRUE(validated(CorrelateConfig{}).has_value());
  CorrelateConfig config;
  config.root_cause.series_max = 1'048'577;
  EXPECT_EQ(validated(config).error().message,
            "correlate.root_cause_series_max = 1048577: must be from 1 to 1048576");
  config.root_cause.series_max = 1;
  EXPECT_TRUE(validated(config).has_value());
  for (const std::uint32_t refused : {0U, 65'537U}) {
    config.root_cause.history_max = refused;
    EXPECT_FALSE(validated(config).has_value()) << refused;
  }
}

TEST(CauseFinder, ReadsFromAFindingWhatItAlarmsAbout) {
  core::Finding finding;
  finding.type = core::TriggerType::kAnomalyForecast;
  finding.what = "latency_ms";
  EXPECT_EQ(alarm_of(finding), "latency_ms");
  finding.what = "temperature";
  EXPECT_EQ(alarm_of(finding), "");
  finding.type = core::TriggerType::kPatternDetected;
  EXPECT_EQ(alarm_of(finding), "");
  finding.diagnosis_code = "recurring_error";
  EXPECT_EQ(alarm_of(finding), "errors");
  finding.type = core::TriggerType::kHealthDegradation;
  EXPECT_EQ(alarm_of(finding), "");
}

// ---------------------------------------------------------------------------------------------
// The incident's root cause

class RootCauseOfIncident : public ::testing::Test {
 protected:
  // Both services alarm; gives the last change of their one incident.
  IncidentChange incident_of(std::string first, std::string second) {
    std::vector<IncidentChange> changes;
    core::Trigger one =
        Observed::trigger(core::TriggerType::kHealthDegradation, std::move(first), 0.85);
    core::Trigger two =
        Observed::trigger(core::TriggerType::kHealthDegradation, std::move(second), 0.85);
    correlator.on_tick(kEnd, changes);
    correlator.add(one, changes);
    correlator.add(two, changes);
    EXPECT_EQ(one.incident_id, two.incident_id);
    return changes.back();
  }
  Observed seen;
  Correlator correlator{CorrelateConfig{}, seen.topology, seen.learned};
};

TEST_F(RootCauseOfIncident, IsTheMostProbableMember) {
  // api adds the time itself; db, on which it depends, is as ever but has an alarm of its own.
  seen.metric(correlator, "web", "latency_ms", 300.0);
  seen.metric(correlator, "api", "latency_ms", 300.0);
  seen.metric(correlator, "db", "latency_ms", 0.0);
  const IncidentChange change = incident_of("db", "api");
  EXPECT_EQ(change.incident.root_cause, "api") << "by dependents alone it would be db";
  EXPECT_EQ(change.incident.service, "api");
  EXPECT_TRUE(change.causes.decides);
  ASSERT_FALSE(change.causes.suspects.empty());
  EXPECT_EQ(change.causes.suspects.front().service, "api");
  EXPECT_EQ(change.causes.suspects.front().metric, "latency_ms");
  double sum = change.causes.none + change.causes.others;
  for (const Suspect& suspect : change.causes.suspects) sum += suspect.probability;
  EXPECT_NEAR(sum, 1.0, 1e-9);
}

TEST_F(RootCauseOfIncident, WhatIsNotShownCountsAsOthers) {
  std::vector<std::string> callees{"db"};
  for (int i = 0; i < 9; ++i) callees.push_back("store" + std::to_string(i));
  seen.topology.upsert({"api", "core", callees});
  seen.metric(correlator, "db", "latency_ms", 300.0);
  const IncidentChange change = incident_of("web", "api");
  ASSERT_EQ(change.causes.suspects.size(), kSuspectsMax);
  EXPECT_EQ(change.causes.suspects.front().service, "db");
  EXPECT_GT(change.causes.others, 0.0);
  double sum = change.causes.none + change.causes.others;
  for (const Suspect& suspect : change.causes.suspects) sum += suspect.probability;
  EXPECT_NEAR(sum, 1.0, 1e-12);
}

TEST_F(RootCauseOfIncident, FallsBackToDependentsWhenNothingIsOdd) {
  for (const char* name : {"web", "api", "db"}) seen.metric(correlator, name, "latency_ms", 0.0);
  const IncidentChange change = incident_of("api", "db");
  EXPECT_EQ(change.incident.root_cause, "db");
  EXPECT_FALSE(change.causes.decides);
  EXPECT_GT(change.causes.none, 0.5);
}

TEST_F(RootCauseOfIncident, NamesNobodyWhoHasNoAlarm) {
  seen.metric(correlator, "db", "latency_ms", 300.0);
  const IncidentChange change = incident_of("web", "api");
  EXPECT_EQ(change.incident.root_cause, "api") << "of those in the incident, by dependents";
  EXPECT_FALSE(change.causes.decides);
  EXPECT_EQ(change.causes.suspects.front().service, "db") << "and yet it is shown";
}

// Half an hour later the database's trouble is what is usual, and its caller's has just begun.
TEST_F(RootCauseOfIncident, IsSoughtWhereTheIncidentBegan) {
  for (const char* name : {"web", "api"}) seen.metric(correlator, name, "latency_ms", 0.0);
  seen.metric(correlator, "db", "latency_ms", 300.0);
  std::vector<IncidentChange> changes;
  core::Trigger first = Observed::trigger(core::TriggerType::kHealthDegradation, "db", 0.85);
  core::Trigger second = Observed::trigger(core::TriggerType::kHealthDegradation, "api", 0.85);
  first.finding.evidence.push_back({1, kEnd - kTrouble * kNsPerMinute + 30 * kNsPerSecond, ""});
  correlator.on_tick(kEnd, changes);
  correlator.add(first, changes);
  correlator.add(second, changes);
  const IncidentChange opened = changes.back();
  ASSERT_EQ(opened.incident.root_cause, "db");
  ASSERT_TRUE(opened.causes.decides);
  for (int minute = 1; minute <= 30; ++minute) {
    for (const char* name : {"web", "api", "db"}) {
      core::Observation bin;
      bin.ts_ns = kEnd + minute * kNsPerMinute;
      bin.order_key = Observed::key(std::string(name) + "/latency_ms");
      bin.service = name;
      bin.name = "latency_ms";
      bin.role = core::MetricRole::kLatency;
      bin.value = std::string_view(name) == "db" || minute > 26 ? 325.0 : 25.0;
      bin.count = 6;
      correlator.on_observation(bin);
    }
  }
  core::Trigger surer = Observed::trigger(core::TriggerType::kHealthDegradation, "api", 0.95);
  surer.created_ts_ns = kEnd + 30 * kNsPerMinute;
  const IncidentChange later = correlator.merge_duplicate(surer, true).value();
  EXPECT_EQ(later.incident.root_cause, "db");
  EXPECT_TRUE(later.causes.decides);
  EXPECT_EQ(later.causes.suspects.front().service, "db");
  EXPECT_EQ(later.causes.suspects.front().onset_ts_ns, opened.causes.suspects.front().onset_ts_ns);
}

TEST_F(RootCauseOfIncident, ARankingIsKeptForTenSeconds) {
  for (const char* name : {"web", "api", "db"}) seen.metric(correlator, name, "latency_ms", 0.0);
  std::vector<IncidentChange> changes;
  incident_of("api", "db");
  // Six hundred bins of trouble at once: what comes within the period does not see them yet.
  seen.metric(correlator, "api", "latency_ms", 900.0);
  core::Trigger surer = Observed::trigger(core::TriggerType::kHealthDegradation, "api", 0.95);
  surer.created_ts_ns = kEnd + 5 * kNsPerSecond;
  EXPECT_FALSE(correlator.merge_duplicate(surer, true)->causes.decides);
  surer.confidence = 0.97;
  surer.created_ts_ns = kEnd + 15 * kNsPerSecond;
  EXPECT_TRUE(correlator.merge_duplicate(surer, true)->causes.decides);
}

}  // namespace
}  // namespace grace::correlate
