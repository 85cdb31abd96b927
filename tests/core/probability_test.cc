#include "grace/core/probability.h"

#include <gtest/gtest.h>

#include <cmath>

namespace grace::core {
namespace {

TEST(Logit, InvertsAndIsNeverInfinite) {
  for (const double p : {0.001, 0.25, 0.5, 0.88, 0.999}) EXPECT_NEAR(logistic(logit(p)), p, 1e-12);
  EXPECT_EQ(logit(0.5), 0.0);
  EXPECT_TRUE(std::isfinite(logit(0.0)));
  EXPECT_TRUE(std::isfinite(logit(1.0)));
  EXPECT_NEAR(logit(0.0), -logit(1.0), 1e-9);
  EXPECT_EQ(logistic(-1e9), 0.0);
  EXPECT_EQ(logistic(1e9), 1.0);
}

TEST(ExtremisingFactor, IsThePublishedFormula) {
  EXPECT_DOUBLE_EQ(extremising_factor(1.0), 1.0);
  for (const double n : {2.0, 3.0, 4.0, 10.0}) {
    const double formula = n * (std::sqrt(3.0 * n * n - 3.0 * n + 1.0) - 2.0) / (n * n - n - 1.0);
    EXPECT_NEAR(extremising_factor(n), formula, 1e-12);
  }
  EXPECT_NEAR(extremising_factor(1e9), std::sqrt(3.0), 1e-6);
  // The document's example: 0.88 with 0.85 gives about 0.92.
  EXPECT_NEAR(logistic(extremising_factor(2.0) * (logit(0.88) + logit(0.85)) / 2.0), 0.917, 0.001);
}

TEST(BetaCdf, AgreesWithClosedForms) {
  for (const double x : {0.0, 0.1, 0.5, 0.77, 1.0}) {
    EXPECT_NEAR(beta_cdf(x, 1.0, 1.0), x, 1e-12);
    EXPECT_NEAR(beta_cdf(x, 3.0, 1.0), x * x * x, 1e-12);
    EXPECT_NEAR(beta_cdf(x, 1.0, 4.0), 1.0 - std::pow(1.0 - x, 4.0), 1e-12);
    EXPECT_NEAR(beta_cdf(x, 0.5, 0.5), 2.0 / M_PI * std::asin(std::sqrt(x)), 1e-12);
    EXPECT_NEAR(beta_cdf(x, 2.0, 2.0), x * x * (3.0 - 2.0 * x), 1e-12);
    EXPECT_NEAR(beta_cdf(x, 70.0, 30.0) + beta_cdf(1.0 - x, 30.0, 70.0), 1.0, 1e-12);
  }
  EXPECT_EQ(beta_cdf(-1.0, 2.0, 3.0), 0.0);
  EXPECT_EQ(beta_cdf(2.0, 2.0, 3.0), 1.0);
}

TEST(BetaQuantile, InvertsTheCdf) {
  for (const double p : {0.05, 0.5, 0.95}) {
    EXPECT_NEAR(beta_cdf(beta_quantile(p, 6.0, 1.0), 6.0, 1.0), p, 1e-7);
    EXPECT_NEAR(beta_cdf(beta_quantile(p, 0.5, 20.0), 0.5, 20.0), p, 1e-4);
  }
  // Five failures of five: the lower credible bound of the failure rate is over one half.
  EXPECT_GT(beta_quantile(0.05, 6.0, 1.0), 0.5);
}

}  // namespace
}  // namespace grace::core
