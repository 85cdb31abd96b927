// Departures from what is usual at this time, and series that say nothing any more.
#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

namespace grace::proactive::test {
namespace {

using core::TriggerType;

void jump_for_the_worse(bool with_ensemble) {
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
    ProactiveConfig config;
    if (!with_ensemble) config.ensemble_models_max = 0;
    Engine engine(config);
    Dice noise(21);
    MetricEvent series("api", c.metric);
    run(
        engine, series, 0, 205, [&](double m) { return m < 200 ? 100.0 : 100.0 * c.factor; }, 3.0,
        noise);
    const auto found = engine.of(TriggerType::kAnomalyForecast);
    ASSERT_EQ(found.size(), c.diagnosis == nullptr ? 0U : 1U);
    if (found.empty()) continue;
    EXPECT_EQ(found[0].diagnosis_code, c.diagnosis);
    const int bins = with_ensemble ? 1 : 3;
    EXPECT_LE(found[0].ts_ns, kStart + (200 + bins) * kMinute + 30 * kSecond);
    EXPECT_GT(found[0].confidence, 0.95);
    EXPECT_EQ(metadata(found[0], "ml_model"),
              with_ensemble ? "\"series_ensemble\"" : "\"season_level\"");
    EXPECT_NEAR(std::stod(metadata(found[0], "expected")), 100.0, 2.0);
  }
}

TEST(Shift, AJumpForTheWorseIsToldWithinThreeBins) {
  jump_for_the_worse(false);
}

TEST(Onset, OneBinIsEnoughWhereTheEnsembleAgrees) {
  jump_for_the_worse(true);
}

// A spike in each hour or so: far out for the time of the day, and nothing new.
TEST(Onset, WhatTheSeriesOftenDoesIsNone) {
  const auto play = [](int spikes_until) {
    Engine engine;
    engine.keep_observations = false;
    Dice noise(27);
    MetricEvent series("api", "latency_ms");
    for (int minute = 0; minute < 2 * 1440 + 600; ++minute) {
      const bool last = minute == 2 * 1440 + 500;
      const bool spike = last || (minute % 67 == 0 && minute < spikes_until);
      engine.metric(series, kStart + minute * kMinute,
                    (spike ? 160.0 : 100.0) + 3.0 * noise.normal());
    }
    std::size_t late = 0;
    for (const auto& f : engine.of(TriggerType::kAnomalyForecast)) {
      late += f.ts_ns >= kStart + 2 * 1440 * kMinute ? 1 : 0;
    }
    return late;
  };
  EXPECT_EQ(play(2 * 1440 + 600), 0U);
  EXPECT_EQ(play(0), 1U) << "the same spike where there never was one";
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
  EXPECT_EQ(found[0].what, "cpu_percent");
  EXPECT_GT(found[0].confidence, 0.9);
  EXPECT_EQ(found[0].evidence.size(), 1U);
  EXPECT_TRUE(run_silence(300, nothing).empty()) << "half a day is needed to know it";
}

// `services` services of two series each, of which the first `stopped` stop after 800 minutes, the
// second series of each a bin later than the first.
std::vector<core::Finding> run_stop(int services, int stopped) {
  Engine engine;
  engine.keep_observations = false;
  Dice noise(28);
  std::vector<MetricEvent> series;
  for (int i = 0; i < services; ++i) {
    for (const char* metric : {"cpu_percent", "memory_percent"}) {
      series.emplace_back("svc-" + std::to_string(i), metric);
    }
  }
  for (int minute = 0; minute < 860; ++minute) {
    const std::int64_t t = kStart + minute * kMinute;
    engine.tick(t);
    for (int i = 0; i < 2 * services; ++i) {
      const double value = 40.0 + noise.normal();
      if (minute < 800 + i % 2 || i / 2 >= stopped) {
        engine.metric(series[static_cast<std::size_t>(i)], t, value);
      }
    }
  }
  return engine.findings;
}

TEST(Silence, SeriesOfAServiceThatStopTogetherAreOneFinding) {
  const auto found = run_stop(3, 1);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].diagnosis_code, "telemetry_stopped");
  EXPECT_EQ(found[0].service, "svc-0");
}

TEST(Silence, AFeedThatStopsIsOneFinding) {
  const auto found = run_stop(12, 10);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].diagnosis_code, "telemetry_stopped");
  EXPECT_EQ(found[0].what, "telemetry feed");
  EXPECT_EQ(metadata(found[0], "service_count"), "10");
  EXPECT_EQ(metadata(found[0], "series"), "10");
  EXPECT_EQ(found[0].evidence.size(), 10U);
  EXPECT_GT(found[0].confidence, 0.9);
  EXPECT_EQ(run_stop(3, 2).size(), 2U) << "two services may stop by themselves";
}

TEST(Silence, NothingMayStayNothing) {
  const auto found = run_silence(800, [](double) { return 0.0; });
  for (const auto& f : found) EXPECT_NE(f.diagnosis_code, "telemetry_frozen");
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
  EXPECT_GE(found[0].confidence, 0.95);
  EXPECT_NEAR(std::stod(metadata(found[0], "departure")), 0.45, 0.03);
  EXPECT_GT(std::stod(metadata(found[0], "change_probability")), 0.9);
  EXPECT_EQ(metadata(found[0], "since"), "\"2025-01-15T04:00:00Z\"");
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
