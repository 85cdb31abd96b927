// Departures from what is usual at this time, and series that say nothing any more.
#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

namespace grace::proactive::test {
namespace {

using core::TriggerType;

TEST(Shift, AJumpForTheWorseIsToldWithinThreeBins) {
  struct Case {
    const char* metric;
    double factor;
    const char* diagnosis;  // null: not told
  };
  const std::vector<Case> cases{{"latency_ms", 1.5, "latency_spike"},
                                {"error_rate", 1.5, "error_spike"},
                                {"requests_rps", 0.5, "demand_drop"},
                                {"availability", 0.5, "health_drop"},
                                {"latency_ms", 0.5, nullptr},
                                {"requests_rps", 1.5, nullptr},  // it may be the morning
                                {"capacity_rps", 0.5, nullptr}};
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.metric) + " times " + std::to_string(c.factor));
    Engine engine;
    Dice noise(21);
    MetricEvent series("api", c.metric);
    run(
        engine, series, 0, 205, [&](double m) { return m < 200 ? 100.0 : 100.0 * c.factor; }, 3.0,
        noise);
    const auto found = engine.of(TriggerType::kAnomalyForecast);
    ASSERT_EQ(found.size(), c.diagnosis == nullptr ? 0U : 1U);
    if (found.empty()) continue;
    EXPECT_EQ(found[0].diagnosis_code, c.diagnosis);
    EXPECT_LE(found[0].ts_ns, kStart + 203 * kMinute + 30 * kSecond);
    EXPECT_GT(found[0].confidence, 0.95);
    EXPECT_EQ(metadata(found[0], "ml_model"), "\"season_level\"");
    EXPECT_NEAR(std::stod(metadata(found[0], "expected")), 100.0, 2.0);
  }
}

TEST(Shift, ADailyWaveIsNeitherDriftNorAnomalyAndABrokenOneIs) {
  const auto play = [](int broken_from) {
    Engine engine;
    engine.keep_observations = false;
    Dice noise(22);
    MetricEvent latency("api", "latency_ms"), requests("api", "requests_rps");
    for (int minute = 0; minute < 3 * 1440; ++minute) {
      const double turn = 6.283185307179586 * minute / 1440;
      const double wave = minute < broken_from ? 1.0 - 0.5 * std::cos(turn) : 1.0;
      const std::int64_t t = kStart + minute * kMinute;
      engine.metric(latency, t, 50.0 * wave * (1 + 0.03 * noise.normal()));
      engine.metric(requests, t, 900.0 * wave * (1 + 0.03 * noise.normal()));
    }
    return engine.findings;
  };
  const auto whole = play(3 * 1440);
  EXPECT_TRUE(whole.empty()) << line_of(whole[0]);
  const auto broken = play(2 * 1440);  // at the lowest point, 50% below the mean
  ASSERT_FALSE(broken.empty());
  for (const auto& f : broken) EXPECT_GE(f.ts_ns, kStart + 2 * 1440 * kMinute);
  EXPECT_LE(broken[0].ts_ns, kStart + (2 * 1440 + 4) * kMinute);
}

TEST(Shift, APercentageThatFillsUpIsToldWhileThereIsRoom) {
  Engine engine;
  engine.keep_observations = false;
  Dice noise(26);
  MetricEvent series("api", "memory_usage_percent");
  constexpr int kLeak = 2 * 1440;
  for (int minute = 0; minute < kLeak + 720; ++minute) {
    const double level = 65.0 + 0.045 * std::max(0, minute - kLeak);
    engine.metric(series, kStart + minute * kMinute, level + noise.normal());
  }
  const auto found = engine.of(TriggerType::kAnomalyForecast);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].diagnosis_code, "saturation_forecast");
  EXPECT_GT(found[0].ts_ns, kStart + kLeak * kMinute);
  EXPECT_LT(found[0].ts_ns, kStart + (kLeak + 300) * kMinute);  // 78%
}

TEST(Swing, ASeriesThatSwingsAsItNeverDidIsToldOnce) {
  const auto play = [](double size) {
    Engine engine;
    engine.keep_observations = false;
    Dice noise(25);
    MetricEvent series("api", "requests_rps");
    for (int minute = 0; minute < 460; ++minute) {
      const double swing = minute < 400 ? 0.0 : minute % 2 == 0 ? size : -size;
      engine.metric(series, kStart + minute * kMinute,
                    900.0 * (1.0 + swing) * (1.0 + 0.03 * noise.normal()));
    }
    return engine.findings;
  };
  const auto found = play(0.25);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].type, TriggerType::kAnomalyForecast);
  EXPECT_EQ(found[0].diagnosis_code, "metric_unstable");
  EXPECT_GE(found[0].confidence, 0.9);
  EXPECT_LE(found[0].ts_ns, kStart + 410 * kMinute);
  EXPECT_EQ(metadata(found[0], "ml_model"), "\"season_level_swing\"");
  EXPECT_GT(std::stod(metadata(found[0], "swing")), 0.1);
  EXPECT_TRUE(play(0.03).empty()) << "as much as it always does";
}

