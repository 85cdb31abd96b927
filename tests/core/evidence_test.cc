#include "grace/core/evidence.h"

#include <gtest/gtest.h>

#include <cmath>

namespace grace::core {
namespace {

TEST(Evidence, LogGammaAgreesWithTheLibrary) {
  for (const double x : {0.25, 0.5, 1.0, 2.0, 7.5, 9.99, 10.0, 123.4, 1e6}) {
    EXPECT_NEAR(log_gamma(x), std::lgamma(x), 1e-10 * std::fabs(std::lgamma(x)) + 1e-10) << x;
  }
}

TEST(Evidence, ShareRiseSumsTheBetaBinomial) {
  // Uniform belief: every count is equally likely under both, so no count is evidence.
  EXPECT_NEAR(log_bayes_share_rise({1.0, 1.0}, 7.0, 12.0), 0.0, 1e-9);
  // Three of three against a belief of 1 in 400: (.5 1.5 2.5) / (200 201 202) against 1/4.
  const double same = 0.5 * 1.5 * 2.5 / (200.0 * 201.0 * 202.0);
  EXPECT_NEAR(log_bayes_share_rise({0.5, 199.5}, 3.0, 3.0), std::log(0.25 / same), 1e-9);
}

TEST(Evidence, FewerThanBelievedIsNeverARise) {
  EXPECT_LE(log_bayes_share_rise({500.0, 500.0}, 0.0, 200.0), 0.0);
  EXPECT_LE(log_bayes_rate_rise({100.0, 10.0}, 0.0, 1.0, 10.0), 0.0);
}

TEST(Evidence, RateRiseIsStrongWhereTheBaselineIsQuietAndWeakWhereItIsNot) {
  EXPECT_GT(log_bayes_rate_rise({0.5, 20.0}, 3.0, 1.0, 10.0), std::log(100.0));
  EXPECT_LT(log_bayes_rate_rise({300.5, 100.0}, 3.0, 1.0, 10.0), 0.0);
}

TEST(Evidence, TailsAgreeWithTables) {
  EXPECT_NEAR(upper_tail_of_deviation(2.015), 0.05, 1e-4);  // t table, 5 degrees of freedom
  EXPECT_NEAR(upper_tail_of_deviation(-2.015), 0.95, 1e-4);
  EXPECT_NEAR(upper_tail_of_deviation(4.032), 0.005, 1e-5);
  EXPECT_NEAR(upper_tail_of_normal(1.6449), 0.05, 1e-5);
}

TEST(Evidence, BoundFromPFallsWithP) {
  EXPECT_EQ(log_bayes_from_p(0.5), 0.0);
  EXPECT_NEAR(log_bayes_from_p(0.05), std::log(2.456), 1e-3);
  EXPECT_GT(log_bayes_from_p(1e-6), log_bayes_from_p(1e-4));
}

TEST(Evidence, ConfirmationsAreSceptical) {
  EXPECT_DOUBLE_EQ(confirmed(0.0), 0.0);
  EXPECT_DOUBLE_EQ(confirmed(7.0), 0.875);
}

}  // namespace
}  // namespace grace::core
