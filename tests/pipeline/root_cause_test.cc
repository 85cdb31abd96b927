// Where incidents begin, from raw telemetry to the record in the ledger.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "engine_fixture.h"
#include "stream.h"

namespace grace::testing {
namespace {

constexpr int kSteps = 3 * 360;           // of ten seconds
constexpr int kFaultStep = kSteps - 150;  // 25 minutes before the end

// web -> api -> db, api -> cache, web -> search -> cache
const std::map<std::string, std::vector<std::string>>& calls() {
  static const std::map<std::string, std::vector<std::string>> kCalls{{"web", {"api", "search"}},
                                                                      {"api", {"cache", "db"}},
                                                                      {"search", {"cache"}},
                                                                      {"db", {}},
                                                                      {"cache", {}}};
  return kCalls;
}

int callers_of(const std::string& service) {
  return static_cast<int>(std::count_if(calls().begin(), calls().end(), [&](const auto& each) {
    return std::find(each.second.begin(), each.second.end(), service) != each.second.end();
  }));
}

// Hops over which trouble of `root` reaches each service that depends on it, itself at 0.
std::map<std::string, int> reach_of(const std::string& root) {
  std::map<std::string, int> reach{{root, 0}};
  for (int hop = 1; hop <= 3; ++hop) {
    for (const auto& [caller, callees] : calls()) {
      if (reach.contains(caller)) continue;
      for (const std::string& callee : callees) {
        const auto at = reach.find(callee);
        if (at == reach.end() || at->second != hop - 1) continue;
        reach[caller] = hop;
        break;
      }
    }
  }
  return reach;
}

// What the root itself shows; who depends on it grows slow and fails.
enum class Trouble { kSlowAndFails, kSlow, kFails };

// Three hours; near the end `root` is in trouble, and a minute later a hop its callers are.
// Without a root nothing happens, but an upstream subsystem says that something did.
std::string cascade(const std::string& root, std::uint64_t seed,
                    Trouble trouble = Trouble::kSlowAndFails) {
  Stream stream;
  tools::Random random(seed);
  for (const auto& [service, callees] : calls()) {
    std::string json = "[";
    for (const std::string& callee : callees) {
      json += (json.size() > 1 ? "," : "") + core::json_quoted(callee);
    }
    stream.topology(service, "shop", json + "]");
  }
  const std::map<std::string, int> reach =
      root.empty() ? std::map<std::string, int>{} : reach_of(root);
  for (int step = 0; step < kSteps; ++step, stream.pass(10 * kNsPerSecond)) {
    for (const auto& [service, callees] : calls()) {
      const auto hit = reach.find(service);
      const bool troubled = hit != reach.end() && step >= kFaultStep + 6 * hit->second;
      const bool slow = troubled && !(service == root && trouble == Trouble::kFails);
      // One sample a call; each caller calls once a step.
      for (int call = 0; call < std::max(1, callers_of(service)); ++call) {
        stream.metric(service, "shop", "latency_ms",
                      100.0 + 3.0 * random.normal() + (slow ? 400.0 : 0.0));
      }
      const bool fails =
          troubled && step % 2 == 0 && !(service == root && trouble == Trouble::kSlow);
      stream.action("client", "serve", service, "shop", fails ? "timeout" : "success");
    }
    if (root.empty() && step == kFaultStep) {
      stream.mesh("agentic_spine.health_degradation", "api",
                  R"({"diagnosis_code":"told","confidence":0.93,"impact":"high",)"
                  R"("reasoning":["told"],"suggested_playbooks":["investigate_root_cause"]})");
    }
  }
  return stream.text();
}

struct Ranked {
  std::string service;
  double probability = 0.0;
};

std::vector<Ranked> ranking_of(const LedgerEntry& incident) {
  std::vector<Ranked> ranking;
  for (const parse::JsonValue& each :
       incident.payload()["root_cause_evidence"]["ranking"].array()) {
    ranking.push_back({std::string(each["service"].as_string()), each["probability"].as_double()});
  }
  return ranking;
}

double none_of(const LedgerEntry& incident) {
  return incident.payload()["root_cause_evidence"]["none_of_these"].as_double();
}

std::vector<LedgerEntry> incidents_of(const std::string& text, RunOptions options = {}) {
  const TemporaryDirectory directory;
  options.ledger = directory / "ledger";
  const tools::Summary summary = run_stream(text, options);
  EXPECT_EQ(summary.counts.rejected_total(), 0U);
  return of_action(read_ledger(options.ledger), "incident");
}

std::set<std::string> services_of(const LedgerEntry& incident) {
  std::set<std::string> services;
  for (const parse::JsonValue& each : incident.payload()["services"].array()) {
    services.emplace(each.as_string());
  }
  return services;
}

void expect_same(const LedgerEntry& incident, const LedgerEntry& expected) {
  EXPECT_EQ(none_of(incident), none_of(expected));
  const std::vector<Ranked> ranking = ranking_of(incident);
  const std::vector<Ranked> known = ranking_of(expected);
  ASSERT_EQ(ranking.size(), known.size());
  for (std::size_t rank = 0; rank < ranking.size(); ++rank) {
    EXPECT_EQ(ranking[rank].service, known[rank].service);
    EXPECT_EQ(ranking[rank].probability, known[rank].probability);
  }
}

// In every incident of several services.
void expect_named(const std::string& root, Trouble trouble) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    SCOPED_TRACE(root + ", seed " + std::to_string(seed));
    std::size_t cascades = 0;
    for (const LedgerEntry& incident : incidents_of(cascade(root, seed, trouble))) {
      // Before its callers have joined it may be too early to tell.
      if (services_of(incident).size() < 2 || incident.at("result") == "resolved") continue;
      ++cascades;
      const std::vector<Ranked> ranking = ranking_of(incident);
      ASSERT_FALSE(ranking.empty()) << incident.text;
      EXPECT_EQ(ranking.front().service, root) << incident.text;
      EXPECT_GT(ranking.front().probability, none_of(incident)) << incident.text;
      if (services_of(incident).contains(root)) {
        EXPECT_EQ(incident.payload()["root_cause"].as_string(), root) << incident.text;
      }
    }
    EXPECT_GE(cascades, 1U);
  }
}

