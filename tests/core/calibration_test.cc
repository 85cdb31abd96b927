#include "grace/core/learned_state.h"

#include <gtest/gtest.h>

#include <cmath>

#include "grace/core/hash.h"

namespace grace::core {
namespace {

Trigger trigger(double confidence, Source source = Source::kProactiveMl) {
  Trigger result;
  result.source = source;
  result.finding.diagnosis_code = "latency_spike";
  result.finding.confidence = confidence;
  result.confidence = confidence;
  return result;
}

// A deterministic coin that is true with probability `p`.
bool coin(std::uint64_t number, double p) {
  return static_cast<double>(mix(number + 12345) >> 11) * 0x1.0p-53 < p;
}

TEST(Calibration, IsTheIdentityBeforeAnyOutcome) {
  const LearnedState learned;
  for (int i = 0; i <= 1000; ++i) {
    const double raw = i / 1000.0;
    EXPECT_EQ(learned.calibrated(Source::kProactiveMl, raw), raw);
  }
}

TEST(Calibration, StaysMonotoneAndInBoundsOnAnyOutcomes) {
  LearnedState learned;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    // Outcomes that contradict the order of confidences: the hard case for monotonicity.
    const double raw = static_cast<double>(mix(i) % 1001) / 1000.0;
    learned.learn(trigger(raw), coin(i, 1.0 - raw) ? OutcomeKind::kForecastCameTrue
                                                   : OutcomeKind::kForecastDidNot);
    if (i % 100 != 0) continue;
    double before = 0.0;
    for (int step = 0; step <= 1000; ++step) {
      const double now = learned.calibrated(Source::kProactiveMl, step / 1000.0);
      ASSERT_GE(now, before - 1e-12) << "raw " << step / 1000.0 << " after " << i;
      ASSERT_LE(now, 1.0);
      before = now;
    }
  }
}

TEST(Calibration, HalvesTheErrorOfAnOverconfidentSource) {
  // Says 0.60 to 1.00, is right in 60% of that.
  const auto truth = [](double raw) { return 0.6 * raw; };
  LearnedState learned;
  double raw_error = 0.0;
  double calibrated_error = 0.0;
  std::uint64_t judged = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    Trigger said = trigger(0.6 + 0.4 * static_cast<double>(mix(i) % 1000) / 1000.0);
    said.confidence = learned.calibrated(said.source, said.finding.confidence);
    if (i >= 2000) {  // judged on what was not yet learned from
      const double right = truth(said.finding.confidence);
      raw_error += std::fabs(said.finding.confidence - right);
      calibrated_error += std::fabs(said.confidence - right);
      ++judged;
    }
    learned.learn(said, coin(i, truth(said.finding.confidence)) ? OutcomeKind::kForecastCameTrue
                                                                : OutcomeKind::kForecastDidNot);
  }
  raw_error /= static_cast<double>(judged);
  calibrated_error /= static_cast<double>(judged);
  EXPECT_GT(raw_error, 0.30);
  EXPECT_LT(calibrated_error, 0.05);
  const CalibrationError measured = learned.calibration_error(Source::kProactiveMl);
  EXPECT_EQ(measured.outcomes, 4000.0);
  EXPECT_LT(measured.expected, 0.10);  // the first, uncalibrated ones included
  EXPECT_EQ(learned.calibration_error(Source::kAgenticSpine).outcomes, 0.0);
}

TEST(Calibration, ASourceThatIsAlwaysSureAndWrongDoesNotStaySure) {
  LearnedState learned;
  for (int i = 0; i < 200; ++i) learned.learn(trigger(1.0), OutcomeKind::kForecastDidNot);
  EXPECT_LT(learned.calibrated(Source::kProactiveMl, 1.0), 0.6);
}

}  // namespace
}  // namespace grace::core
