// Each promise of the subsystem, from raw events.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <new>

#include "harness.h"

namespace {
// Relaxed: counted and read by the one thread of this test.
std::atomic<std::uint64_t> allocations{0};
}  // namespace

// Not inlined: the compiler would pair a new expression with the free() inside.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);  // relaxed: see above
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);  // relaxed: see above
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);  // relaxed: see above
  const auto align = static_cast<std::size_t>(alignment);
  if (void* const memory = std::aligned_alloc(align, (size + align - 1) / align * align)) {
    return memory;
  }
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace grace::proactive::test {
namespace {

using core::TriggerType;
TEST(WarmUp, SaysNothingHoweverWildTheSeries) {
  Engine engine;
  Dice noise(1);
  MetricEvent series("api", "latency_ms");
  run(
      engine, series, 0, 30, [](double m) { return 100.0 + 50.0 * m; }, 1.0, noise);
  EXPECT_TRUE(engine.findings.empty());
  EXPECT_EQ(engine.observations.size(), 29U);  // the last bin is still open
  for (const auto& o : engine.observations) {
    EXPECT_FALSE(o.warm);
    EXPECT_EQ(o.deviation, 0.0);
  }
}

TEST(AnomalyForecast, IsNotRepeatedWhileNothingGrows) {
  Engine engine;
  Dice noise(2);
  MetricEvent series("api", "latency_ms");
  // Climbs to just beyond its range, and stays there for an hour.
  run(
      engine, series, 0, 300, [](double m) { return std::min(ramp(m, 200, 100, 5), 190.0); }, 2.0,
      noise);
  const auto found = engine.of(TriggerType::kAnomalyForecast);
  ASSERT_GE(found.size(), 1U);
  EXPECT_LE(found.size(), 3U);  // forecast; come true: odds times four
  for (std::size_t i = 1; i < found.size(); ++i) {
    const auto odds = [](double p) { return p / (1 - p); };
    EXPECT_GE(odds(found[i].confidence), 3.9 * odds(found[i - 1].confidence));
  }
}

TEST(AnomalyForecast, ComesAgainAfterAQuietWindow) {
  Engine engine;
  Dice noise(3);
  MetricEvent series("api", "latency_ms");
  const auto truth = [](double m) {
    const double phase = m < 200 ? 0 : std::fmod(m - 200, 120);
    return phase < 14 ? 100 + (m < 200 ? 0 : 5 * phase) : 100;
  };
  run(engine, series, 0, 430, truth, 2.0, noise);
  EXPECT_EQ(engine.of(TriggerType::kAnomalyForecast).size(), 2U);
}

TEST(AnomalyForecast, NamesTheRoleAndItsPlaybooks) {
  struct Case {
    const char* metric;
    double from, per_minute;
    const char* diagnosis;
    std::vector<std::string> playbooks;
  };
  const std::vector<Case> cases{
      {"error_rate", 0.02, 0.002, "error_spike", {"restart_service", "rollback_flag"}},
      {"cpu_percent", 40, 3, "saturation_forecast", {"scale_up_instances"}},
      {"availability", 0.99, -0.02, "health_drop", {"investigate_root_cause"}},
      {"queue_depth", 100, 8, "metric_anomaly", {"investigate_root_cause"}},
      {"queue_depth", 100, -5, "metric_anomaly", {"investigate_root_cause"}},
  };
  for (const Case& c : cases) {
    Engine engine;
    Dice noise(4);
    MetricEvent series("svc", c.metric);
    run(
        engine, series, 0, 220, [&](double m) { return ramp(m, 200, c.from, c.per_minute); },
        0.01 * c.from, noise);
    const auto found = engine.of(TriggerType::kAnomalyForecast);
    ASSERT_GE(found.size(), 1U) << c.metric;
    EXPECT_EQ(found[0].diagnosis_code, c.diagnosis);
    EXPECT_EQ(found[0].suggested_playbooks, c.playbooks);
    EXPECT_EQ(found[0].what, c.metric);
  }
}

TEST(AnomalyForecast, OnlyLooksWhereItIsBad) {
  for (const char* const metric : {"latency_ms", "error_rate", "capacity_rps"}) {
    Engine engine;
    Dice noise(5);
    MetricEvent series("svc", metric);
    run(
        engine, series, 0, 215, [&](double m) { return ramp(m, 200, 100, -5); }, 1.0, noise);
    EXPECT_TRUE(engine.of(TriggerType::kAnomalyForecast).empty()) << metric;
  }
}

TEST(AnomalyForecast, ConfiguredRangeReplacesTheLearnedOne) {
  ProactiveConfig config;
  config.ranges = {{"api", "latency_ms", 0, 130}};
  Engine tight(config), learned;
  for (Engine* const engine : {&tight, &learned}) {
    Dice noise(6);
    MetricEvent series("api", "latency_ms");
    run(
        *engine, series, 0, 260, [](double m) { return std::min(ramp(m, 200, 100, 1), 120.0); },
        1.0, noise);
  }
  ASSERT_EQ(tight.of(TriggerType::kAnomalyForecast).size(), 1U);
  EXPECT_EQ(metadata(tight.of(TriggerType::kAnomalyForecast)[0], "bound"), "130");
  EXPECT_NE(tight.of(TriggerType::kAnomalyForecast)[0].reasoning[1].find("configured range"),
            std::string::npos);
  EXPECT_TRUE(learned.of(TriggerType::kAnomalyForecast).empty());
}

TEST(FalseAlarms, AreRareOnADayOfStationaryNoise) {
  constexpr const char* kMetrics[] = {"latency_ms", "error_rate", "cpu_percent", "queue_depth",
                                      "requests_rps"};
  Engine engine;
  engine.keep_observations = false;
  for (std::uint64_t s = 0; s < 200; ++s) {
    Dice noise(1000 + s);
    MetricEvent series("svc" + std::to_string(s), kMetrics[s % 5]);
    const double mean = s % 5 == 1 ? 0.05 : 40.0;
    const double sd = mean * (0.02 + 0.28 * noise.uniform());
    double state = 0.0;
    const double memory = 0.8 * noise.uniform();  // white to strongly autocorrelated
    for (int minute = 0; minute < 24 * 60; ++minute) {
      state = memory * state + std::sqrt(1 - memory * memory) * noise.normal();
      engine.metric(series, kStart + minute * kMinute, mean + sd * state);
    }
  }
  const auto sure = std::count_if(engine.findings.begin(), engine.findings.end(),
                                  [](const core::Finding& f) { return f.confidence > 0.7; });
  EXPECT_LE(sure, 2) << "of 200 series in 24 hours";
}

TEST(Capacity, ADiskThatRunsFullIsAShortage) {
  Engine engine;
  Dice noise(9);
  MetricEvent series("db", "disk_used_percent");
  run(
      engine, series, 0, 160, [](double m) { return std::min(60.0 + 0.25 * m, 100.0); }, 0.1,
      noise);
  const auto found = engine.of(TriggerType::kCapacityPrediction);
  ASSERT_GE(found.size(), 1U);
  EXPECT_EQ(found[0].diagnosis_code, "capacity_shortage_predicted");
  EXPECT_LT(found[0].ts_ns, kStart + 160 * kMinute);  // before it is full
  EXPECT_GT(found[0].ts_ns, kStart + 130 * kMinute);
  EXPECT_EQ(found[0].reasoning[0], "disk_used_percent reaches 100% within 15 minutes");
}

TEST(Capacity, AddsUpTheSeriesOfAServiceAndMatchesUnits) {
  Engine engine;
  Dice noise(10);
  MetricEvent a("api", "requests_rps", R"({"host":"a"})"),
      b("api", "requests_rps", R"({"host":"b"})");
  MetricEvent capacity("api", "capacity_rps"), other("api", "capacity_bytes");
  for (int minute = 0; minute < 230; ++minute) {
    const std::int64_t t = kStart + minute * kMinute;
    engine.metric(other, t, 1.0);  // another unit: no shortage of it
    engine.metric(capacity, t, 1000.0);
    for (MetricEvent* const s : {&a, &b}) {
      engine.metric(*s, t, ramp(minute, 200, 300, 10) + noise.normal());
    }
  }
  const auto found = engine.of(TriggerType::kCapacityPrediction);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NEAR(std::stod(metadata(found[0], "predicted_demand")), 1200, 100);
  EXPECT_EQ(metadata(found[0], "capacity"), "1000");
}

void run_risk(Engine& engine, bool deploy, bool dependency) {
  core::ServiceNode node;
  node.service = "web";
  node.depends_on = {"db"};
  ASSERT_TRUE(engine.topology.upsert(node));
  node.service = "db";
  node.depends_on = {};
  ASSERT_TRUE(engine.topology.upsert(node));
  Dice noise(11);
  MetricEvent errors("web", "error_rate"), latency("web", "latency_ms");
  MetricEvent db("db", "latency_ms");
  for (int minute = 0; minute < 140; ++minute) {
    const std::int64_t t = kStart + minute * kMinute;
    if (deploy && minute == 118) engine.deploy("web", t);
    engine.metric(db, t, (dependency && minute >= 120 ? 30.0 : 20.0) + 0.2 * noise.normal());
    engine.metric(errors, t, (minute >= 120 ? 0.10 : 0.02) + 0.001 * noise.normal());
    engine.metric(latency, t, 100.0 + noise.normal());
  }
}

TEST(Risk, ADeployAndErrorsTogetherAreARiskAndSayWhy) {
  Engine engine;
  run_risk(engine, true, true);
  const auto found = engine.of(TriggerType::kRiskAssessment);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].service, "web");
  EXPECT_EQ(found[0].diagnosis_code, "elevated_risk");
  EXPECT_GT(found[0].confidence, 0.75);
  std::string reasons;
  for (const auto& r : found[0].reasoning) reasons += r + "\n";
  for (const char* const part : {"errors: +", "recent deploy: +", "dependency: +", "(db)"}) {
    EXPECT_NE(reasons.find(part), std::string::npos) << reasons;
  }
  EXPECT_FALSE(found[0].evidence.empty());
}

