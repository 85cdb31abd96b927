#include "grace/harness/search.h"

#include <gtest/gtest.h>

#include "grace/harness/queueing.h"
#include "simulated.h"

namespace grace::harness::testing {
namespace {

constexpr double kServiceNs = 10'000.0;  // a limit of 100,000 a second

SearchConfig config_for(const Objective& objective) {
  SearchConfig config;
  config.objective = objective;
  config.rate_first = 7'000.0;
  config.precision = 0.005;
  return config;
}

Measure simulated(ArrivalKind kind, const LoadSpan& span) {
  return [kind, span](double rate, std::uint64_t seed) -> core::Result<LoadResult> {
    ServerConfig server;
    server.service_ns = constant(kServiceNs);
    return simulate(server, arrivals_at(kind, rate, seed), span);
  };
}

TEST(Search, FindsTheLimitOfAServerWithin3Percent) {
  const auto found = find_sustainable_rate(config_for({0.999, 50 * kMs}),
                                           simulated(ArrivalKind::kConstant, {0, 2 * kS, kS}));
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->found.size(), 3U);
  for (const double rate : found->found) EXPECT_NEAR(rate, 100'000.0, 3'000.0);
  EXPECT_FALSE(found->limit_not_reached);
}

// With Poisson arrivals the objective ends it before the server does; theory says where.
TEST(Search, FindsWhereTheObjectiveEndsWithin3Percent) {
  const Objective objective{0.99, 100 * kUs};
  double low = 0.1, high = 0.99;
  while (high - low > 1e-6) {
    const double middle = (low + high) / 2.0;
    const bool holds =
        md1_response_quantile(middle, objective.share) * kServiceNs <= double(objective.limit_ns);
    (holds ? low : high) = middle;
  }
  const double theory = low / kServiceNs * 1e9;
  const auto found = find_sustainable_rate(config_for(objective),
                                           simulated(ArrivalKind::kPoisson, {kS, 4 * kS, kS}));
  ASSERT_TRUE(found.has_value());
  EXPECT_NEAR(found->rate, theory, 0.03 * theory);
  EXPECT_LT(found->rate, 90'000.0) << "the objective, not the server, is the limit here";
}

TEST(Search, SaysWhenNothingHoldsAndWhenAllDoes) {
  SearchConfig config = config_for({0.5, 5 * kUs});  // less than one service
  config.rate_min = 1'000.0;
  config.repetitions = 1;
  const Measure measure = simulated(ArrivalKind::kConstant, {0, kS / 10, kS});
  const auto nothing = find_sustainable_rate(config, measure);
  ASSERT_TRUE(nothing.has_value());
  EXPECT_EQ(nothing->rate, 0.0);
  EXPECT_EQ(nothing->trials.back().rate, 1'000.0);
  EXPECT_FALSE(nothing->trials.back().verdict.why.empty());
  config.objective = {0.999, 50 * kMs};
  config.rate_max = 30'000.0;
  const auto all = find_sustainable_rate(config, measure);
  ASSERT_TRUE(all.has_value());
  EXPECT_TRUE(all->limit_not_reached);
  EXPECT_EQ(all->rate, 30'000.0);
}

TEST(Search, EndsWithTheFirstErrorOfARun) {
  const auto result = find_sustainable_rate(
      config_for({0.99, kMs}), [](double, std::uint64_t) -> core::Result<LoadResult> {
        return core::make_error(core::ErrorCode::kClosed, "it has gone");
      });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message, "it has gone");
}

TEST(Judge, NamesWhatBrokeTheObjective) {
  LoadResult result;
  EXPECT_EQ(judge(result, {}).why, "nothing arrived");
  result.arrivals = 100;
  for (int i = 0; i < 100; ++i) result.response.record(i * kMs);
  EXPECT_TRUE(judge(result, {0.5, 60 * kMs}).holds);
  EXPECT_NE(judge(result, {0.9, 60 * kMs}).why.find("ms"), std::string::npos);
  result.unsent = 1;
  EXPECT_EQ(judge(result, {0.5, 60 * kMs}).why, "1 could not be sent");
}

}  // namespace
}  // namespace grace::harness::testing
