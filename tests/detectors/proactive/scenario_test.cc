// The founding document's scenarios 1 and 3 as raw telemetry: what must be found, when, and what
// must not be.
#include <gtest/gtest.h>

#include "harness.h"

namespace grace::proactive::test {
namespace {

using core::TriggerType;

// Latency of api_service: 120 ms, from 13:50 on 45% more every ten minutes, until `healed`.
void run_latency(Engine& engine, std::uint64_t seed, double noise_sd, const char* until,
                 const char* healed) {
  Dice noise(seed);
  MetricEvent latency("api_service", "latency_ms");
  MetricEvent requests("api_service", "requests_rps");
  const std::int64_t climb = at("2025-01-15T13:50:00Z");
  for (std::int64_t t = at("2025-01-15T10:00:00Z"); t < at(until); t += 15 * kSecond) {
    double mean = 120.0;
    if (t >= climb && t < at(healed)) {
      mean *= 1.0 + 0.45 * static_cast<double>(t - climb) / static_cast<double>(10 * kMinute);
    }
    engine.metric(latency, t, mean + noise_sd * noise.normal());
    engine.metric(requests, t, 500.0 + 10.0 * noise.normal());
  }
}

TEST(Scenario1, ForecastsTheLatencySpikeBeforeItHappens) {
  for (const double noise_sd : {0.5, 1.0, 2.0, 3.0}) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      SCOPED_TRACE(::testing::Message() << "noise " << noise_sd << " seed " << seed);
      Engine engine;
      run_latency(engine, seed, noise_sd, "2025-01-15T14:01:01Z", "2025-01-15T15:00:00Z");
      const auto found = engine.of(TriggerType::kAnomalyForecast);
      ASSERT_EQ(found.size(), 1U);
      const core::Finding& f = found[0];
      EXPECT_EQ(f.diagnosis_code, "latency_spike");
      EXPECT_EQ(f.service, "api_service");
      EXPECT_EQ(f.domain, "core");
      EXPECT_GE(f.ts_ns, at("2025-01-15T13:55:00Z"));  // the climb began at 13:50
      EXPECT_LE(f.ts_ns, at("2025-01-15T14:01:00Z"));
      EXPECT_GE(f.confidence, 0.80);
      EXPECT_LE(f.confidence, 0.95);
      EXPECT_EQ(f.impact, core::Impact::kHigh);
      EXPECT_EQ(f.suggested_playbooks,
                (std::vector<std::string>{"scale_up_instances", "warm_cache"}));
      EXPECT_EQ(metadata(f, "ml_model"), "\"anomaly_forecaster\"");
      EXPECT_EQ(metadata(f, "forecast_window"), "\"15 minutes\"");
      EXPECT_EQ(f.predicted_ts_ns, f.ts_ns / kMinute * kMinute + 15 * kMinute);
      EXPECT_EQ(metadata(f, "predicted_time"),
                "\"" + core::format_rfc3339(f.predicted_ts_ns) + "\"");
      EXPECT_TRUE(f.reasoning[0].starts_with("Latency trend increasing ")) << f.reasoning[0];
      EXPECT_TRUE(f.reasoning[0].ends_with("% over 10min")) << f.reasoning[0];
      EXPECT_NE(f.reasoning[1].find(" exceeds learned range "), std::string::npos);
      EXPECT_FALSE(f.evidence.empty());
      EXPECT_TRUE(engine.of(TriggerType::kRiskAssessment).empty());
      EXPECT_TRUE(engine.of(TriggerType::kCapacityPrediction).empty());
    }
  }
}

TEST(Scenario1, SaysNothingMoreAfterTheHealing) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Engine engine;
    run_latency(engine, seed, 4.0, "2025-01-15T16:00:00Z", "2025-01-15T14:02:30Z");
    EXPECT_EQ(engine.findings.size(), 1U);
    for (const auto& f : engine.findings) EXPECT_LE(f.ts_ns, at("2025-01-15T14:01:00Z"));
  }
}