TEST(Risk, ErrorsAloneAreNone) {
  Engine engine;
  run_risk(engine, false, false);
  EXPECT_TRUE(engine.of(TriggerType::kRiskAssessment).empty());
}

TEST(Risk, FailedActionsCountAndFade) {
  Engine engine;
  for (int i = 0; i < 6; ++i) engine.actions("auth", kStart + i * 10 * kSecond, 3, 0.1, 8);
  EXPECT_TRUE(engine.of(TriggerType::kRiskAssessment).empty());
  engine.deploy("auth", kStart + kMinute);
  engine.actions("auth", kStart + kMinute + 10 * kSecond, 9, 0.1, 12);
  MetricEvent cpu("auth", "cpu_percent");
  Dice noise(12);
  for (int minute = 2; minute < 60; ++minute) {
    engine.metric(cpu, kStart + minute * kMinute, 50.0 + noise.normal());
  }
  EXPECT_TRUE(engine.of(TriggerType::kRiskAssessment).empty());
}

TEST(Observations, CarryBaselineDeviationAndRole) {
  ProactiveConfig config;
  config.observed_metrics = {"queue_depth"};
  Engine engine(config);
  Dice noise(13);
  MetricEvent latency("api", "latency_ms"), queue("api", "queue_depth"), other("api", "threads");
  for (int minute = 0; minute <= 100; ++minute) {
    const std::int64_t t = kStart + minute * kMinute;
    engine.metric(latency, t, minute == 99 ? 200.0 : 100.0 + noise.normal());
    engine.metric(queue, t, 10.0);
    engine.metric(other, t, minute == 99 ? 90.0 : 50.0 + noise.normal());
  }
  std::map<std::string, int> count;
  for (const auto& o : engine.observations) {
    ++count[std::string(o.name)];
    EXPECT_EQ(o.service, "api");
    EXPECT_EQ(o.domain, "core");
    EXPECT_EQ(o.ts_ns % kMinute, 0);
    if (o.ts_ns != kStart + 100 * kMinute || o.name == "queue_depth") continue;
    EXPECT_TRUE(o.warm);
    EXPECT_GT(o.deviation, 20.0);
    EXPECT_EQ(o.value, o.name == "latency_ms" ? 200.0 : 90.0);
    EXPECT_NEAR(o.baseline, o.name == "latency_ms" ? 100.0 : 50.0, 1.0);
  }
  EXPECT_EQ(count["latency_ms"], 100);
  EXPECT_EQ(count["queue_depth"], 100);  // by configuration
  EXPECT_EQ(count["threads"], 1);        // only where it is unusual
}