TEST(RootCauseOfARun, TheDependencyThatFailsFirstIsTheMostProbable) {
  for (const char* root : {"db", "cache", "search", "api"}) {
    expect_named(root, Trouble::kSlowAndFails);
  }
}

// Errors are surer evidence than a latency, but not of who began.
TEST(RootCauseOfARun, ASlowDependencyIsNamedAndNotTheCallersThatTimeOut) {
  for (const char* root : {"db", "cache", "search", "api"}) expect_named(root, Trouble::kSlow);
}

TEST(RootCauseOfARun, AFailingDependencyIsNamedAndNotTheCallersThatAreSlowAsWell) {
  for (const char* root : {"db", "cache", "search", "api"}) expect_named(root, Trouble::kFails);
}

TEST(RootCauseOfARun, TheProbabilitiesSumToOne) {
  for (const char* root : {"db", ""}) {
    const std::vector<LedgerEntry> incidents = incidents_of(cascade(root, 4));
    ASSERT_FALSE(incidents.empty());
    for (const LedgerEntry& incident : incidents) {
      double sum =
          none_of(incident) + incident.payload()["root_cause_evidence"]["others"].as_double();
      for (const Ranked& each : ranking_of(incident)) sum += each.probability;
      EXPECT_NEAR(sum, 1.0, 1e-9) << incident.text;
    }
  }
}

TEST(RootCauseOfARun, WithoutACauseNoneOfTheseIsOnTop) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    const std::vector<LedgerEntry> incidents = incidents_of(cascade("", seed));
    ASSERT_FALSE(incidents.empty());
    for (const LedgerEntry& incident : incidents) {
      const std::vector<Ranked> ranking = ranking_of(incident);
      ASSERT_EQ(ranking.size(), 3U) << "api and what it depends on: " << incident.text;
      EXPECT_GT(none_of(incident), ranking.front().probability) << incident.text;
      EXPECT_EQ(incident.payload()["root_cause_evidence"]["decided_by"].as_string(),
                "dependents and onset");
      EXPECT_EQ(incident.payload()["root_cause"].as_string(), "api") << "it alone was told of";
    }
  }
}

struct Cut {
  std::size_t workers = 1;
  std::size_t chunk_bytes = 4096;
};

TEST(RootCauseOfARun, IsTheSameForAnyWorkersAndChunks) {
  const std::string text = cascade("cache", 6);
  std::string reference;
  std::vector<LedgerEntry> expected;
  for (const Cut cut :
       {Cut{1, 4096}, Cut{1, 70'001}, Cut{2, 257 * 1024}, Cut{2, 4'099}, Cut{4, 70'001}}) {
    SCOPED_TRACE(std::to_string(cut.workers) + " workers, chunks of " +
                 std::to_string(cut.chunk_bytes));
    const TemporaryDirectory directory;
    RunOptions options;
    options.workers = cut.workers;
    options.chunk_bytes = cut.chunk_bytes;
    options.ledger = directory / "ledger";
    options.look = [&](const pipeline::OrderedView& view) {
      EXPECT_EQ(view.triggers.correlator().cause_finder().series_count(), 10U)
          << "a latency and errors of each service";
    };
    const tools::Summary summary = run_stream(text, options);
    const std::vector<LedgerEntry> incidents = of_action(read_ledger(options.ledger), "incident");
    ASSERT_FALSE(incidents.empty());
    if (reference.empty()) {
      reference = summary.decision_digest;
      expected = incidents;
    }
    EXPECT_EQ(summary.decision_digest, reference);
    ASSERT_EQ(incidents.size(), expected.size());
    for (std::size_t i = 0; i < incidents.size(); ++i) expect_same(incidents[i], expected[i]);
  }
}

// Far more series than there is room for: those that came first keep theirs, and what is kept
// stays within the bound.
TEST(RootCauseOfARun, KeepsNoMoreThanItsBound) {
  Stream stream;
  for (int minute = 0; minute < 40; ++minute, stream.pass(kNsPerMinute)) {
    for (int i = 0; i < 200; ++i) {
      stream.metric("s" + std::to_string(i), "shop", "latency_ms", 100.0 + i % 7);
    }
  }
  RunOptions options;
  options.adjust = [](tools::AppConfig& config) {
    config.engine.triggers.correlate.root_cause.series_max = 50;
  };
  options.look = [](const pipeline::OrderedView& view) {
    const correlate::CauseFinder& finder = view.triggers.correlator().cause_finder();
    EXPECT_EQ(finder.series_count(), 50U);
    EXPECT_EQ(finder.counters().evicted, 0U);
    EXPECT_GT(finder.counters().refused, 100U * 30U);
  };
  run_stream(stream.text(), options);
}

}  // namespace
}  // namespace grace::testing
