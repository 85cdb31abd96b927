// What outcomes taught survives a restart: it is learned again from the ledger.
#include <filesystem>

#include "engine_fixture.h"
#include "grace/core/time.h"
#include "line_builder.h"

namespace grace::testing {
namespace {

constexpr std::int64_t kBeginNs = 1'736'899'200'000'000'000;

// Steady latency, and an upstream forecast of a spike that never comes.
std::string stream_with_a_wrong_forecast() {
  std::string text;
  tools::LineBuilder line;
  for (int i = 0; i < 60 * 4; ++i) {
    const std::int64_t ts = kBeginNs + i * 15 * core::kNsPerSecond;
    line.begin(ts).field("service", "api").field("metric", "latency_ms");
    text += line.field("value", 120.0 + i % 3).end();
    if (i != 40 * 4) continue;
    const std::string predicted = core::format_rfc3339(ts + 2 * core::kNsPerMinute);
    line.begin(ts)
        .field("event_type", "proactive.anomaly_forecast")
        .field("service", "api")
        .raw("payload", R"({"diagnosis_code":"latency_spike","what":"latency_ms",)"
                        R"("confidence":0.9,"metadata":{"range_high":200,"predicted_time":")" +
                            predicted + R"("}})");
    text += line.end();
  }
  return text;
}

TEST(LearnedState, IsRebuiltFromTheLedger) {
  const std::filesystem::path ledger =
      std::filesystem::path(::testing::TempDir()) / "grace_learning_recovery";
  std::filesystem::remove_all(ledger);
  RunOptions options;
  options.ledger = ledger.string();
  double weight = 1.0;
  double calibrated = 0.0;
  std::uint64_t false_positives = 0;
  const auto look = [&](const pipeline::OrderedView& view) {
    weight = view.learned.weight(core::Source::kProactiveMl);
    calibrated = view.learned.calibrated(core::Source::kProactiveMl, 0.9);
    false_positives = view.learned.reliability(core::Source::kProactiveMl).false_positives;
  };
  options.look = look;
  run_stream(stream_with_a_wrong_forecast(), options);
  EXPECT_LT(weight, 1.0);
  EXPECT_EQ(false_positives, 1U);
  const double weight_before = weight;
  const double calibrated_before = calibrated;
  run_stream("", options);  // the same ledger, no event
  EXPECT_EQ(weight, weight_before);
  EXPECT_EQ(calibrated, calibrated_before);
  EXPECT_EQ(false_positives, 1U);
  std::filesystem::remove_all(ledger);
}

}  // namespace
}  // namespace grace::testing