TEST(LateEvents, CountInTheOpenBinAndAreCountedBeforeIt) {
  Engine engine;
  MetricEvent series("api", "latency_ms");
  engine.metric(series, kStart + 10 * kMinute + 30 * kSecond, 10.0);
  engine.metric(series, kStart + 10 * kMinute, 20.0);  // older, same bin: used
  EXPECT_EQ(engine.late(), 0U);
  engine.metric(series, kStart + 9 * kMinute, 1e9);  // its bin is gone
  EXPECT_EQ(engine.late(), 1U);
  engine.metric(series, kStart + 11 * kMinute, 0.0);
  ASSERT_EQ(engine.observations.size(), 1U);
  EXPECT_EQ(engine.observations[0].value, 15.0);
  EXPECT_EQ(engine.observations[0].count, 2U);
}

TEST(Bounds, TheLeastRecentlySeenSeriesMakesRoomAndIsCounted) {
  ProactiveConfig config;
  config.series_max = core::kPartitionCount * 4;
  config.rich_models_max = core::kPartitionCount;
  Engine engine(config);
  std::vector<MetricEvent> series;
  for (int i = 0; i < 2000; ++i) series.emplace_back("svc" + std::to_string(i), "latency_ms");
  MetricEvent& kept = series[0];
  for (int i = 0; i < 2000; ++i) {
    engine.metric(series[static_cast<std::size_t>(i)], kStart + i * kMinute, 1.0);
    engine.metric(kept, kStart + i * kMinute, 1.0);
  }
  EXPECT_EQ(engine.evicted(),
            2000U - core::kPartitionCount * partition_series_max(config.series_max));
  // The series that was seen all the time is still known: a bin for each minute but the open one.
  const auto own = std::count_if(engine.observations.begin(), engine.observations.end(),
                                 [&](const auto& o) { return o.order_key == kept.key(); });
  EXPECT_EQ(own, 1999);
}

