// The models alone: what a forecast promises, on series whose truth is known.
#include <gtest/gtest.h>

#include <tuple>
#include <utility>
#include <vector>

#include "band.h"
#include "harness.h"
#include "numeric.h"
#include "ordered.h"
#include "rich_model.h"
#include "risk.h"
#include "trend_model.h"

namespace grace::proactive::test {
namespace {

constexpr std::uint32_t kHorizon = 15;

TEST(Numeric, AgreesWithTheLibrary) {
  for (double x = -40.0; x <= 40.0; x += 0.137) {
    EXPECT_NEAR(exact_exp(x) / std::exp(x), 1.0, 1e-12) << x;
    EXPECT_NEAR(normal_cdf(x), 0.5 * std::erfc(-x / std::sqrt(2.0)), 1e-7) << x;
    EXPECT_NEAR(logistic(x), 1.0 / (1.0 + std::exp(-x)), 1e-12) << x;
  }
  EXPECT_EQ(exact_exp(-1e9), 0.0);
  EXPECT_EQ(succession(0), 0.5);
}

TEST(TrendModel, FollowsARampAndForecastsIt) {
  Dice noise(3);
  TrendModel model;
  for (int i = 0; i < 200; ++i) {
    model.step(50.0 + (i < 100 ? 0.0 : 2.0 * (i - 100)) + noise.normal(), 0);
  }
  const double truth = 50.0 + 2.0 * (199 + 15 - 100);
  EXPECT_NEAR(model.forecast(15).mean, truth, 0.1 * truth);
  EXPECT_GT(model.persistence(true, 5.0), 0.8);
  EXPECT_GT(model.persistence(true, 0.0), 0.8);  // it has gone one way for long
  EXPECT_LT(model.persistence(false, 5.0), 0.7);
}

TEST(TrendModel, ALoneOutlierMovesItLittleAndAShiftIsFollowed) {
  Dice noise(4);
  TrendModel model;
  for (int i = 0; i < 100; ++i) model.step(100.0 + noise.normal(), 0);
  // Not after a bin a deviation above the level: it would be the second of a jump.
  model.step(model.level, 0);
  const double before = model.level;
  model.step(1000.0, 0);
  EXPECT_NEAR(model.level, before, 3.0);
  EXPECT_NEAR(model.forecast(15).mean, before, 10.0);

  for (int i = 0; i < 100; ++i) model.step(100.0 + noise.normal(), 0);
  for (int i = 0; i < 5; ++i) model.step(200.0 + noise.normal(), 0);
  EXPECT_NEAR(model.level, 200.0, 10.0);
  EXPECT_NEAR(model.forecast(15).mean, 200.0, 20.0);  // the shift did not read as a ramp
}

TEST(TrendModel, LeavesAConstantBehindWhenItMoves) {
  for (const double constant : {0.0, 1000.0, -5.0}) {
    TrendModel model;
    for (int i = 0; i < 500; ++i) model.step(constant, 0);
    EXPECT_EQ(model.level, constant);
    for (int i = 0; i < 30; ++i) model.step(constant + 300.0, 0);
    EXPECT_NEAR(model.level, constant + 300.0, 10.0) << constant;
  }
}

TEST(TrendModel, AGapOnlyPassesTime) {
  TrendModel model;
  for (int i = 0; i < 60; ++i) model.step(10.0 + i, 0);
  const double level = model.level;
  const double trend = model.trend;
  TrendModel across = model;
  across.step(10.0 + 60 + 5, 5);  // five bins without a sample
  EXPECT_NEAR(across.level, level + 6 * trend, 1.0);
  TrendModel long_after = model;
  long_after.step(70.0, 100'000);
  EXPECT_NEAR(long_after.forecast(15).mean, 70.0, 5.0);
}

TEST(Baseline, LearnsTheExtremesOfNoiseAndIsSlowToLearnAShift) {
  Dice noise(5);
  Baseline baseline;
  for (int i = 0; i < 3000; ++i) baseline.step(100.0 + 5.0 * noise.normal(), 30);
  EXPECT_NEAR(baseline.center, 100.0, 1.0);
  EXPECT_NEAR(baseline.spread, 5.0, 0.5);
  EXPECT_NEAR(baseline.high, 100.0 + 2.576 * 5.0, 3.0);
  EXPECT_NEAR(baseline.low, 100.0 - 2.576 * 5.0, 3.0);
  const double high = baseline.high;
  for (int i = 0; i < 15; ++i) baseline.step(200.0 + 5.0 * noise.normal(), 30);
  EXPECT_LT(baseline.center, 102.0);
  EXPECT_LT(baseline.high, high + 20.0);
}

// Runs a rich model and tells how often the 90% intervals held and how large the errors were.
struct Score {
  double coverage[kHorizonCount] = {};
  double ensemble_error[kHorizonCount] = {};
  double trend_error[kHorizonCount] = {};
};
template <typename Truth>
Score score(Truth truth, double noise_sd, std::uint64_t seed, int steps, int from) {
  Dice noise(seed);
  TrendModel trend;
  Baseline baseline;
  RichModel rich(seed, kHorizon);
  const auto horizons = horizons_of(kHorizon);
  std::vector<double> values;
  for (int i = 0; i < steps; ++i) values.push_back(truth(i) + noise_sd * noise.normal());
  Score s;
  int count = 0;
  for (int i = 0; i < steps; ++i) {
    const double value = values[static_cast<std::size_t>(i)];
    trend.step(value, 0);
    baseline.step(value, 30);
    rich.step(value, 0, (i % 1440) / 1440.0, trend, baseline);
    if (i < from || i + static_cast<int>(kHorizon) >= steps) continue;
    ++count;
    for (std::size_t h = 0; h < kHorizonCount; ++h) {
      const double future = values[static_cast<std::size_t>(i) + horizons[h]];
      const Prediction p = rich.forecast(h);
      s.coverage[h] += std::fabs(future - p.mean) <= rich.half_width90(h);
      s.ensemble_error[h] += std::fabs(future - p.mean);
      s.trend_error[h] += std::fabs(future - rich.trend_mean(h));
    }
  }
  for (std::size_t h = 0; h < kHorizonCount; ++h) {
    s.coverage[h] /= count;
    s.ensemble_error[h] /= count;
    s.trend_error[h] /= count;
  }
  return s;
}

TEST(RichModel, NinetyPercentIntervalsHoldNineTimesInTen) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Score flat = score([](int) { return 100.0; }, 5.0, seed, 3000, 600);
    const Score ramp = score([](int i) { return 100.0 + 0.05 * i; }, 5.0, seed, 3000, 600);
    const Score wave =
        score([](int i) { return 100.0 + 20.0 * std::sin(i * 0.1047); }, 3.0, seed, 3000, 600);
    for (std::size_t h = 0; h < kHorizonCount; ++h) {
      for (const Score* s : {&flat, &ramp, &wave}) {
        EXPECT_GE(s->coverage[h], 0.85) << "horizon " << h << " seed " << seed;
        EXPECT_LE(s->coverage[h], 0.95) << "horizon " << h << " seed " << seed;
      }
    }
  }
}

TEST(RichModel, EnsembleIsNotWorseThanTheTrendAloneOnSeasonAndTrend) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    // Period of an hour on a slow climb; held out: the last third of three days.
    const Score s = score([](int i) { return 200.0 + 0.01 * i + 30.0 * std::sin(i * 0.10472); },
                          4.0, seed, 4320, 2880);
    for (std::size_t h = 0; h < kHorizonCount; ++h) {
      EXPECT_LE(s.ensemble_error[h], 1.02 * s.trend_error[h]) << "horizon " << h;
    }
    // Where the trend model cannot know better, a quarter of a period ahead, it must gain much.
    EXPECT_LE(s.ensemble_error[2], 0.6 * s.trend_error[2]);
  }
}

