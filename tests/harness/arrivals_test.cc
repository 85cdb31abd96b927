#include "grace/harness/arrivals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace grace::harness {
namespace {

ArrivalConfig config_of(ArrivalKind kind, double rate) {
  ArrivalConfig config;
  config.kind = kind;
  config.rate = rate;
  return config;
}

std::vector<double> gaps_of(const ArrivalConfig& config, std::size_t count) {
  ArrivalSchedule schedule(config);
  std::vector<double> gaps;
  std::int64_t last = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t at = schedule.next_ns();
    EXPECT_GE(at, last);
    gaps.push_back(double(at - last));
    last = at;
  }
  return gaps;
}

struct Moments {
  double mean = 0.0, variation = 0.0;  // variation: deviation / mean
};
Moments moments_of(const std::vector<double>& values) {
  Moments moments;
  for (const double value : values) moments.mean += value / double(values.size());
  double square = 0.0;
  for (const double value : values) square += (value - moments.mean) * (value - moments.mean);
  moments.variation = std::sqrt(square / double(values.size())) / moments.mean;
  return moments;
}

TEST(Arrivals, ConstantOnesDoNotDrift) {
  const ArrivalConfig config = config_of(ArrivalKind::kConstant, 3e6);
  ArrivalSchedule schedule(config);
  std::int64_t at = 0;
  for (int i = 0; i <= 30'000'000; ++i) at = schedule.next_ns();
  EXPECT_NEAR(double(at), 10e9, 1.0);
}

// A rate of one in a thousand years, a gap near the largest number: they come late, not before 0.
TEST(Arrivals, ThoseThatNeverComeDoNotOverflow) {
  for (const ArrivalKind kind :
       {ArrivalKind::kConstant, ArrivalKind::kPoisson, ArrivalKind::kBursty}) {
    for (const double rate : {1e-11, 1e-310}) gaps_of(config_of(kind, rate), 100);
  }
  ArrivalConfig recorded = config_of(ArrivalKind::kRecorded, 0.0);
  recorded.gaps_ns = {9'000'000'000'000'000'000, 9'000'000'000'000'000'000};
  gaps_of(recorded, 100);
}

TEST(Arrivals, PoissonGapsHaveTheirMeanAndVariation) {
  const Moments moments = moments_of(gaps_of(config_of(ArrivalKind::kPoisson, 50'000.0), 400'000));
  EXPECT_NEAR(moments.mean, 20'000.0, 200.0);
  EXPECT_NEAR(moments.variation, 1.0, 0.01);
}

TEST(Arrivals, BurstsKeepTheRateAndTheirPartOfThePeriod) {
  ArrivalConfig config = config_of(ArrivalKind::kBursty, 100'000.0);
  config.burst_period = std::chrono::milliseconds(10);
  config.burst_on_share = 0.25;
  ArrivalSchedule schedule(config);
  std::int64_t at = 0;
  for (int i = 0; i < 200'000; ++i) {
    at = schedule.next_ns();
    ASSERT_LT(at % 10'000'000, 2'500'001) << "in the quiet part";
  }
  EXPECT_NEAR(double(at), 2e9, 0.02e9);
}

TEST(Arrivals, RecordedGapsRepeatAndStretchToTheRate) {
  ArrivalConfig config = config_of(ArrivalKind::kRecorded, 0.0);
  config.gaps_ns = {100, 300, 200};
  EXPECT_EQ(gaps_of(config, 5), (std::vector<double>{100, 300, 200, 100, 300}));
  config.rate = 1e9 / 400.0;  // they come at one each 200 ns
  EXPECT_EQ(gaps_of(config, 4), (std::vector<double>{200, 600, 400, 200}));
}

TEST(Arrivals, TheSameSeedGivesTheSameTimesAndAnotherOneOthers) {
  ArrivalConfig config = config_of(ArrivalKind::kPoisson, 1000.0);
  const auto first = gaps_of(config, 100);
  EXPECT_EQ(first, gaps_of(config, 100));
  config.seed = 2;
  EXPECT_NE(first, gaps_of(config, 100));
}

TEST(Arrivals, RefuseWhatIsNoSchedule) {
  const auto refused = [](ArrivalConfig config, const char* word) {
    const auto result = validated(std::move(config));
    ASSERT_FALSE(result.has_value()) << word;
    EXPECT_NE(result.error().message.find(word), std::string::npos) << result.error().message;
  };
  refused(config_of(ArrivalKind::kPoisson, 0.0), "rate");
  refused(config_of(ArrivalKind::kConstant, 2e9), "rate");
  refused(config_of(ArrivalKind::kPoisson, std::nan("")), "rate");
  ArrivalConfig bursty = config_of(ArrivalKind::kBursty, 10.0);
  bursty.burst_on_share = 0.0;
  refused(bursty, "burst_on_share");
  ArrivalConfig recorded = config_of(ArrivalKind::kRecorded, 10.0);
  refused(recorded, "gaps_ns");
  recorded.gaps_ns = {0, 0};
  refused(recorded, "gaps_ns");
}

TEST(Arrivals, AGapThatIsNoNumberIsNamedWithItsLine) {
  const std::string path = std::filesystem::temp_directory_path() / "grace_gaps_test";
  std::ofstream(path) << "100\n250\n";
  EXPECT_EQ(read_gaps(path).value(), (std::vector<std::int64_t>{100, 250}));
  std::ofstream(path) << "100\n-5\n";
  const auto bad = read_gaps(path);
  std::filesystem::remove(path);
  ASSERT_FALSE(bad.has_value());
  EXPECT_NE(bad.error().message.find(":2: '-5'"), std::string::npos) << bad.error().message;
  EXPECT_EQ(read_gaps(path).error().code, core::ErrorCode::kIo);
}

}  // namespace
}  // namespace grace::harness