TEST(Bounds, AsManySeriesAsConfiguredAreAllKept) {
  ProactiveConfig config;
  config.series_max = core::kPartitionCount * 100;
  Engine engine(config);
  engine.keep_observations = false;
  std::vector<MetricEvent> series;
  std::array<std::size_t, core::kPartitionCount> spread{};
  for (std::size_t i = 0; i < config.series_max; ++i) {
    series.emplace_back("svc" + std::to_string(i), "latency_ms");
    ++spread[series[i].with(0, 0, 0.0).partition()];
  }
  EXPECT_GT(*std::max_element(spread.begin(), spread.end()), 110U) << "no hash spreads evenly";
  for (int minute = 0; minute < 3; ++minute) {
    for (MetricEvent& one : series) engine.metric(one, kStart + minute * kMinute, 1.0);
  }
  EXPECT_EQ(engine.evicted(), 0U);
  EXPECT_EQ(partition_series_max(1'000'000), 15'625U + 500U);
}

TEST(Determinism, SameEventsSameFindingsWhateverElseFlows) {
  const auto run_one = [](int others) {
    Engine engine;
    Dice noise(14), noise_of_others(15);
    MetricEvent latency("api", "latency_ms");
    std::vector<MetricEvent> more;
    for (int i = 0; i < others; ++i) more.emplace_back("svc" + std::to_string(i), "cpu_percent");
    for (int minute = 0; minute < 400; ++minute) {
      for (int part = 0; part < 2; ++part) {
        const std::int64_t t = kStart + minute * kMinute + part * 30 * kSecond;
        for (auto& m : more) engine.metric(m, t, 50 + noise_of_others.normal());
        engine.metric(latency, t, ramp(minute, 300, 100, 6) + 3 * noise.normal());
      }
    }
    std::vector<std::string> lines;
    for (const auto& f : engine.findings) {
      if (f.service == "api") lines.push_back(line_of(f));
    }
    return lines;
  };
  const auto alone = run_one(0);
  ASSERT_GE(alone.size(), 2U);
  EXPECT_EQ(alone, run_one(0));
  EXPECT_EQ(alone, run_one(300));
}

// A sink that keeps nothing.
class NullSink final : public core::FindingSink {
 public:
  void finding(core::Finding&&) override { ++findings; }
  void observe(const core::Observation&) override { ++observations; }
  std::uint64_t findings = 0, observations = 0;
};

TEST(SteadyState, DoesNotAllocatePerEvent) {
  const auto subsystem = make_proactive();
  const auto partition = subsystem->make_partition(0);
  core::Topology topology;
  core::LearnedState learned;
  const auto ordered = subsystem->make_ordered({topology, learned});
  NullSink sink;
  std::vector<MetricEvent> series;
  for (int i = 0; i < 100; ++i) {
    series.emplace_back("svc" + std::to_string(i), i % 2 ? "latency_ms" : "queue_depth");
  }
  Dice noise(16);
  std::uint64_t sequence = 0;
  std::uint64_t before = 0;
  for (int minute = 0; minute < 200; ++minute) {
    if (minute == 60) before = allocations.load(std::memory_order_relaxed);  // relaxed: see above
    for (auto& s : series) {
      partition->on_event(s.with(++sequence, kStart + minute * kMinute, 100 + noise.normal()),
                          sink);
    }
  }
  EXPECT_EQ(allocations.load(std::memory_order_relaxed), before);  // relaxed: see above
  EXPECT_EQ(sink.findings, 0U);
  EXPECT_GT(sink.observations, 50U * 199U);
}

TEST(Config, NamesTheFieldAtFault) {
  const auto message = [](auto change) {
    ProactiveConfig config;
    change(config);
    const auto result = validated(config);
    return result.has_value() ? std::string() : result.error().message;
  };
  EXPECT_EQ(message([](ProactiveConfig&) {}), "");
  const auto names = [&](const char* field, auto change) {
    EXPECT_NE(message(change).find(field), std::string::npos) << message(change);
  };
  names("proactive.bin", [](ProactiveConfig& c) { c.bin = std::chrono::seconds(0); });
  names("proactive.horizon", [](ProactiveConfig& c) { c.horizon = std::chrono::hours(2); });
  names("proactive.warmup_bins", [](ProactiveConfig& c) { c.warmup_bins = 2; });
  names("proactive.shortfall_min", [](ProactiveConfig& c) { c.shortfall_min = 1; });
  names("proactive.risk_min", [](ProactiveConfig& c) { c.risk_min = 0.2; });
  names("proactive.refire_factor", [](ProactiveConfig& c) { c.refire_factor = 1; });
  names("proactive.series_max", [](ProactiveConfig& c) { c.series_max = 3; });
  names("proactive.ranges", [](ProactiveConfig& c) { c.ranges = {{"s", "m", 2, 1}}; });
  names("proactive.risk_weights", [](ProactiveConfig& c) { c.risk_weights.errors = -1; });
}

}  // namespace
}  // namespace grace::proactive::test
