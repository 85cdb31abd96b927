#include "grace/models/session_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "../dice.h"

namespace grace::models {
namespace {

using testing::Dice;
using Symbols = std::vector<std::uint32_t>;

// Jobs: open (1), three reads (2) or a retry or two more, sometimes a cache hit (3), write (4) as
// often as reads, close (5).
class Jobs {
 public:
  explicit Jobs(std::uint64_t seed) : dice_(seed) {}
  Symbols next() {
    Symbols symbols{1};
    const std::uint32_t reads = 3 + (dice_.uniform() < 0.05 ? 1 + dice_.below(2) : 0);
    for (std::uint32_t i = 0; i < reads; ++i) {
      symbols.push_back(2);
      if (dice_.uniform() < 0.3) symbols.push_back(3);
    }
    for (std::uint32_t i = 0; i < reads; ++i) symbols.push_back(4);
    symbols.push_back(5);
    return symbols;
  }

 private:
  Dice dice_;
};

SessionScore score(const SessionModel& model, const Symbols& symbols) {
  SessionModel::Session session;
  for (const std::uint32_t symbol : symbols) model.step(session, symbol);
  return model.end(session);
}

SessionScore learn(SessionModel& model, const Symbols& symbols) {
  SessionModel::Session session;
  for (const std::uint32_t symbol : symbols) model.learn_step(session, symbol);
  return model.learn_end(session);
}

class LearnedJobs : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 3000; ++i) learn(model_, jobs_.next());
    threshold_ = model_.threshold();
  }
  [[nodiscard]] double total(const Symbols& symbols) const {
    return score(model_, symbols).total();
  }

  Jobs jobs_{3};
  SessionModel model_;
  double threshold_ = 0.0;
};

