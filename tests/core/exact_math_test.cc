#include "grace/core/exact_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace grace::core {
namespace {

TEST(ExactMath, LogAgreesWithTheLibrary) {
  for (double x = 1e-300; x < 1e300; x *= 1.37) {
    const double wanted = std::log(x);
    EXPECT_NEAR(exact_log(x), wanted, 1e-14 * std::max(1.0, std::fabs(wanted))) << x;
  }
  for (const double x : {0.70710678, 0.7071068, 0.9999, 1.0001, 1.4142135, 1.4142136}) {
    EXPECT_NEAR(exact_log(x), std::log(x), 1e-14) << x;
  }
  EXPECT_EQ(exact_log(1.0), 0.0);
}

TEST(ExactMath, ExpAgreesWithTheLibrary) {
  for (double x = -699.0; x < 700.0; x += 0.37) {
    EXPECT_NEAR(exact_exp(x) / std::exp(x), 1.0, 1e-12) << x;
  }
  EXPECT_EQ(exact_exp(0.0), 1.0);
  EXPECT_EQ(exact_exp(-1e9), 0.0);
  EXPECT_EQ(exact_exp(std::numeric_limits<double>::quiet_NaN()), 0.0);
  EXPECT_EQ(exact_exp(1e9), exact_exp(700.0));
}

// Bits, not values: what was decided on one machine must be decided on every other.
TEST(ExactMath, GivesTheSameBitsEverywhere) {
  EXPECT_EQ(std::bit_cast<std::uint64_t>(exact_log(10.0)), 0x40026bb1bbb55516U);
  EXPECT_EQ(std::bit_cast<std::uint64_t>(exact_log(1.0 / 5000)), 0xc02108cd8bc5b177U);
  EXPECT_EQ(std::bit_cast<std::uint64_t>(exact_exp(1.0)), 0x4005bf0a8b14576aU);
  EXPECT_EQ(std::bit_cast<std::uint64_t>(exact_exp(-12.75)), 0x3ec858af84b74310U);
}

}  // namespace
}  // namespace grace::core
