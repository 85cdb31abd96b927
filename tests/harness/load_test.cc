// The harness's own truth: what it says of servers about which arithmetic or theory says all.
#include <gtest/gtest.h>

#include "grace/harness/queueing.h"
#include "simulated.h"

namespace grace::harness::testing {
namespace {

// Histogram buckets are up to 0.78% wide.
constexpr double kBucket = 0.0079;

void expect_near_share(double got, double wanted, double share, const char* what) {
  EXPECT_NEAR(got, wanted, wanted * share) << what;
}

// --- a service that stops for 100 ms ---

constexpr double kRate = 10'000.0;  // a gap of 100 us
constexpr double kServiceNs = 10'000.0;
constexpr LoadSpan kTenSeconds{0, 10 * kS, 1 * kS};

ServerConfig stopped_server() {
  ServerConfig server;
  server.service_ns = constant(kServiceNs);
  server.stops = {{3 * kS, 3 * kS + 100 * kMs}};
  return server;
}

// The n-th arrival after the stop's begin is due n gaps into it and done when those before it are:
// it waits 100 ms + (n + 1) services - n gaps, 90 us less than the one before. So of 100,000
// arrivals, the k-th worst has waited 100.01 ms - k * 90 us, down to the 1,111th.
double kth_worst_ns(double k) {
  return 100e6 + kServiceNs - k * (1e9 / kRate - kServiceNs);
}

TEST(OpenLoop, AStopOf100MsIsInThePercentilesAsArithmeticSays) {
  const LoadResult result =
      simulate(stopped_server(), arrivals_at(ArrivalKind::kConstant, kRate), kTenSeconds);
  ASSERT_EQ(result.arrivals, 100'000U);
  EXPECT_EQ(result.completed, 100'000U);
  const auto percentile = [&](double share) { return double(result.response.percentile(share)); };
  expect_near_share(percentile(0.5), kServiceNs, kBucket, "p50");
  expect_near_share(percentile(0.98), kServiceNs, kBucket, "p98: only 1.1% were hit");
  expect_near_share(percentile(0.99), kth_worst_ns(1'000), 0.02, "p99");
  expect_near_share(percentile(0.995), kth_worst_ns(500), kBucket, "p99.5");
  expect_near_share(percentile(0.999), kth_worst_ns(100), kBucket, "p99.9");
  expect_near_share(percentile(0.9999), kth_worst_ns(10), kBucket, "p99.99");
  EXPECT_NEAR(double(result.response.max()), kth_worst_ns(0), 100'000.0);
  EXPECT_FALSE(result.trend.growing) << "a stop is no growing backlog";
}

TEST(ClosedLoop, HidesThatStopInOneRequestOfATenThousand) {
  VirtualTime time;
  SimulatedServer server(stopped_server(), time);
  const core::LatencyHistogram latencies =
      drive_closed(std::int64_t(1e9 / kRate), 10 * kS, server, time);
  ASSERT_GT(latencies.count(), 98'000U);
  expect_near_share(double(latencies.percentile(0.999)), kServiceNs, kBucket, "p99.9");
  expect_near_share(double(latencies.percentile(0.9999)), kServiceNs, kBucket, "p99.99");
  EXPECT_EQ(latencies.count_above(50 * kMs), 1U);
}

// A full socket looks so: nothing is sent while the service stands still. From the actual send all
// is well; from the intended time it is not.
TEST(OpenLoop, ResponseTimeHoldsWhatServiceTimeHidesWhenTheTargetRefuses) {
  ServerConfig server = stopped_server();
  server.queue_max = 4;
  const LoadResult result =
      simulate(server, arrivals_at(ArrivalKind::kConstant, kRate), kTenSeconds);
  EXPECT_EQ(result.unsent, 0U);
  expect_near_share(double(result.response.percentile(0.999)), kth_worst_ns(100), kBucket, "p99.9");
  EXPECT_LE(result.service.percentile(0.999), 4 * 10 * kUs * 1.01);
  EXPECT_EQ(result.generator_delay.max(), 0) << "it was the target, not the generator";
}

TEST(OpenLoop, CountsWhatCouldNotBeSentAndKeepsItsWait) {
  ServerConfig server;
  server.service_ns = constant(kServiceNs);
  server.queue_max = 4;
  server.stops = {{5 * kS, 1000 * kS}};  // it never comes back
  const LoadResult result =
      simulate(server, arrivals_at(ArrivalKind::kConstant, kRate), kTenSeconds);
  EXPECT_EQ(result.arrivals, 100'000U);
  EXPECT_EQ(result.unfinished, 4U);
  EXPECT_NEAR(double(result.unsent), 50'000.0, 5.0);
  EXPECT_EQ(result.arrivals, result.completed + result.unfinished + result.unsent);
  EXPECT_EQ(result.response.count(), result.arrivals) << "none is left out";
  // Half wait from 1 s (the drain) to 6 s: the median of all is about that of the luckiest of them.
  expect_near_share(double(result.response.percentile(0.75)), 3.5e9, 0.02, "p75");
}

// --- servers that theory knows ---

struct Queue {
  const char* name;
  double utilization;
  bool constant_service;
};
class Theory : public ::testing::TestWithParam<Queue> {};

TEST_P(Theory, PercentilesAreWithin5Percent) {
  const Queue queue = GetParam();
  constexpr double kMeanNs = 10'000.0;
  ServerConfig server;
  server.service_ns = queue.constant_service ? constant(kMeanNs) : exponential(kMeanNs, 11);
  const double rate = queue.utilization / kMeanNs * 1e9;
  LoadSpan span{kS, std::int64_t(2e6 / rate * 1e9), kS};
  const LoadResult result = simulate(server, arrivals_at(ArrivalKind::kPoisson, rate, 7), span);
  EXPECT_NEAR(double(result.arrivals), 2e6, 2e4);
  for (const double share : {0.5, 0.9, 0.99, 0.999}) {
    const double theory = queue.constant_service ? md1_response_quantile(queue.utilization, share)
                                                 : mm1_response_quantile(queue.utilization, share);
    EXPECT_NEAR(double(result.response.percentile(share)), theory * kMeanNs,
                0.05 * theory * kMeanNs)
        << queue.name << " share " << share;
  }
}
INSTANTIATE_TEST_SUITE_P(Queues, Theory,
                         ::testing::Values(Queue{"M/D/1", 0.5, true}, Queue{"M/D/1", 0.8, true},
                                           Queue{"M/D/1", 0.9, true}, Queue{"M/M/1", 0.5, false},
                                           Queue{"M/M/1", 0.8, false}));

// Pollaczek and Khinchine: the mean wait of M/D/1 is u / (2 (1 - u)). From the quantiles by the
// trapezoid rule: the theory is checked by another piece of theory.
TEST(Queueing, QuantilesOfMd1HaveTheMeanOfPollaczekAndKhinchine) {
  for (const double utilization : {0.3, 0.6, 0.8}) {
    double mean = 0.0;
    constexpr int kSteps = 4000;
    for (int i = 0; i < kSteps; ++i) {
      mean += (md1_response_quantile(utilization, (i + 0.5) / kSteps) - 1.0) / kSteps;
    }
    const double theory = utilization / (2.0 * (1.0 - utilization));
    EXPECT_NEAR(mean, theory, 0.01 * theory) << utilization;
  }
}

// --- the backlog ---

TEST(BacklogTrend, IsNotMistakenForABurstOrNoise) {
  std::vector<std::int64_t> steady, burst, ramp;
  for (int i = 0; i < 64; ++i) {
    steady.push_back(50 + (i * 37) % 21);
    burst.push_back(i > 30 && i < 36 ? 100'000 : 10);
    ramp.push_back(i * 40 + (i * 37) % 21);
  }
  EXPECT_FALSE(trend_of(steady, 2.0, 10'000.0).growing);
  EXPECT_FALSE(trend_of(burst, 2.0, 10'000.0).growing);
  const BacklogTrend grows = trend_of(ramp, 2.0, 10'000.0);
  EXPECT_TRUE(grows.growing);
  EXPECT_NEAR(grows.slope_per_s, 40.0 * 32.0, 40.0);
  EXPECT_FALSE(trend_of(ramp, 2.0, 1'000'000.0).growing) << "0.1% of the rate is not seen in it";
}

TEST(OpenLoop, SeesTheBacklogOfAServerThatIsTooSlow) {
  ServerConfig server;
  server.service_ns = constant(102'000.0);  // for a gap of 100 us
  const LoadResult result =
      simulate(server, arrivals_at(ArrivalKind::kConstant, kRate), {0, 2 * kS, 10 * kS});
  EXPECT_TRUE(result.trend.growing);
  expect_near_share(result.trend.slope_per_s, kRate - 1e9 / 102e3, 0.05, "slope");
  expect_near_share(result.completed_rate, 1e9 / 102e3, 0.01, "goodput");
}

}  // namespace
}  // namespace grace::harness::testing