TEST_F(LearnedJobs, FewOrdinarySessionsAreAboveTheThreshold) {
  int above = 0;
  for (int i = 0; i < 10'000; ++i) above += total(jobs_.next()) > threshold_ ? 1 : 0;
  EXPECT_LE(above, 20);  // 2 are wanted; the tail is an estimate from 1500 scores
}

TEST_F(LearnedJobs, ANewSymbolStandsOut) {
  const Symbols symbols{1, 2, 2, 2, 9, 4, 4, 4, 5};
  EXPECT_GT(score(model_, symbols).symbol, 5.0);
  EXPECT_GT(total(symbols), threshold_);
}

TEST_F(LearnedJobs, AMissingEndStandsOut) {
  EXPECT_GT(total({1, 2, 2, 2, 4, 4, 4}), threshold_);  // it was never closed
}

TEST_F(LearnedJobs, CountsThatAreNormalAloneAndNotTogetherStandOut) {
  // Five reads happen, three writes happen; but not both in one session.
  const SessionScore odd = score(model_, {1, 2, 2, 2, 2, 2, 4, 4, 4, 5});
  EXPECT_GT(odd.counts, score(model_, {1, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 5}).counts + 5.0);
  EXPECT_GT(odd.total(), threshold_);
}

TEST_F(LearnedJobs, WhatVariesFreelyCostsLittleAndWhatNeverVariesCostsMuch) {
  const SessionScore hits = score(model_, {1, 2, 3, 3, 2, 3, 2, 3, 4, 4, 4, 5});  // four hits
  const SessionScore opens = score(model_, {1, 1, 2, 2, 2, 4, 4, 4, 5});
  ASSERT_GT(hits.counts, 0.0);
  EXPECT_GT(opens.counts, hits.counts + 2.0);
}

TEST_F(LearnedJobs, AnImprobableOrderOfTheSameStepsStandsOut) {
  const Symbols symbols{1, 4, 4, 4, 2, 2, 2, 5};  // written before it was read
  EXPECT_EQ(score(model_, symbols).counts, 0.0);
  EXPECT_GT(score(model_, symbols).step, score(model_, {1, 2, 2, 2, 4, 4, 4, 5}).step + 3.0);
}

TEST_F(LearnedJobs, AGrowingSessionIsJudgedByWhatCannotBecomeGoodAgain) {
  SessionModel::Session session;
  for (const std::uint32_t symbol : {1U, 2U, 2U}) model_.step(session, symbol);
  EXPECT_EQ(model_.so_far(session).counts, 0.0);  // the rest may come
  EXPECT_LT(model_.so_far(session).total(), threshold_);
  for (int i = 0; i < 30; ++i) model_.step(session, 2);
  EXPECT_GT(model_.so_far(session).counts, threshold_);  // nothing takes reads away
  model_.step(session, 9);
  EXPECT_GT(model_.so_far(session).symbol, 5.0);
}

TEST_F(LearnedJobs, ScoringLearnsNothing) {
  const Symbols odd{1, 9, 9, 5};
  const double first = total(odd);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(total(odd), first);
  EXPECT_EQ(model_.session_count(), 3000U);
}

TEST_F(LearnedJobs, WhatIsLearnedIsNoSurpriseAnyMore) {
  const Symbols odd{1, 9, 9, 5};
  const double before = learn(model_, odd).total();
  for (int i = 0; i < 200; ++i) learn(model_, odd);
  EXPECT_LT(total(odd), before / 2);
  EXPECT_LT(total(odd), threshold_);
}

TEST_F(LearnedJobs, AFewOddSessionsInTrainingDoNotRaiseTheThresholdOutOfReach) {
  SessionModel model;
  Jobs jobs(3);
  Dice dice(5);
  for (int i = 0; i < 3000; ++i) {
    learn(model, jobs.next());
    if (i % 500 == 499) learn(model, {100 + dice.below(1000), 5, 4, 100 + dice.below(1000), 1, 1});
  }
  EXPECT_LT(model.threshold(), threshold_ * 1.5);
}

TEST(SessionModel, SaysNothingWhileItKnowsNothing) {
  SessionModel model;
  EXPECT_EQ(score(model, {1, 2, 3}).total(), 0.0);
  EXPECT_EQ(score(model, {}).total(), 0.0);
  Jobs jobs(3);
  for (int i = 0; i < 99; ++i) learn(model, jobs.next());
  EXPECT_TRUE(std::isinf(model.threshold()));
  learn(model, jobs.next());
  EXPECT_TRUE(std::isfinite(model.threshold()));
}

TEST(SessionModel, TheSameSessionsGiveTheSameScores) {
  SessionModel one;
  SessionModel other;
  Jobs jobs(7);
  for (int i = 0; i < 500; ++i) {
    const Symbols symbols = jobs.next();
    ASSERT_EQ(learn(one, symbols).total(), learn(other, symbols).total());
  }
  EXPECT_EQ(one.threshold(), other.threshold());
}

// Random sessions of many symbols overflow every table; scores stay numbers.
TEST(SessionModel, StaysInItsBoundsUnderEverythingNew) {
  SessionModelConfig config;
  config.prototypes_max = 8;
  config.symbols_max = 16;
  config.grammar_nodes_max = 32;
  config.scores_max = 64;
  SessionModel model(config);
  Dice dice(9);
  for (int i = 0; i < 2000; ++i) {
    Symbols symbols;
    const std::uint32_t length = dice.below(100);
    for (std::uint32_t k = 0; k < length; ++k)
      symbols.push_back(dice.below(i % 3 == 0 ? 1000 : 12));
    const double total = learn(model, symbols).total();
    ASSERT_TRUE(std::isfinite(total) && total >= 0.0) << i;
    ASSERT_LE(model.prototype_count(), 8U);
  }
  EXPECT_GT(model.evicted_count(), 0U);
  EXPECT_TRUE(std::isfinite(model.threshold()));
}

// Vectors of ten symbols, counted freely: nearly every session's is new.
Symbols any_session(Dice& dice) {
  Symbols symbols;
  do symbols.push_back(1 + dice.below(10));
  while (dice.uniform() > 0.1);
  return symbols;
}

// What a model should know of counts, without a shortcut.
class PlainCounts {
 public:
  void learn(const Symbols& symbols) {
    const Counts counts = count(symbols);
    if (std::ranges::any_of(known_, [&](const Known& each) { return each.counts == counts; })) {
      return;
    }
    Known mine{counts, {}};
    for (std::size_t i = 0; i < known_.size(); ++i) {
      const std::uint32_t distance = between(counts, known_[i].counts);
      if (!mine.nearest || distance < between(counts, known_[*mine.nearest].counts)) {
        mine.nearest = i;
      }
      Known& other = known_[i];
      if (!other.nearest || distance < between(other.counts, known_[*other.nearest].counts)) {
        other.nearest = known_.size();
      }
    }
    known_.push_back(mine);
  }
  // Nats of the nearest vector's differences.
  [[nodiscard]] double cost(const Symbols& symbols) const {
    std::map<std::uint32_t, std::pair<double, double>> pairs_and_amounts;
    for (const Known& each : known_) {
      if (!each.nearest) continue;
      for (const auto& [symbol, by] : differences(each.counts, known_[*each.nearest].counts)) {
        pairs_and_amounts[symbol].first += 1;
        pairs_and_amounts[symbol].second += by;
      }
    }
    double least = HUGE_VAL;
    for (const Known& each : known_) {
      double nats = 0.0;
      for (const auto& [symbol, by] : differences(count(symbols), each.counts)) {
        const auto [pairs, amount] = pairs_and_amounts[symbol];
        nats -= std::log((pairs + 0.5) / (static_cast<double>(known_.size()) + 1.0));
        nats -= (by - 1.0) * std::log((amount - pairs + 0.5) / (amount + 1.0));
      }
      least = std::min(least, nats);
    }
    return least;
  }
  static std::uint32_t distance(const Symbols& a, const Symbols& b) {
    return between(count(a), count(b));
  }

 private:
  using Counts = std::map<std::uint32_t, std::uint32_t>;
  struct Known {
    Counts counts;
    std::optional<std::size_t> nearest;
  };
  static Counts count(const Symbols& symbols) {
    Counts counts;
    for (const std::uint32_t symbol : symbols) ++counts[symbol];
    return counts;
  }
  static std::map<std::uint32_t, double> differences(const Counts& a, const Counts& b) {
    std::map<std::uint32_t, double> by;
    for (const auto& [symbol, n] : a) by[symbol] += n;
    for (const auto& [symbol, n] : b) by[symbol] -= n;
    std::erase_if(by, [](const auto& each) { return each.second == 0.0; });
    for (auto& [symbol, n] : by) n = std::abs(n);
    return by;
  }
  static std::uint32_t between(const Counts& a, const Counts& b) {
    double sum = 0.0;
    for (const auto& [symbol, by] : differences(a, b)) sum += by;
    return static_cast<std::uint32_t>(sum);
  }

  std::vector<Known> known_;
};

TEST(SessionModel, PassingVectorsOverChangesNoCost) {
  SessionModel model;
  PlainCounts plain;
  Dice dice(21);
  for (int i = 0; i < 150; ++i) {
    const Symbols symbols = any_session(dice);
    learn(model, symbols);
    plain.learn(symbols);
  }
  // What a vector costs beyond its difference is the same for all: the rate of new ones.
  std::optional<double> of_a_new_one;
  for (int i = 0; i < 100; ++i) {
    const Symbols symbols = any_session(dice);
    const double counts = score(model, symbols).counts;
    if (counts == 0.0) continue;
    if (!of_a_new_one) of_a_new_one = counts - plain.cost(symbols);
    ASSERT_NEAR(counts, plain.cost(symbols) + *of_a_new_one, 1e-9) << i;
  }
  ASSERT_TRUE(of_a_new_one);
  EXPECT_GT(*of_a_new_one, 0.0);
}

TEST(SessionModel, AScoreIsExactUnlessItIsSmallEnough) {
  SessionModelConfig config;
  config.prototypes_max = 64;
  SessionModel model(config);
  Dice dice(22);
  for (int i = 0; i < 500; ++i) learn(model, any_session(dice));
  int spared = 0;
  for (int i = 0; i < 500; ++i) {
    SessionModel::Session session;
    for (const std::uint32_t symbol : any_session(dice)) model.step(session, symbol);
    const double exact = model.end(session).total();
    for (const double enough : {2.0, 8.0, 16.0, 32.0}) {
      const double told = model.end(session, enough).total();
      if (told == exact) continue;
      ++spared;
      ASSERT_GT(told, exact);
      ASSERT_LE(told, enough);
    }
  }
  EXPECT_GT(spared, 50);
}

TEST(ScoreTail, WithoutAShapeItIsThePredictiveExponentialTail) {
  const ScoreTail tail{.base = 10.0, .excess_sum = 20.0, .share = 0.02, .shape = 0.0, .sample = 8};
  EXPECT_EQ(tail.probability(10.0), 1.0);
  EXPECT_NEAR(tail.probability(14.0), 0.02 * std::pow(1.0 + 4.0 / 20.0, -8.0), 1e-9);
  ScoreTail heavy = tail;
  heavy.shape = 0.3;
  const double h = 0.3 + 1.0 / 8.0;
  EXPECT_NEAR(heavy.probability(60.0), 0.02 * std::pow(1.0 + h * 8.0 * 50.0 / 20.0, -1.0 / h),
              1e-9);
  EXPECT_GT(heavy.probability(60.0), 5.0 * tail.probability(60.0));
}

TEST(ScoreTail, NothingIsLessProbableThanItsScoreSays) {
  const ScoreTail tail{.base = 1.0, .excess_sum = 0.01, .share = 0.02, .shape = 0.0, .sample = 30};
  EXPECT_NEAR(tail.probability(12.0), std::exp(-12.0), 1e-12);
}

// Lengths by a lognormal distribution, steps by chance: scores have a tail that is heavier than an
// exponential one.
Symbols long_tailed_session(Dice& dice) {
  const double normal = std::sqrt(-2.0 * std::log(1.0 - dice.uniform())) *
                        std::cos(2.0 * 3.141592653589793 * dice.uniform());
  Symbols symbols(1 + static_cast<std::size_t>(std::exp(2.0 + 0.8 * normal)));
  for (std::uint32_t& symbol : symbols) symbol = 1 + dice.below(8);
  return symbols;
}

TEST(ScoreTail, WhatIsChanceIsNotTakenForSurelyOdd) {
  SessionModelConfig config;
  config.prototypes_max = 64;
  int sure = 0;
  int sure_if_light = 0;
  for (const std::uint64_t seed : {31, 32, 33}) {
    SessionModel model(config);
    Dice dice(seed);
    for (int i = 0; i < 3000; ++i) learn(model, long_tailed_session(dice));
    const ScoreTail tail = model.tail();
    EXPECT_GT(tail.shape, 0.1);
    EXPECT_LE(tail.shape, ScoreTail::kShapeMax);
    ScoreTail light = tail;
    light.shape = 0.0;
    for (int i = 0; i < 10'000; ++i) {
      const double total = score(model, long_tailed_session(dice)).total();
      sure += tail.probability(total) < 1e-4 ? 1 : 0;
      sure_if_light += light.probability(total) < 1e-4 ? 1 : 0;
    }
  }
  EXPECT_LE(sure, 12);  // three are to be expected
  EXPECT_GE(sure_if_light, 2 * sure + 4);
}

TEST_F(LearnedJobs, AFewOddSessionsInTrainingDoNotMakeOthersLookUsual) {
  Dice dice(5);
  for (int i = 0; i < 4; ++i) {
    learn(model_, {100 + dice.below(1000), 5, 4, 100 + dice.below(1000), 1, 1});
  }
  EXPECT_LT(model_.tail().probability(total({1, 2, 2, 2, 4, 4, 4})), 1e-4);  // never closed
}

TEST(ScoreTail, WhatNeedNotBeExactIsBelowTheTailAndNothingBeforeItIsKnown) {
  EXPECT_EQ(ScoreTail{}.unremarkable(), 0.0);
  const ScoreTail tail{.base = 12.0, .excess_sum = 20.0, .share = 0.02, .sample = 8};
  EXPECT_GT(tail.unremarkable(), 0.0);
  EXPECT_LT(tail.unremarkable(), tail.base);
}

TEST(SymbolCounts, SketchesAreNeverFartherApartThanTheirVectors) {
  Dice dice(23);
  for (int i = 0; i < 1000; ++i) {
    std::array<Symbols, 2> sessions;
    std::array<SymbolCounts, 2> counts;
    for (std::size_t k = 0; k < 2; ++k) {
      for (std::uint32_t n = dice.below(i % 10 == 0 ? 2000 : 30); n > 0; --n) {
        sessions[k].push_back(dice.below(1 + dice.below(60)));
        counts[k].add(sessions[k].back());
      }
    }
    const auto one = counts[0].sketch();
    const auto other = counts[1].sketch();
    std::uint32_t apart = 0;
    for (std::size_t b = 0; b < one.size(); ++b) {
      apart += static_cast<std::uint32_t>(std::abs(int{one[b]} - int{other[b]}));
    }
    ASSERT_LE(apart, PlainCounts::distance(sessions[0], sessions[1])) << i;
  }
}

TEST(SymbolCounts, KeepsSixtyThreeSymbolsApartAndTheRestTogether) {
  SymbolCounts counts;
  for (std::uint32_t symbol = 100; symbol > 0; --symbol) {
    counts.add(symbol);
    counts.add(symbol);
  }
  ASSERT_EQ(counts.entries().size(), SymbolCounts::kDistinctMax);
  std::uint32_t total = 0;
  for (std::size_t i = 0; i < counts.entries().size(); ++i) {
    if (i > 0) {
      EXPECT_LT(counts.entries()[i - 1].symbol, counts.entries()[i].symbol);
    }
    total += counts.entries()[i].count;
  }
  EXPECT_EQ(total, 200U);
  EXPECT_EQ(counts.entries().back().symbol, SessionModel::kEndSymbol);
  EXPECT_EQ(counts.entries().back().count, 74U);
}

}  // namespace
}  // namespace grace::models
