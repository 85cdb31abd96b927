#include "grace/core/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "stress_value.h"

namespace grace::core {
namespace {

TEST(LatencyHistogram, IsEmptyAtFirst) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.percentile(0.99), 0);
  EXPECT_EQ(histogram.min(), 0);
  EXPECT_EQ(histogram.max(), 0);
  EXPECT_EQ(histogram.mean(), 0.0);
}

TEST(LatencyHistogram, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (std::int64_t value = 0; value < 256; ++value) histogram.record(value);
  for (std::int64_t value = 0; value < 256; ++value) {
    EXPECT_EQ(histogram.percentile(static_cast<double>(value + 1) / 256.0), value);
  }
}

TEST(LatencyHistogram, EveryMagnitudeStaysWithinTheStatedError) {
  for (int power = 0; power < 63; ++power) {
    for (const std::int64_t offset : {-1, 0, 1}) {
      const std::int64_t value = (std::int64_t{1} << power) + offset;
      LatencyHistogram histogram;
      histogram.record(value);
      histogram.record(std::numeric_limits<std::int64_t>::max());
      const std::int64_t shown = histogram.percentile(0.5);
      EXPECT_GE(shown, value);
      EXPECT_LE(static_cast<double>(shown - value), static_cast<double>(value) / 128.0) << value;
      EXPECT_EQ(histogram.percentile(1.0), std::numeric_limits<std::int64_t>::max());
    }
  }
}

TEST(LatencyHistogram, PercentilesAgreeWithSorting) {
  std::mt19937_64 random(stress_seed());
  std::lognormal_distribution<double> latency(10.0, 2.0);
  LatencyHistogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::int64_t>(latency(random)));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const auto rank = static_cast<std::size_t>(
        std::max(1.0, std::ceil(share * static_cast<double>(values.size()))));
    const std::int64_t truth = values[rank - 1];
    const std::int64_t shown = histogram.percentile(share);
    EXPECT_GE(shown, truth) << share;
    EXPECT_LE(static_cast<double>(shown), static_cast<double>(truth) * (1 + 1.0 / 128) + 1)
        << share;
  }
  EXPECT_EQ(histogram.min(), values.front());
  EXPECT_EQ(histogram.max(), values.back());
}

// As an objective in percent gives it: 99.9 / 100 is not the number 0.999.
TEST(LatencyHistogram, ASharePointIsNotRoundedToTheNextRank) {
  for (const double percent : {7.0, 55.0, 99.0, 99.9, 99.99, 99.999}) {
    for (const std::uint64_t count : {100'000ULL, 1'000'000ULL, 4'000'000'000'000ULL}) {
      const auto worse = static_cast<std::uint64_t>(std::llround((100.0 - percent) * 1000.0) *
                                                    static_cast<std::int64_t>(count / 100'000));
      LatencyHistogram exact;
      exact.record_n(1, count - worse);
      exact.record_n(2, worse);
      EXPECT_EQ(exact.percentile(percent / 100.0), 1) << percent << " of " << count;
      LatencyHistogram one_more;
      one_more.record_n(1, count - worse - 1);
      one_more.record_n(2, worse + 1);
      EXPECT_EQ(one_more.percentile(percent / 100.0), 2) << percent << " of " << count;
    }
  }
}

TEST(LatencyHistogram, MergeEqualsRecordingTogether) {
  std::mt19937_64 random(stress_seed());
  LatencyHistogram a, b, both;
  for (int i = 0; i < 5000; ++i) {
    const auto value = static_cast<std::int64_t>(random() >> (random() % 60 + 4));
    (i % 3 == 0 ? a : b).record(value);
    both.record(value);
  }
  a.record(-5);
  both.record(-5);
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.min(), both.min());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_EQ(a.mean(), both.mean());
  EXPECT_EQ(a.negative_count(), 1U);
  for (int i = 0; i <= 100; ++i) ASSERT_EQ(a.percentile(i / 100.0), both.percentile(i / 100.0));
}

TEST(LatencyHistogram, CountsWhatIsAboveALimit) {
  LatencyHistogram histogram;
  histogram.record_n(100, 5);
  histogram.record_n(5000, 3);
  EXPECT_EQ(histogram.count_above(-1), 8U);
  EXPECT_EQ(histogram.count_above(99), 8U);
  EXPECT_EQ(histogram.count_above(100), 3U);
  EXPECT_EQ(histogram.count_above(1'000'000), 0U);
}

TEST(LatencyHistogram, CorrectsForRequestsThatWereNotSent) {
  LatencyHistogram histogram;
  histogram.record_corrected(100, 30);  // also the ones that would have waited 70 and 40
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_EQ(histogram.min(), 40);
  histogram.record_corrected(10, 0);
  EXPECT_EQ(histogram.count(), 4U);
}

}  // namespace
}  // namespace grace::core
