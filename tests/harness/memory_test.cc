#include "grace/harness/memory.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "grace/core/hash.h"
#include "grace/harness/machine.h"

namespace grace::harness {
namespace {

constexpr double kMiB = 1 << 20;
constexpr double kHourS = 3600.0;

// A sample each four seconds of an hour, with noise of up to 1 MiB to each side.
std::vector<MemorySample> hour(const std::function<double(double)>& bytes_at,
                               std::uint64_t seed = 1) {
  std::vector<MemorySample> samples;
  for (double at_s = 0.0; at_s <= kHourS; at_s += 4.0) {
    const double noise = double(core::mix(seed * 1'000'003 + samples.size()) >> 11) * 0x1p-52 - 1.0;
    samples.push_back({at_s, bytes_at(at_s) + noise * kMiB});
  }
  return samples;
}

TEST(MemoryTrend, IsFlatWhereMemoryHasFilledInTheFirstHalf) {
  const auto trend = memory_trend(
      hour([](double at_s) { return 300 * kMiB * (1.0 - std::exp(-at_s / 200.0)); }), 0.01);
  ASSERT_TRUE(trend.has_value());
  EXPECT_TRUE(trend->flat) << trend->growth_high;
  EXPECT_NEAR(trend->level_bytes, 300 * kMiB, kMiB);
  EXPECT_LT(trend->slope_low, trend->slope_per_s);
  EXPECT_LT(trend->slope_per_s, trend->slope_high);
}

TEST(MemoryTrend, SeesALeakThatTheNoiseHides) {
  constexpr double kLeak = 6 * kMiB / 1800.0;  // 6 MiB, 2%, over the second half
  const auto trend =
      memory_trend(hour([](double at_s) { return 300 * kMiB + kLeak * at_s; }), 0.01);
  ASSERT_TRUE(trend.has_value());
  EXPECT_FALSE(trend->flat);
  EXPECT_NEAR(trend->slope_per_s, kLeak, 0.1 * kLeak);
  EXPECT_TRUE(memory_trend(hour([](double at_s) { return 300 * kMiB + kLeak * at_s; }), 0.05)->flat)
      << "where so much is allowed";
}

TEST(MemoryTrend, IsNotBentByAPeakOrMadeFlatByADrop) {
  const auto peak =
      memory_trend(hour([](double at_s) { return (at_s > 3500.0 ? 600 : 300) * kMiB; }), 0.01);
  EXPECT_TRUE(peak->flat) << "3% of the time at the end";
  EXPECT_TRUE(
      memory_trend(hour([](double at_s) { return (310 - at_s / 360.0) * kMiB; }), 0.01)->flat)
      << "it shrinks";
}

// The interval is what it says: of noise without a slope, about one in twenty is above and below.
TEST(MemoryTrend, HoldsTheSlopeNineTimesInTen) {
  int above = 0;
  int below = 0;
  constexpr int kRuns = 400;
  for (int run = 0; run < kRuns; ++run) {
    const auto trend = memory_trend(hour([](double) { return 300 * kMiB; }, 7 + run), 0.01);
    above += trend->slope_low > 0.0 ? 1 : 0;
    below += trend->slope_high < 0.0 ? 1 : 0;
  }
  EXPECT_NEAR(above, kRuns / 20, 14);
  EXPECT_NEAR(below, kRuns / 20, 14);
}

TEST(MemoryTrend, NeedsSamples) {
  EXPECT_FALSE(memory_trend({}, 0.01).has_value());
  std::vector<MemorySample> few;
  for (int i = 0; i < 20; ++i) few.push_back({double(i), kMiB});
  const auto refused = memory_trend(few, 0.01);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("10 samples"), std::string::npos);
  for (int i = 20; i < 40; ++i) few.push_back({double(i), kMiB});
  const auto still = memory_trend(few, 0.01);
  ASSERT_TRUE(still.has_value());
  EXPECT_EQ(still->slope_high, 0.0);
  EXPECT_TRUE(still->flat);
}

TEST(Machine, SaysWhatThisProcessHasInMemory) {
  const std::uint64_t before = resident_bytes();
  EXPECT_GT(before, 1U << 20);
  std::vector<char> filled(32U << 20, 'x');
  EXPECT_GT(resident_bytes(), before + (16U << 20)) << filled.back();
}

}  // namespace
}  // namespace grace::harness
