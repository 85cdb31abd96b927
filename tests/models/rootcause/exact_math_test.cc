#include "exact_math.h"

#include <gtest/gtest.h>

#include <cmath>

namespace grace::models {
namespace {

TEST(ExactMath, LogAndExpAgreeWithTheLibraryToTwelveDigits) {
  for (double x = 1e-300; x < 1e300; x *= 1.37) {
    EXPECT_NEAR(exact_log(x), std::log(x), 1e-12 * std::max(1.0, std::fabs(std::log(x)))) << x;
  }
  for (double x = -600.0; x < 600.0; x += 0.37) {
    EXPECT_NEAR(exact_exp(x) / std::exp(x), 1.0, 1e-11) << x;
  }
  EXPECT_EQ(exact_log(1.0), 0.0);
  EXPECT_EQ(exact_exp(0.0), 1.0);
  EXPECT_EQ(exact_exp(-1e9), 0.0);
}

}  // namespace
}  // namespace grace::models
