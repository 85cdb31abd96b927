#include "grace/models/batched_anomaly.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "../dice.h"

namespace grace::models {
namespace {

constexpr std::int64_t kStepNs = 300'000'000'000;
constexpr int kSteps = 4'000;

using Value = std::function<double(int)>;

void expect_same(const SeriesVerdict& one, const SeriesVerdict& other, int at) {
  ASSERT_EQ(one.anomaly_score, other.anomaly_score) << at;
  ASSERT_EQ(one.tail_probability, other.tail_probability) << at;
  ASSERT_EQ(one.surprise, other.surprise) << at;
  ASSERT_EQ(one.member, other.member) << at;
  ASSERT_EQ(one.member_surprise, other.member_surprise) << at;
}

// Asks the batched model at the steps that `asks` says, the other one at each.
void compare(const Value& value, std::uint64_t phase, const std::function<bool(int)>& asks) {
  const auto stepped = std::make_unique<SeriesAnomaly>();
  const auto batched = std::make_unique<BatchedAnomaly>(phase);
  for (int i = 0; i < kSteps; ++i) {
    const SeriesVerdict wanted = stepped->step(i * kStepNs, value(i));
    batched->take(i * kStepNs, value(i));
    if (asks(i)) expect_same(batched->verdict(), wanted, i);
  }
}

double noise(int i) {
  return testing::uniform_at(static_cast<std::uint64_t>(i)) - 0.5;
}

double bursts(int i) {
  return i % 811 < 5 ? 70.0 : noise(i);
}
double counter(int i) {
  return 100.0 * i + noise(i);
}
// Counters that begin anew as such in their 65th value and as gauges in a later one.
double falling_counter(int i) {
  return i % 1'500 < 1'203 ? 10.0 * i : 10.0 * i - 40.0 * (i % 1'500 - 1'203);
}
double restarting_counter(int i) {
  return 3.0 * (i % 700);
}
double with_no_numbers(int i) {
  if (i % 7 == 3) return std::numeric_limits<double>::quiet_NaN();
  return i % 11 == 5 ? 1e31 : bursts(i);
}
double constant(int /*i*/) {
  return 45.0;
}

class BatchedAnomalyOf : public ::testing::TestWithParam<double (*)(int)> {};

TEST_P(BatchedAnomalyOf, SaysWhatTheModelSaysStepByStep) {
  for (std::uint64_t phase = 0; phase < BatchedAnomaly::kBatch; ++phase) {
    compare(GetParam(), phase, [](int i) { return testing::uniform_at(i + 13) < 0.1; });
  }
  compare(GetParam(), 3, [](int) { return true; });
  compare(GetParam(), 5, [](int i) { return i == kSteps - 1; });
}

INSTANTIATE_TEST_SUITE_P(Series, BatchedAnomalyOf,
                         ::testing::Values(bursts, counter, falling_counter, restarting_counter,
                                           with_no_numbers, constant));

TEST(BatchedAnomaly, SaysTheSameWhenAskedTwice) {
  const auto model = std::make_unique<BatchedAnomaly>(2);
  for (int i = 0; i < 1'005; ++i) model->take(i * kStepNs, bursts(i));
  model->take(1'005 * kStepNs, 900.0);
  const SeriesVerdict once = model->verdict();
  EXPECT_GE(once.anomaly_score, SeriesAnomaly::kScoreThreshold);
  expect_same(model->verdict(), once, 0);
}

TEST(BatchedAnomaly, HasABoundedState) {
  static_assert(sizeof(BatchedAnomaly) <= 47 * 1024);  // docs/ARCHITECTURE.md, "Memory"
}

}  // namespace
}  // namespace grace::models
