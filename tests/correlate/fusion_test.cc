#include "grace/correlate/fusion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "grace/core/hash.h"
#include "grace/core/probability.h"

namespace grace::correlate {
namespace {

using core::Source;
using Weights = std::array<double, core::kSourceCount>;
constexpr Weights kEqual{1.0, 1.0, 1.0, 1.0};
constexpr double kShared = 0.5;

Opinion opinion(Source source, double confidence, std::vector<std::uint64_t> evidence = {}) {
  return {source, std::string(core::to_string(source)) + "_trigger", confidence,
          std::move(evidence)};
}

double sum_of_parts(const Fused& fused) {
  double sum = 0.0;
  for (const core::Contribution& part : fused.contributions) sum += part.log_odds;
  return sum;
}

TEST(Fusion, TheDocumentsPairGivesNinetyTwoPercent) {
  const Fused fused = fuse({opinion(Source::kImmutableLog, 0.88, {1, 2, 3, 4, 5, 6, 7}),
                            opinion(Source::kAgenticSpine, 0.85, {8, 9})},
                           kEqual, kShared);
  EXPECT_NEAR(fused.confidence, 0.9173, 0.0001);
  ASSERT_EQ(fused.contributions.size(), 2u);
  EXPECT_EQ(fused.contributions[0].source, Source::kImmutableLog) << "strongest first";
  EXPECT_EQ(sum_of_parts(fused), fused.log_odds) << "to the last bit";
  EXPECT_EQ(core::logistic(fused.log_odds), fused.confidence);
}

TEST(Fusion, EqualWeightsReduceToThePublishedFormula) {
  const std::vector<double> confidences{0.9, 0.88, 0.86, 0.85};
  const std::vector<Source> sources{Source::kMetaLoop, Source::kProactiveMl, Source::kAgenticSpine,
                                    Source::kImmutableLog};
  for (std::size_t n = 1; n <= 4; ++n) {
    std::vector<Opinion> opinions;
    double mean = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      opinions.push_back(opinion(sources[i], confidences[i]));
      mean += core::logit(confidences[i]) / static_cast<double>(n);
    }
    const double expected = core::logistic(core::extremising_factor(static_cast<double>(n)) * mean);
    for (const double weight : {0.25, 1.0, 2.0}) {
      EXPECT_NEAR(fuse(opinions, Weights{weight, weight, weight, weight}, kShared).confidence,
                  expected, 1e-12)
          << n << " at weight " << weight;
    }
  }
}

TEST(Fusion, OneSourceKeepsItsConfidenceToTheLastBit) {
  for (const double confidence : {0.5, 0.7, 0.80, 0.87, 1.0}) {
    const Fused fused =
        fuse({opinion(Source::kProactiveMl, confidence)}, Weights{0.3, 0.3, 0.3, 0.3}, kShared);
    EXPECT_EQ(fused.confidence, confidence);
    EXPECT_EQ(sum_of_parts(fused), fused.log_odds);
  }
}

TEST(Fusion, ASourceSpeaksOnceWithItsStrongest) {
  const Fused fused =
      fuse({opinion(Source::kImmutableLog, 0.81, {1}), opinion(Source::kImmutableLog, 0.90, {2}),
            opinion(Source::kImmutableLog, 0.85, {3})},
           kEqual, kShared);
  EXPECT_EQ(fused.confidence, 0.90);
  EXPECT_EQ(fused.contributions.size(), 1u);
}

TEST(Fusion, FindingsOnTheSameEventsCountOnce) {
  const std::vector<std::uint64_t> events{10, 11, 12, 13};
  const Fused same = fuse({opinion(Source::kImmutableLog, 0.88, events),
                           opinion(Source::kAgenticSpine, 0.85, {12, 13, 14})},
                          kEqual, kShared);
  EXPECT_EQ(same.confidence, 0.88);
  ASSERT_EQ(same.contributions.size(), 2u);
  EXPECT_TRUE(same.contributions[0].independent);
  EXPECT_FALSE(same.contributions[1].independent);
  EXPECT_EQ(same.contributions[1].log_odds, 0.0);
  const Fused apart = fuse({opinion(Source::kImmutableLog, 0.88, events),
                            opinion(Source::kAgenticSpine, 0.85, {13, 14, 15})},
                           kEqual, kShared);
  EXPECT_GT(apart.confidence, 0.88) << "one of three is not the same evidence";
}

TEST(Fusion, ASourceWithOtherEvidenceStillSpeaks) {
  const Fused fused = fuse(
      {opinion(Source::kImmutableLog, 0.90, {1, 2}), opinion(Source::kAgenticSpine, 0.88, {1, 2}),
       opinion(Source::kAgenticSpine, 0.80, {7, 8})},
      kEqual, kShared);
  ASSERT_EQ(fused.contributions.size(), 2u);
  EXPECT_TRUE(fused.contributions[1].independent);
  EXPECT_EQ(fused.contributions[1].confidence, 0.80);
  EXPECT_GT(fused.confidence, 0.90);
}

TEST(Fusion, AgreementNeverLowersAndWeightsMatter) {
  const double timid =
      fuse({opinion(Source::kImmutableLog, 0.88), opinion(Source::kProactiveMl, 0.55)}, kEqual,
           kShared)
          .confidence;
  EXPECT_EQ(timid, 0.88) << "a hesitant yes is not a no";
  const auto with_weight = [](double weight) {
    return fuse({opinion(Source::kImmutableLog, 0.88), opinion(Source::kAgenticSpine, 0.85)},
                Weights{1.0, 1.0, weight, 1.0}, kShared)
        .confidence;
  };
  EXPECT_LT(with_weight(0.25), with_weight(1.0));
  EXPECT_GE(with_weight(0.25), 0.88);
  EXPECT_NEAR(with_weight(1e-9), 0.88, 1e-6) << "a source of vanishing weight counts as none";
}

TEST(Fusion, PropertiesHoldOnManyRandomCases) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    std::vector<Opinion> opinions;
    Weights weights{};
    double strongest = 0.0;
    std::uint64_t state = core::mix(seed + 1);
    const auto next = [&] { return static_cast<double>((state = core::mix(state + 1)) % 1000); };
    for (double& weight : weights) weight = 0.25 + 1.75 * next() / 1000.0;
    const auto count = 1 + static_cast<std::size_t>(next()) % 6;
    for (std::size_t i = 0; i < count; ++i) {
      const auto source = static_cast<Source>(static_cast<std::size_t>(next()) % 4);
      opinions.push_back(
          opinion(source, 0.5 + 0.5 * next() / 1000.0, {static_cast<std::uint64_t>(next()) % 5}));
      strongest = std::max(strongest, opinions.back().confidence);
    }
    const Fused fused = fuse(opinions, weights, kShared);
    EXPECT_EQ(sum_of_parts(fused), fused.log_odds) << seed;
    EXPECT_GE(fused.confidence, strongest - 1e-12) << seed;
    EXPECT_LE(fused.confidence, 1.0);
    EXPECT_LE(fused.log_odds, std::sqrt(3.0) * core::logit(strongest) + 1e-9)
        << "extremising is bounded by sqrt(3) of the strongest, seed " << seed;
  }
}

}  // namespace
}  // namespace grace::correlate
