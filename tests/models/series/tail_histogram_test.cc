#include "grace/models/tail_histogram.h"

#include <gtest/gtest.h>

#include <limits>

#include "../dice.h"

namespace grace::models {
namespace {

using testing::uniform_at;

TEST(TailHistogram, KnowsNothingAtFirst) {
  const TailHistogram tail;
  EXPECT_EQ(tail.total(), 0U);
  EXPECT_EQ(tail.middle(1.0), 0.5);
  EXPECT_EQ(tail.conservative(1.0), 1.0);
}

TEST(TailHistogram, FollowsTheShareOfLargerValues) {
  TailHistogram tail;
  for (std::uint64_t i = 0; i < 10'000; ++i) tail.add(uniform_at(i));
  // A bin is at most 1/8 of its octave wide.
  for (const double share : {0.5, 0.2, 0.05}) {
    EXPECT_NEAR(tail.middle(1.0 - share), share, 0.06) << share;
  }
  EXPECT_LT(tail.middle(2.0), 1e-4);
  EXPECT_GT(tail.middle(1e-9), 0.99);
}

TEST(TailHistogram, IsConservativeUnderExchangeability) {
  TailHistogram tail;
  int at_most_1 = 0;
  int at_most_10 = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const double heavy = 1.0 / (1.0 - uniform_at(i) + 1e-9);  // infinite mean
    const double p = tail.conservative(heavy);
    at_most_1 += p <= 0.01 ? 1 : 0;
    at_most_10 += p <= 0.10 ? 1 : 0;
    tail.add(heavy);
  }
  EXPECT_LE(at_most_1, 220);
  EXPECT_GT(at_most_1, 100);
  EXPECT_LE(at_most_10, 2'100);
  EXPECT_GT(at_most_10, 1'500);
}

TEST(TailHistogram, DoesNotDependOnTheUnit) {
  TailHistogram small;
  TailHistogram large;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    EXPECT_EQ(small.middle(uniform_at(i)), large.middle(uniform_at(i) * 0x1p20)) << i;
    small.add(uniform_at(i));
    large.add(uniform_at(i) * 0x1p20);
  }
}

TEST(TailHistogram, CountsTies) {
  TailHistogram tail;
  for (int i = 0; i < 99; ++i) tail.add(0.0);
  EXPECT_EQ(tail.middle(0.0), 0.5);
  EXPECT_EQ(tail.conservative(0.0), 1.0);
  EXPECT_EQ(tail.middle(1.0), 0.005);
  EXPECT_EQ(tail.conservative(1.0), 0.01);
}

TEST(TailHistogram, TakesAnyMagnitude) {
  TailHistogram tail;
  for (const double value : {0.0, std::numeric_limits<double>::denorm_min(), 1e-300, 1.0, 1e300,
                             std::numeric_limits<double>::max()}) {
    tail.add(value);
  }
  EXPECT_EQ(tail.total(), 6U);
  EXPECT_LT(tail.middle(1e300), tail.middle(1.0));
  EXPECT_LT(tail.middle(1.0), tail.middle(1e-300));
}

TEST(TailHistogram, FadesWhatIsOld) {
  TailHistogram tail;
  for (int i = 0; i < 1'000; ++i) tail.add(100.0);
  for (std::uint32_t i = 0; i < 10 * TailHistogram::kTotalMax; ++i) {
    tail.add(1.0);
    ASSERT_LT(tail.total(), TailHistogram::kTotalMax);
  }
  // A 2^-10th of a thousand, but not forgotten.
  EXPECT_LT(tail.conservative(100.0), 1e-3);
  EXPECT_GT(tail.conservative(100.0), tail.conservative(200.0));
}

// Against the counts themselves, over halvings, a range that grows both ways and ties.
TEST(TailHistogram, CommonIsNeverRareAndRareIsSeldomCommon) {
  TailHistogram tail;
  int rare = 0;
  int not_common = 0;
  constexpr int kValues = 3 * static_cast<int>(TailHistogram::kTotalMax);
  for (std::uint64_t i = 0; i < kValues; ++i) {
    const double level = i % 40'000 < 20'000 ? 1.0 : 1e-4;
    const double value = uniform_at(3 * i) < 0.1 ? 0.0 : level / (1.0 - uniform_at(3 * i + 1));
    const bool is_rare = tail.middle(value) < TailHistogram::kRare;
    ASSERT_FALSE(is_rare && tail.common(value)) << i;
    rare += is_rare ? 1 : 0;
    not_common += tail.common(value) ? 0 : 1;
    tail.add(value);
  }
  EXPECT_GT(rare, kValues / 1000);
  EXPECT_LT(not_common, 4 * rare + kValues / 50);
}

}  // namespace
}  // namespace grace::models