TEST(RichModel, IsTheSameForTheSameKeyAndDiffersByKey) {
  const auto run = [](std::uint64_t key) {
    Dice noise(9);
    TrendModel trend;
    Baseline baseline;
    RichModel rich(key, kHorizon);
    for (int i = 0; i < 600; ++i) {
      const double value = 10.0 + noise.normal();
      trend.step(value, 0);
      baseline.step(value, 30);
      rich.step(value, i % 97 == 0 ? 2 : 0, 0.5, trend, baseline);
    }
    return rich.neural_mean(2);
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(RiskModel, OutcomesTuneItWithinItsBounds) {
  const RiskFeatures errors{1.5, 0, 0, 0, 0, 0};
  RiskModel model{RiskWeights{}};
  const double before = model.risk(errors);
  for (int i = 0; i < 20; ++i) model.learn(errors, true);
  EXPECT_GT(model.risk(errors), before);
  for (int i = 0; i < 10'000; ++i) model.learn(errors, false);
  EXPECT_LT(model.risk(errors), before);
  EXPECT_GE(model.weights().errors, 0.5 * RiskWeights{}.errors);
  EXPECT_GE(model.weights().intercept, RiskWeights{}.intercept - 2.0);
  EXPECT_EQ(model.weights().latency, RiskWeights{}.latency);  // had no part in it
}

class NoSink final : public core::FindingSink {
 public:
  void finding(core::Finding&&) override {}
  void observe(const core::Observation&) override {}
};

// A minute of actions of the service "auth", that many of them errors.
void actions_of_minute(ProactiveOrdered& ordered, int minute, double errors, NoSink& sink) {
  core::Observation o;
  o.kind = core::ObservationKind::kActions;
  o.service = "auth";
  o.ts_ns = minute * kMinute;
  o.value = errors;
  ordered.on_observation(o, static_cast<std::uint64_t>(minute), sink);
}

struct Learned {
  double errors_weight = 0.0;
  core::RiskCounts counts;
};

// One service with moderate errors; `event` happens a minute after they were judged. Gives what is
// known when the time for an outcome is over.
template <typename Event>
Learned learned_after(Event event) {
  const ProactiveConfig config;
  const core::Topology topology;
  const core::LearnedState learned;
  ProactiveOrdered ordered(config, {topology, learned});
  NoSink sink;
  for (int minute = 1; minute <= 40; ++minute) {
    actions_of_minute(ordered, minute, minute == 1 ? 6.0 : 0.0, sink);
    if (minute == 2) event(ordered, sink);
  }
  return {ordered.risk_weights().errors, ordered.risk_counts()};
}

template <typename Event>
double errors_weight_after(Event event) {
  return learned_after(event).errors_weight;
}

TEST(RiskModel, LearnsFromWhatOtherSourcesThenFoundUnlessOurOwnActionIntervened) {
  const double start = RiskWeights{}.errors;
  const auto nothing = [](ProactiveOrdered&, NoSink&) {};
  const auto trouble = [](ProactiveOrdered& ordered, NoSink& sink) {
    core::Trigger trigger;
    trigger.source = core::Source::kAgenticSpine;
    trigger.finding.service = "auth";
    trigger.created_ts_ns = 2 * kMinute;
    ordered.on_trigger(trigger, sink);
  };
  const auto own_forecast = [](ProactiveOrdered& ordered, NoSink& sink) {
    core::Trigger trigger;
    trigger.source = core::Source::kProactiveMl;
    trigger.finding.service = "auth";
    trigger.created_ts_ns = 2 * kMinute;
    ordered.on_trigger(trigger, sink);
  };
  const auto healed = [](ProactiveOrdered& ordered, NoSink& sink) {
    core::PlaybookRun run;
    run.service = "auth";
    run.proactive = true;
    run.state = core::RunState::kExecuting;
    ordered.on_run(run, sink);
  };
  EXPECT_GT(errors_weight_after(trouble), start);
  EXPECT_LT(errors_weight_after(nothing), start);
  EXPECT_EQ(errors_weight_after(own_forecast), errors_weight_after(nothing));
  EXPECT_GT(errors_weight_after(healed), errors_weight_after(nothing));

  // A judgement is as far off as its probability was when it was made, before any outcome.
  const core::RiskCounts came = learned_after(trouble).counts;
  const core::RiskCounts stayed_away = learned_after(nothing).counts;
  const core::RiskCounts interrupted = learned_after(healed).counts;
  EXPECT_EQ(stayed_away.due, 1U);
  EXPECT_EQ(stayed_away.came_true, 0U);
  EXPECT_EQ(stayed_away.squared_error, stayed_away.squared_error_at_start) << "nothing learned yet";
  // The rest of the errors is judged anew.
  EXPECT_EQ(came.due, 2U);
  EXPECT_EQ(came.came_true, 1U);
  EXPECT_GT(came.squared_error, std::pow(1.0 - std::sqrt(stayed_away.squared_error), 2));
  // Of the first nobody knows what would have come: only the rest counts, which is less.
  EXPECT_EQ(interrupted.due, 1U);
  EXPECT_LT(interrupted.squared_error, stayed_away.squared_error);
}

// What is learned counts from the next judgement on, and both are told.
TEST(RiskModel, IsComparedWithItsStartAsItLearns) {
  const ProactiveConfig config;
  const core::Topology topology;
  const core::LearnedState learned;
  ProactiveOrdered ordered(config, {topology, learned});
  NoSink sink;
  for (int minute = 1; minute <= 20 * 60; ++minute) {  // errors each hour that harm nobody
    actions_of_minute(ordered, minute, minute % 60 == 1 ? 6.0 : 0.0, sink);
  }
  const core::RiskCounts counts = ordered.risk_counts();
  EXPECT_EQ(counts.due, 20U);
  EXPECT_EQ(counts.came_true, 0U);
  EXPECT_LT(counts.squared_error, 0.95 * counts.squared_error_at_start);
}

// A minute of the service's error rate, which is twice the usual when that is bad.
void metric_of_minute(ProactiveOrdered& ordered, int minute, bool is_bad, NoSink& sink) {
  core::Observation o;
  o.service = "auth";
  o.name = "error_rate";
  o.role = core::MetricRole::kErrors;
  o.ts_ns = minute * kMinute;
  o.order_key = 1;
  o.baseline = 0.02;
  o.value = is_bad ? 0.04 : 0.02;
  o.deviation = is_bad ? 12.0 : 0.0;
  o.warm = true;
  ordered.on_observation(o, static_cast<std::uint64_t>(minute), sink);
}

void told_by(ProactiveOrdered& ordered, core::Source source, int minute, NoSink& sink) {
  core::Trigger trigger;
  trigger.source = source;
  trigger.finding.service = "auth";
  trigger.created_ts_ns = minute * kMinute;
  ordered.on_trigger(trigger, sink);
}

// The metrics of `hours` hours, bad in the first minute of each; `event` comes after each minute's.
template <typename Event>
void hours_of_metrics(ProactiveOrdered& ordered, int hours, Event event) {
  NoSink sink;
  for (int minute = 1; minute < 60 * hours; ++minute) {
    metric_of_minute(ordered, minute, minute % 60 == 1, sink);
    event(minute, sink);
  }
  const core::RiskCounts counts = ordered.risk_counts();
  EXPECT_EQ(counts.due, counts.came_true + counts.did_not_come + counts.unwitnessed);
}

class Witnesses : public ::testing::Test {
 protected:
  [[nodiscard]] bool as_configured() const {
    const RiskWeights& is = ordered_.risk_weights();
    const RiskWeights was;
    return is.intercept == was.intercept && is.errors == was.errors && is.trend == was.trend;
  }

  const ProactiveConfig config_;
  const core::Topology topology_;
  const core::LearnedState learned_;
  ProactiveOrdered ordered_{config_, {topology_, learned_}};
};

// What the proactive detectors tell themselves is no outcome, so nobody else could have seen one.
TEST_F(Witnesses, OfAServiceWithMetricsAloneThereAreNoneAndNothingIsLearned) {
  hours_of_metrics(ordered_, 20, [&](int minute, NoSink& sink) {
    told_by(ordered_, core::Source::kProactiveMl, minute, sink);
    told_by(ordered_, core::Source::kMetaLoop, minute, sink);
  });
  const core::RiskCounts counts = ordered_.risk_counts();
  EXPECT_EQ(counts.due, 20U);
  EXPECT_EQ(counts.unwitnessed, 20U);
  EXPECT_EQ(counts.squared_error, 0.0);
  EXPECT_EQ(counts.squared_error_at_start, 0.0);
  EXPECT_TRUE(as_configured());
}

TEST_F(Witnesses, AreActionsInTheTimeThatIsJudged) {
  // Judged in the first minute, for half an hour, which the metrics of minute 31 end.
  for (const auto& [at, is_witness] :
       {std::pair{1, false}, {2, true}, {30, true}, {31, false}, {32, false}, {59, false}}) {
    ProactiveOrdered ordered(config_, {topology_, learned_});
    hours_of_metrics(ordered, 1, [&, at = at](int minute, NoSink& sink) {
      if (minute == at) actions_of_minute(ordered, minute, 0.0, sink);
    });
    EXPECT_EQ(ordered.risk_counts().due, 1U) << at;
    EXPECT_EQ(ordered.risk_counts().did_not_come, is_witness ? 1U : 0U) << at;
  }
  hours_of_metrics(ordered_, 20, [&](int minute, NoSink& sink) {
    actions_of_minute(ordered_, minute, 0.0, sink);
  });
  EXPECT_EQ(ordered_.risk_counts().did_not_come, ordered_.risk_counts().due);
  EXPECT_LT(ordered_.risk_weights().intercept, RiskWeights{}.intercept);
}

// After the last metrics of a service its actions come an hour late: nobody looked in time.
TEST_F(Witnesses, AreNotActionsThatComeLater) {
  NoSink sink;
  metric_of_minute(ordered_, 1, true, sink);
  actions_of_minute(ordered_, 61, 0.0, sink);
  EXPECT_EQ(ordered_.risk_counts().unwitnessed, 1U);
}

TEST_F(Witnesses, AreSoughtAnewForEachJudgement) {
  hours_of_metrics(ordered_, 2, [&](int minute, NoSink& sink) {
    if (minute == 5) actions_of_minute(ordered_, minute, 0.0, sink);
  });
  EXPECT_EQ(ordered_.risk_counts().did_not_come, 1U);
  EXPECT_EQ(ordered_.risk_counts().unwitnessed, 1U);
}

// What is told of trouble alone, and never that there is none, would teach that it always comes.
TEST_F(Witnesses, IsNotTheOutcomeItself) {
  hours_of_metrics(ordered_, 20, [&](int minute, NoSink& sink) {
    if (minute % 60 == 5) told_by(ordered_, core::Source::kAgenticSpine, minute, sink);
  });
  EXPECT_EQ(ordered_.risk_counts().due, 20U);
  EXPECT_EQ(ordered_.risk_counts().unwitnessed, 20U);
  EXPECT_TRUE(as_configured());

  // Actions in the half hour before make it count, and those that are known only after it.
  for (const auto& [acted, told, came_true] :
       {std::tuple{66, 68, true}, {60, 80, true}, {40, 80, false}, {70, 68, true}}) {
    ProactiveOrdered ordered(config_, {topology_, learned_});
    NoSink sink;
    for (int minute = 40; minute < 100; ++minute) {
      if (minute == acted) actions_of_minute(ordered, minute, 0.0, sink);
      metric_of_minute(ordered, minute, minute == 61, sink);
      if (minute == told) told_by(ordered, core::Source::kAgenticSpine, minute, sink);
    }
    EXPECT_EQ(ordered.risk_counts().due, 1U) << acted;
    EXPECT_EQ(ordered.risk_counts().came_true, came_true ? 1U : 0U) << acted;
    EXPECT_EQ(ordered.risk_counts().unwitnessed, came_true ? 0U : 1U) << acted;
    EXPECT_EQ(ordered.risk_weights().intercept > RiskWeights{}.intercept, came_true) << acted;
  }
}

TEST_F(Witnesses, APersonsWordNeedsNone) {
  NoSink sink;
  metric_of_minute(ordered_, 1, true, sink);
  core::Outcome outcome;
  outcome.trigger.finding.type = core::TriggerType::kRiskAssessment;
  outcome.trigger.finding.service = "auth";
  outcome.kind = core::OutcomeKind::kFeedbackWrong;
  ordered_.on_outcome(outcome, sink);
  EXPECT_EQ(ordered_.risk_counts().did_not_come, 1U);
  EXPECT_LT(ordered_.risk_weights().intercept, RiskWeights{}.intercept);
}

TEST(Futures, TheBandHoldsNineTenthsOfAll) {
  EXPECT_NEAR((Futures{20.0, 10.0, 10.0, 2.0, 1.0}.half_width()), 2.0 * kNormal90, 1e-3);
  EXPECT_NEAR((Futures{10.0, 10.0, 10.0, 2.0, 0.3}.half_width()), 2.0 * kNormal90, 1e-3);
  // Half of what may happen lies 10 below, and nine tenths must be within.
  const double half = Futures{20.0, 10.0, 10.0, 2.0, 0.5}.half_width();
  EXPECT_NEAR(half, 10.0 + 2.0 * 0.8416, 0.01);  // 80% of that half
  EXPECT_NEAR((Futures{0.0, 10.0, 10.0, 2.0, 0.5}.half_width()), half, 1e-9)
      << "the same downwards";
  EXPECT_GT((Futures{20.0, 10.0, 10.0, 2.0, 0.1}.half_width()), half);
  // What may be over is within the band when that is more than a tenth.
  EXPECT_GT((Futures{20.0, 19.0, 5.0, 2.0, 0.5}.half_width()), 15.0);
  EXPECT_LT((Futures{20.0, 19.0, 5.0, 2.0, 0.95}.half_width()), 6.0);
}

TEST(BandScale, CoverageTendsToNineTenthsWhateverTheErrors) {
  for (const double size : {0.3, 1.0, 5.0}) {
    testing::Dice dice(31);
    BandScale scale;
    PendingBands bands;
    int within = 0;
    for (std::int64_t bin = 0; bin < 6000; ++bin) {
      const double error = size * dice.normal() * dice.normal();  // heavier than normal
      bands.come(bin, error, scale);
      if (bin >= 1000) within += std::fabs(error) <= scale.value();
      bands.put(bin + 15, 0.0, scale.value());
    }
    EXPECT_GE(within, 4300) << size;  // of 5000: .88 with room for the delay
    EXPECT_LE(within, 4700) << size;
  }
}

TEST(PendingBands, ABandIsJudgedOnceAndAtItsBinOnly) {
  BandScale scale;
  PendingBands bands;
  bands.put(100, 50.0, 1.0);
  bands.come(99, 0.0, scale);
  bands.come(164, 0.0, scale);  // the same slot, another bin
  EXPECT_EQ(scale.value(), BandScale{}.value());
  bands.come(100, 0.0, scale);
  const double wider = scale.value();
  EXPECT_GT(wider, BandScale{}.value());
  bands.come(100, 0.0, scale);
  EXPECT_EQ(scale.value(), wider);
  bands.put(101, 50.0, 1.0);
  bands.come(101, 50.5, scale);
  EXPECT_LT(scale.value(), wider);
  EXPECT_EQ(scale.counts().due, 2U);
  EXPECT_EQ(scale.counts().inside, 1U);
}

}  // namespace
}  // namespace grace::proactive::test