// Two series, a sample a minute; the first does as `value` says (NaN: no sample) after 13 hours.
template <typename Value>
std::vector<core::Finding> run_silence(int regular_minutes, Value value) {
  Engine engine;
  engine.keep_observations = false;
  Dice noise(23);
  MetricEvent series("api", "cpu_percent"), other("db", "cpu_percent");
  for (int minute = 0; minute < regular_minutes + 60; ++minute) {
    const std::int64_t t = kStart + minute * kMinute;
    engine.tick(t);
    engine.metric(other, t, 40.0 + noise.normal());
    const double usual = 40.0 + noise.normal();
    const double now = minute < regular_minutes ? usual : value(usual);
    if (!std::isnan(now)) engine.metric(series, t, now);
  }
  return engine.findings;
}

TEST(Silence, ARegularSeriesThatStopsIsToldOnceAfterThreeBins) {
  const auto nothing = [](double) { return std::nan(""); };
  const auto found = run_silence(800, nothing);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].diagnosis_code, "telemetry_stopped");
  EXPECT_EQ(found[0].type, TriggerType::kAnomalyForecast);
  EXPECT_EQ(found[0].service, "api");
  EXPECT_EQ(found[0].ts_ns, kStart + (799 + 4) * kMinute);
  EXPECT_GT(found[0].confidence, 0.9);
  EXPECT_EQ(found[0].evidence.size(), 1U);
  EXPECT_TRUE(run_silence(300, nothing).empty()) << "half a day is needed to know it";
}

TEST(Silence, AValueThatStandsStillIsToldOnceUnlessItOftenDoes) {
  const auto found = run_silence(800, [](double) { return 41.5; });
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].diagnosis_code, "telemetry_frozen");
  EXPECT_LE(found[0].ts_ns, kStart + (800 + 7) * kMinute);
  EXPECT_TRUE(run_silence(800, [](double usual) { return usual; }).empty());

  Engine coarse;  // a third of its values repeat the one before
  Dice noise(24);
  MetricEvent series("api", "cpu_percent");
  for (int minute = 0; minute < 892; ++minute) {
    const double value = minute < 880 ? std::floor(40.0 + 3.0 * noise.uniform()) : 41.0;
    coarse.metric(series, kStart + minute * kMinute, value);
  }
  EXPECT_TRUE(coarse.findings.empty());
}

TEST(Drift, IsToldOnceAndTheBaselineRelearns) {
  Engine engine;
  Dice noise(7);
  MetricEvent series("api", "latency_ms");
  run(
      engine, series, 0, 600, [](double m) { return m < 240 ? 100.0 : 145.0; }, 3.0, noise);
  const auto found = engine.of(TriggerType::kDriftDetected);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].diagnosis_code, "performance_drift");
  EXPECT_GE(found[0].ts_ns, kStart + (240 + 14) * kMinute);
  EXPECT_LE(found[0].ts_ns, kStart + (240 + 20) * kMinute);
  EXPECT_GE(found[0].confidence, 0.8);
  EXPECT_NEAR(std::stod(metadata(found[0], "departure")), 0.45, 0.03);
  EXPECT_NEAR(std::stod(metadata(found[0], "baseline")), 100.0, 1.0);
  EXPECT_TRUE(found[0].reasoning[1].ends_with(" ms, now: 145 ms")) << found[0].reasoning[1];
  EXPECT_NEAR(engine.observations.back().baseline, 145.0, 2.0);  // the new normal
}

TEST(Drift, ShortOrSmallDeparturesAndImprovementsAreNone) {
  const auto drifts = [](const char* metric, auto truth) {
    Engine engine;
    Dice noise(8);
    MetricEvent series("api", metric);
    run(engine, series, 0, 400, truth, 3.0, noise);
    return engine.of(TriggerType::kDriftDetected).size();
  };
  EXPECT_EQ(drifts("latency_ms", [](double m) { return m < 200 || m > 210 ? 100. : 150.; }), 0U);
  EXPECT_EQ(drifts("latency_ms", [](double m) { return m < 200 ? 100. : 120.; }), 0U);
  EXPECT_EQ(drifts("latency_ms", [](double m) { return m < 200 ? 100. : 50.; }), 0U);
  EXPECT_EQ(drifts("throughput_rps", [](double m) { return m < 200 ? 100. : 150.; }), 0U);
  EXPECT_EQ(drifts("throughput_rps", [](double m) { return m < 200 ? 100. : 50.; }), 1U);
  EXPECT_EQ(drifts("queue_depth", [](double m) { return m < 200 ? 100. : 50.; }), 0U);
}

}  // namespace
}  // namespace grace::proactive::test
