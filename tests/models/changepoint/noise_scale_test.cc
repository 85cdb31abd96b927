#include "grace/models/noise_scale.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../dice.h"

namespace grace::models {
namespace {

using testing::Dice;

TEST(SortedWindow, MedianAndMeanOfTheNewest) {
  SortedWindow window;
  EXPECT_EQ(window.median(), 0.0);
  EXPECT_EQ(window.mean(), 0.0);
  std::vector<double> all;
  Dice dice(1);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    // Coarse, so that equal values leave and stay.
    all.push_back(std::floor(dice.uniform() * 20.0) - 10.0);
    window.push(all.back());
    std::vector<double> newest(all.end() - static_cast<std::ptrdiff_t>(window.size()), all.end());
    std::sort(newest.begin(), newest.end());
    const std::size_t n = newest.size();
    ASSERT_EQ(n, std::min(all.size(), SortedWindow::kCapacity));
    ASSERT_EQ(window.median(), 0.5 * newest[(n - 1) / 2] + 0.5 * newest[n / 2]);
    double sum = 0.0;
    for (const double value : newest) sum += value;
    ASSERT_NEAR(window.mean(), sum / static_cast<double>(n), 1e-9);
  }
}

TEST(NoiseScale, OfWhiteNoiseIsOneWhateverTheShift) {
  NoiseScale scale;
  Dice dice(2);
  for (int i = 0; i < 128; ++i) scale.push(dice.normal() + (i < 64 ? 0.0 : 100.0));
  EXPECT_NEAR(scale.deviation(), 1.0, 0.25);
  EXPECT_GT(scale.independence(), 0.6);
}

TEST(NoiseScale, AutocorrelationTakesIndependenceAway) {
  // One window of 128 values says little of it; the mean of many does.
  constexpr int kSeries = 50;
  double of_walks = 0.0;
  double of_smooth = 0.0;
  for (int seed = 1; seed <= kSeries; ++seed) {
    NoiseScale walk;
    NoiseScale smooth;
    Dice dice(static_cast<std::uint64_t>(seed));
    double at = 0.0;
    double level = 0.0;
    for (int i = 0; i < 200; ++i) {
      at += dice.normal();
      level = 0.6 * level + 0.8 * dice.normal();
      walk.push(at);
      smooth.push(level);
    }
    of_walks += walk.independence() / kSeries;
    of_smooth += smooth.independence() / kSeries;
  }
  EXPECT_LT(of_walks, 0.15);
  EXPECT_NEAR(of_smooth, 0.25, 0.08);  // (1 - 0.6) / (1 + 0.6)
}

TEST(NoiseScale, RepeatedValuesHaveTheMeanOfTheDifferences) {
  NoiseScale scale;
  for (int i = 0; i < 200; ++i) scale.push(i % 10 == 0 ? 1.0 : 0.0);
  EXPECT_GT(scale.deviation(), 0.05);
  NoiseScale constant;
  for (int i = 0; i < 200; ++i) constant.push(4.0);
  EXPECT_EQ(constant.deviation(), 0.0);
  EXPECT_EQ(constant.independence(), 1.0);
}

}  // namespace
}  // namespace grace::models
