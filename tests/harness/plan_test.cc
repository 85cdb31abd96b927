#include "grace/harness/plan.h"

#include <gtest/gtest.h>

#include "grace/harness/search.h"
#include "simulated.h"

namespace grace::harness::testing {
namespace {

std::vector<CapacityPoint> points_of(const Scalability& law, std::initializer_list<unsigned> counts,
                                     double noise) {
  std::vector<CapacityPoint> points;
  for (const unsigned workers : counts) {
    const double rate = law.rate(workers);
    points.push_back({workers, {rate * (1.0 - noise), rate, rate * (1.0 + noise)}});
  }
  return points;
}

TEST(ScalabilityFit, FindsTheLawThatMadeThePoints) {
  const Scalability law{1e6, 0.05, 0.002};
  const auto fit = ScalabilityFit::of(points_of(law, {1, 2, 4, 8, 16}, 0.0));
  ASSERT_TRUE(fit.has_value());
  EXPECT_EQ(fit->identified(), 3);
  EXPECT_NEAR(fit->best().lambda, law.lambda, 1.0);
  EXPECT_NEAR(fit->best().sigma, law.sigma, 1e-6);
  EXPECT_NEAR(fit->best().kappa, law.kappa, 1e-7);
  EXPECT_LT(fit->error_max(), 1e-6);
}

TEST(ScalabilityFit, TheBandHoldsTheTruthAndGrowsWithTheNoise) {
  const Scalability law{1e6, 0.05, 0.002};
  const auto narrow = ScalabilityFit::of(points_of(law, {1, 2, 4, 8}, 0.01));
  const auto wide = ScalabilityFit::of(points_of(law, {1, 2, 4, 8}, 0.10));
  ASSERT_TRUE(narrow.has_value() && wide.has_value());
  for (const double workers : {1.0, 3.0, 6.0, 12.0}) {
    const auto a = narrow->band(workers), b = wide->band(workers);
    ASSERT_TRUE(a.has_value() && b.has_value());
    EXPECT_LE(a->low, law.rate(workers) * 1.001) << workers;
    EXPECT_GE(a->high, law.rate(workers) * 0.999) << workers;
    EXPECT_GT(b->high - b->low, 3.0 * (a->high - a->low)) << workers;
  }
}

TEST(ScalabilityFit, ClaimsNoMoreThanThePointsShow) {
  const auto two = ScalabilityFit::of({{1, {100.0}}, {2, {180.0}}});
  ASSERT_TRUE(two.has_value());
  EXPECT_EQ(two->identified(), 2);
  EXPECT_EQ(two->best().kappa, 0.0);
  EXPECT_FALSE(two->band(2).has_value()) << "two measurements leave nothing to resample";
  const auto one = ScalabilityFit::of({{2, {100.0, 104.0}}});
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(one->identified(), 1);
  EXPECT_NEAR(one->best().rate(4), 204.0, 1.0);
  // Faster than linear: the coefficients stay at 0.
  const auto super = ScalabilityFit::of({{1, {100.0}}, {2, {220.0}}, {4, {480.0}}});
  ASSERT_TRUE(super.has_value());
  EXPECT_EQ(super->best().sigma, 0.0);
  EXPECT_EQ(super->best().kappa, 0.0);
  EXPECT_FALSE(ScalabilityFit::of({}).has_value());
  EXPECT_FALSE(ScalabilityFit::of({{1, {0.0}}}).has_value());
}

TEST(Plan, GivesAsFewWorkersAsDoItAndThenMachines) {
  const Scalability law{1e6, 0.1, 0.01};
  const auto points = points_of(law, {1, 2, 4, 8}, 0.01);
  const auto fit = ScalabilityFit::of(points);
  ASSERT_TRUE(fit.has_value());
  const auto small = make_plan(points, *fit, {0.6e6, 0.3, 8});
  ASSERT_TRUE(small.has_value());
  EXPECT_NEAR(small->rate_needed, 0.857e6, 1e3);
  EXPECT_EQ(small->workers, 1U);
  EXPECT_EQ(small->machines, 1U);
  const auto large = make_plan(points, *fit, {10e6, 0.3, 8});
  ASSERT_TRUE(large.has_value());
  // X(8) = 8 / (1 + 0.7 + 0.56) = 3.54 M; 14.3 M take 4.04 of them.
  EXPECT_EQ(large->workers, 8U);
  EXPECT_EQ(large->machines, 5U);
  ASSERT_TRUE(large->machines_if_high && large->machines_if_low);
  EXPECT_LE(*large->machines_if_high, large->machines);
  EXPECT_GE(*large->machines_if_low, large->machines);
  EXPECT_FALSE(large->extrapolated);
  // The law turns down behind 9.5 workers: more are never planned.
  const auto many = make_plan(points, *fit, {10e6, 0.3, 64});
  ASSERT_TRUE(many.has_value());
  EXPECT_NEAR(many->workers, 9.5, 1.0);
  EXPECT_TRUE(many->extrapolated);
  const auto absurd = make_plan(points, *fit, {1e12, 1.0 - 1e-15, 8});
  ASSERT_TRUE(absurd.has_value());
  EXPECT_EQ(absurd->machines, 1'000'000'000'000'000'000U) << "not what an overflow leaves";
  EXPECT_FALSE(make_plan(points, *fit, {0.0, 0.3, 8}).has_value());
  EXPECT_FALSE(make_plan(points, *fit, {1.0, 1.0, 8}).has_value());
}

// Workers in parallel, then one ordered stage for which they wait: nothing of the law is in it.
double sustained(unsigned workers, std::uint64_t seed) {
  SearchConfig config;
  config.objective = {0.99, 20 * kMs};
  config.rate_first = 20'000.0 * workers;
  config.repetitions = 1;
  const auto found = find_sustainable_rate(
      config, [&](double rate, std::uint64_t trial) -> core::Result<LoadResult> {
        ServerConfig server;
        server.workers = workers;
        server.service_ns = exponential(20'000.0, seed + trial);
        server.ordered_ns = exponential(2'000.0, seed + trial + 1'000);
        return simulate(server, arrivals_at(ArrivalKind::kPoisson, rate, seed + trial),
                        {kS / 5, kS, kS});
      });
  return found ? found->rate : 0.0;
}

TEST(Plan, PredictsAHeldBackPointOfASweepWithin10Percent) {
  std::vector<CapacityPoint> points;
  for (const unsigned workers : {1U, 2U, 4U, 8U}) {
    points.push_back({workers, {sustained(workers, 1), sustained(workers, 100)}});
  }
  const auto fit = ScalabilityFit::of(points);
  ASSERT_TRUE(fit.has_value()) << fit.error().message;
  for (const unsigned held_back : {3U, 6U}) {
    const double truth = sustained(held_back, 200);
    EXPECT_NEAR(fit->best().rate(held_back), truth, 0.10 * truth) << held_back;
    // Asked for what that many sustain, the plan answers with that many.
    const auto plan = make_plan(points, *fit, {truth * 0.9, 0.0, 8});
    ASSERT_TRUE(plan.has_value());
    EXPECT_NEAR(plan->workers, held_back, 1.0);
    EXPECT_EQ(plan->machines, 1U);
  }
}

}  // namespace
}  // namespace grace::harness::testing
