#include "grace/core/learned_state.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "grace/core/time.h"
#include "stress_value.h"

namespace grace::core {
namespace {

Trigger trigger(double confidence, Source source = Source::kProactiveMl,
                std::string diagnosis = "latency_spike") {
  Trigger out;
  out.source = source;
  out.finding.confidence = confidence;
  out.finding.diagnosis_code = std::move(diagnosis);
  out.confidence = confidence;
  return out;
}

TEST(LearnedState, SaysNothingBeforeItWasTaught) {
  const LearnedState state;
  for (std::size_t i = 0; i < kSourceCount; ++i) {
    const auto source = static_cast<Source>(i);
    EXPECT_EQ(state.weight(source), 1.0);
    EXPECT_EQ(state.reliability(source).mean(), 0.5);
    for (const double raw : {0.0, 0.3, 0.87, 1.0}) EXPECT_EQ(state.calibrated(source, raw), raw);
    EXPECT_EQ(state.calibration_error(source).outcomes, 0.0);
  }
  EXPECT_EQ(state.adjusted("capacity.shortfall_min", 0.1), 0.1);
}

TEST(LearnedState, WeightsFollowOutcomesWithinTheirBounds) {
  LearnedState state;
  for (int i = 0; i < 500; ++i) state.learn(trigger(0.9), OutcomeKind::kFeedbackWrong);
  EXPECT_EQ(state.weight(Source::kProactiveMl), 0.25);
  EXPECT_EQ(state.weight(Source::kImmutableLog), 1.0) << "others are not touched";
  const auto change = state.learn(trigger(0.9), OutcomeKind::kForecastCameTrue);
  EXPECT_EQ(change.before, 0.25);
  EXPECT_EQ(change.after, state.weight(Source::kProactiveMl));
  for (int i = 0; i < 500; ++i) state.learn(trigger(0.9), OutcomeKind::kVerifiedRun);
  EXPECT_GT(state.weight(Source::kProactiveMl), 1.9) << "a source may redeem itself";
  EXPECT_LE(state.weight(Source::kProactiveMl), 2.0);
}

TEST(LearnedState, OneOutcomeMovesAWeightOnlyALittle) {
  LearnedState state;
  const auto change = state.learn(trigger(0.9), OutcomeKind::kFeedbackRight);
  EXPECT_GT(change.after, change.before);
  EXPECT_LT(change.after, 1.15);
  EXPECT_EQ(change.counted, 1.0);
}

TEST(LearnedState, WhatOurActionMayHavePreventedCountsHalf) {
  LearnedState prevented, seen;
  EXPECT_EQ(prevented.learn(trigger(0.9), OutcomeKind::kPrevented).counted, 0.5);
  seen.learn(trigger(0.9), OutcomeKind::kForecastCameTrue);
  EXPECT_LT(prevented.weight(Source::kProactiveMl), seen.weight(Source::kProactiveMl));
  EXPECT_EQ(prevented.reliability(Source::kProactiveMl).right, 0.5);
}

TEST(LearnedState, CountsFalsePositivesOfThoseThatActed) {
  LearnedState state;
  state.learn(trigger(0.9), OutcomeKind::kFeedbackWrong);
  Trigger weak = trigger(0.6);
  weak.weak = true;
  state.learn(weak, OutcomeKind::kForecastDidNot);
  EXPECT_EQ(state.reliability(Source::kProactiveMl).false_positives, 1U);
  EXPECT_EQ(state.reliability(Source::kProactiveMl).wrong, 1.5);
}

TEST(LearnedState, KnowsDiagnosesApartUpToItsBound) {
  LearnedState state;
  state.learn(trigger(0.9, Source::kImmutableLog, "a"), OutcomeKind::kFeedbackRight);
  state.learn(trigger(0.9, Source::kImmutableLog, "b"), OutcomeKind::kFeedbackWrong);
  EXPECT_EQ(state.reliability(Source::kImmutableLog, "a").right, 1.0);
  EXPECT_EQ(state.reliability(Source::kImmutableLog, "b").wrong, 1.0);
  EXPECT_EQ(state.reliability(Source::kImmutableLog, "c").right, 1.0) << "unknown: the source's";
  for (std::size_t i = 0; i < LearnedState::kDiagnosesMax + 10; ++i) {
    state.learn(trigger(0.9, Source::kMetaLoop, std::to_string(i)), OutcomeKind::kFeedbackRight);
  }
  EXPECT_EQ(state.refused_diagnosis_count(), 12U);
  EXPECT_EQ(state.reliability(Source::kMetaLoop).right, LearnedState::kDiagnosesMax + 10.0)
      << "past the bound they count under their source";
}

TEST(LearnedState, CalibrationIsMonotoneAndAProbabilityWhateverItWasTaught) {
  std::mt19937_64 random(stress_seed());
  std::uniform_real_distribution<double> unit(0.0, 1.0);
  for (int round = 0; round < 50; ++round) {
    LearnedState state;
    const int outcomes = static_cast<int>(random() % 400);
    for (int i = 0; i < outcomes; ++i) {
      const auto outcome = static_cast<OutcomeKind>(random() % 6);
      state.learn(trigger(unit(random)), outcome);
    }
    double last = 0.0;
    for (int i = 0; i <= 1000; ++i) {
      const double now = state.calibrated(Source::kProactiveMl, i / 1000.0);
      ASSERT_GE(now, last) << "raw " << i;
      ASSERT_LE(now, 1.0);
      last = now;
    }
  }
}

TEST(LearnedState, CalibrationApproachesTheTruth) {
  LearnedState state;
  std::mt19937_64 random(stress_seed());
  std::uniform_real_distribution<double> unit(0.0, 1.0);
  // A detector that says 0.9 and is right in six of ten.
  for (int i = 0; i < 5000; ++i) {
    Trigger over = trigger(0.9);
    over.confidence = state.calibrated(over.source, 0.9);
    state.learn(over,
                unit(random) < 0.6 ? OutcomeKind::kFeedbackRight : OutcomeKind::kFeedbackWrong);
  }
  EXPECT_NEAR(state.calibrated(Source::kProactiveMl, 0.9), 0.6, 0.05);
  EXPECT_LT(state.calibration_error(Source::kProactiveMl).expected, 0.05);
}

TEST(LearnedState, SurvivesValuesThatAreNoProbability) {
  LearnedState state;
  for (const double odd : {std::numeric_limits<double>::quiet_NaN(), -1.0, 2.0,
                           std::numeric_limits<double>::infinity()}) {
    state.learn(trigger(odd), OutcomeKind::kFeedbackRight);
    const double now = state.calibrated(Source::kProactiveMl, odd);
    EXPECT_TRUE(now >= 0.0 && now <= 1.0) << odd << " gave " << now;
  }
}

Adjustable shortfall() {
  Adjustable out;
  out.name = "capacity.shortfall_min";
  out.value = 0.10;
  out.min = 0.05;
  out.max = 0.12;
  out.step_max = 0.02;
  out.period_ns = kNsPerHour;
  return out;
}

TEST(LearnedState, AdjustsWithinStepBoundsAndPeriod) {
  LearnedState state;
  ASSERT_TRUE(state.declare(shortfall()));
  EXPECT_TRUE(state.adjust("capacity.shortfall_min", 0.01, 1000));
  EXPECT_EQ(state.adjusted("capacity.shortfall_min", 0), 0.08) << "one step down, exactly";
  EXPECT_FALSE(state.adjust("capacity.shortfall_min", 0.01, 1000 + kNsPerHour - 1));
  EXPECT_TRUE(state.adjust("capacity.shortfall_min", 9.0, 1000 + kNsPerHour));
  EXPECT_TRUE(state.adjust("capacity.shortfall_min", 9.0, 1000 + 2 * kNsPerHour));
  EXPECT_EQ(state.adjusted("capacity.shortfall_min", 0), 0.12) << "the bound, not the wish";
  EXPECT_FALSE(state.adjust("capacity.shortfall_min", 9.0, 1000 + 3 * kNsPerHour));
  EXPECT_FALSE(state.adjust("capacity.shortfall_min", std::nan(""), 1000 + 4 * kNsPerHour));
  EXPECT_FALSE(state.adjust("unheard_of", 1.0, 0));
}

TEST(LearnedState, UndoPutsBackTheLastMoveAndHoldsIt) {
  LearnedState state;
  ASSERT_TRUE(state.declare(shortfall()));
  EXPECT_FALSE(state.undo("capacity.shortfall_min", 0)) << "nothing was moved";
  ASSERT_TRUE(state.adjust("capacity.shortfall_min", 0.05, 1000));
  EXPECT_TRUE(state.undo("capacity.shortfall_min", 2000));
  EXPECT_EQ(state.adjusted("capacity.shortfall_min", 0), 0.10);
  EXPECT_FALSE(state.undo("capacity.shortfall_min", 3000)) << "a second undo is no redo";
  EXPECT_FALSE(state.adjust("capacity.shortfall_min", 0.05, 2000 + kNsPerHour - 1));
  EXPECT_FALSE(state.undo("unheard_of", 0));
}

TEST(LearnedState, RefusesAdjustablesThatContradictThemselves) {
  LearnedState state;
  Adjustable bad = shortfall();
  bad.value = 0.5;
  EXPECT_FALSE(state.declare(bad));
  bad = shortfall();
  bad.step_max = 0.0;
  EXPECT_FALSE(state.declare(bad));
  bad = shortfall();
  bad.min = std::nan("");
  EXPECT_FALSE(state.declare(bad));
  EXPECT_EQ(state.find("capacity.shortfall_min"), nullptr);
}

}  // namespace
}  // namespace grace::core