// Demand of api_cluster: steady, then rising; capacity constant until it is scaled.
void run_demand(Engine& engine, std::uint64_t seed, double from_rps, double per_minute,
                const char* rise, const char* until, const char* scaled) {
  Dice noise(seed);
  MetricEvent demand("api_cluster", "requests_rps");
  MetricEvent capacity("api_cluster", "capacity_rps");
  const std::int64_t begin = at(rise);
  for (std::int64_t t = at("2025-01-15T09:00:00Z"); t < at(until); t += 15 * kSecond) {
    double mean = from_rps;
    if (t >= begin) {
      mean += per_minute * static_cast<double>(t - begin) / static_cast<double>(kMinute);
    }
    engine.metric(capacity, t, t < at(scaled) ? 1000.0 : 1600.0);
    engine.metric(demand, t, mean + 5.0 * noise.normal());
  }
}

TEST(Scenario3, PredictsTheShortfallWhileCapacityStillSuffices) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    Engine engine;
    run_demand(engine, seed, 400.0, 25.0, "2025-01-15T10:40:00Z", "2025-01-15T11:02:00Z",
               "2025-01-15T12:00:00Z");
    const auto found = engine.of(TriggerType::kCapacityPrediction);
    ASSERT_EQ(found.size(), 1U);
    const core::Finding& f = found[0];
    EXPECT_EQ(f.diagnosis_code, "capacity_shortage_predicted");
    EXPECT_EQ(f.service, "api_cluster");
    EXPECT_GE(f.confidence, 0.80);
    EXPECT_LE(f.confidence, 0.95);
    EXPECT_EQ(f.suggested_playbooks, std::vector<std::string>{"scale_up_instances"});
    ASSERT_EQ(f.reasoning.size(), 4U);
    const double predicted = std::stod(metadata(f, "predicted_demand"));
    const double shortfall = std::stod(metadata(f, "shortfall"));
    EXPECT_LT(std::stod(metadata(f, "current_demand")), 1000.0);  // there is still time
    EXPECT_GT(shortfall, 0.10);
    EXPECT_NEAR(shortfall, (predicted - 1000.0) / predicted, 1e-5);
    EXPECT_TRUE(f.reasoning[0].starts_with("Predicted shortfall: ")) << f.reasoning[0];
    EXPECT_TRUE(f.reasoning[0].ends_with("%")) << f.reasoning[0];
    EXPECT_EQ(f.reasoning[1], "Current: 1000 req/s capacity");
    EXPECT_TRUE(f.reasoning[2].starts_with("Predicted demand: ")) << f.reasoning[2];
    EXPECT_TRUE(f.reasoning[2].ends_with(" req/s")) << f.reasoning[2];
    EXPECT_EQ(f.reasoning[3], "Time: " + core::format_rfc3339(f.predicted_ts_ns));
    EXPECT_EQ(f.predicted_ts_ns, f.ts_ns + 15 * kMinute);
    // The forecast is close to what the ramp reaches by then.
    const double truth =
        400.0 + 25.0 * static_cast<double>(f.predicted_ts_ns - at("2025-01-15T10:40:00Z")) /
                    static_cast<double>(kMinute);
    EXPECT_NEAR(predicted, truth, 0.15 * truth);
  }
}

TEST(Scenario3, IsSilentWhenCapacityIsScaledInTimeAndUsesTheLearnedThreshold) {
  Engine scaled;
  run_demand(scaled, 1, 400.0, 25.0, "2025-01-15T10:40:00Z", "2025-01-15T11:05:00Z",
             "2025-01-15T10:45:00Z");
  EXPECT_TRUE(scaled.of(TriggerType::kCapacityPrediction).empty());

  Engine careful;
  core::Adjustable threshold;
  threshold.name = "capacity.shortfall_min";
  threshold.value = threshold.initial = 0.5;
  threshold.min = 0.05;
  threshold.max = 0.6;
  threshold.step_max = 0.05;
  ASSERT_TRUE(careful.learned.declare(threshold));
  run_demand(careful, 1, 400.0, 25.0, "2025-01-15T10:40:00Z", "2025-01-15T11:02:00Z",
             "2025-01-15T12:00:00Z");
  EXPECT_TRUE(careful.of(TriggerType::kCapacityPrediction).empty());
}

}  // namespace
}  // namespace grace::proactive::test
