// The second scenario of the founding document, from raw actions: both subsystems on one stream.
#include <gtest/gtest.h>

#include "../log_analyzer/harness.h"
#include "grace/agentic_spine/agentic_spine.h"
#include "grace/core/probability.h"
#include "grace/log_analyzer/log_analyzer.h"

namespace grace {
namespace {

using namespace grace::testing;

core::SubsystemList both() {
  core::SubsystemList list;
  list.push_back(log_analyzer::make_log_analyzer({}));
  list.push_back(agentic_spine::make_agentic_spine({}));
  return list;
}

// Actions every `step_s` from `from_ns`; from `burst_ns` on, seven of the actions within half a
// minute fail, as many as `successes` succeed between them.
void auth_fails(Engine& engine, std::int64_t from_ns, std::int64_t burst_ns, std::int64_t step_s,
                int successes) {
  ActionText text;
  text.subsystem = "auth";
  std::int64_t ts = from_ns;
  for (; ts < burst_ns; ts += step_s * kSecond) engine.action(text, ts);
  const int all = 7 + successes;
  for (int i = 0; i < all; ++i) {
    // Errors spread evenly among the actions of the burst.
    const bool error = (i + 1) * 7 / all > i * 7 / all;
    text.result = error ? "error" : "success";
    engine.action(text, burst_ns + i * 30 * kSecond / all);
  }
  text.result = "success";
  for (ts = burst_ns + 31 * kSecond; ts < burst_ns + 3 * kMinute; ts += step_s * kSecond) {
    engine.action(text, ts);
  }
}

class AuthFailure : public ::testing::TestWithParam<std::tuple<int, int, int, int>> {};

TEST_P(AuthFailure, BothSubsystemsSeeItAndAgree) {
  const auto [history_minutes, step_s, successes, offset_s] = GetParam();
  Engine engine(both());
  engine.topology().upsert({"auth_service", "core", {}, 1, core::Criticality::kHigh});
  for (const auto* dependent : {"api", "web", "jobs"}) {
    engine.topology().upsert({dependent, "core", {"auth_service"}, 1, core::Criticality::kMedium});
  }
  const std::int64_t burst_ns = kMidnight + 9 * kHour + 15 * kMinute + offset_s * kSecond;
  auth_fails(engine, burst_ns - history_minutes * kMinute, burst_ns, step_s, successes);

  const auto pattern = engine.of("recurring_error");
  const auto health = engine.of("health_degradation");
  ASSERT_EQ(pattern.size(), 1U);
  ASSERT_EQ(health.size(), 1U);
  EXPECT_EQ(engine.findings.size(), 2U);
  EXPECT_NEAR(pattern[0].confidence, 0.88, 0.02);
  EXPECT_NEAR(health[0].confidence, 0.85, 0.04);
  EXPECT_EQ(pattern[0].reasoning[1], "Occurrences: 7 times in 10 minutes");
  EXPECT_LT(pattern[0].ts_ns, burst_ns + kMinute);
  EXPECT_LT(health[0].ts_ns, burst_ns + kMinute);
  EXPECT_EQ(health[0].impact, core::Impact::kHigh);
  const double fused =
      core::logistic(core::extremising_factor(2) *
                     (core::logit(pattern[0].confidence) + core::logit(health[0].confidence)) / 2);
  EXPECT_GE(fused, 0.90);
  EXPECT_LE(fused, 0.94);
  EXPECT_EQ(health[0].reasoning[1].rfind("Error share ", 0), 0U) << health[0].reasoning[1];
  EXPECT_NE(health[0].reasoning[1].find("(7 of "), std::string::npos) << health[0].reasoning[1];
}

INSTANTIATE_TEST_SUITE_P(Shapes, AuthFailure,
                         ::testing::Values(std::tuple{240, 3, 5, 0}, std::tuple{60, 5, 5, 0},
                                           std::tuple{240, 5, 3, 4}, std::tuple{30, 4, 4, 7},
                                           std::tuple{120, 2, 5, 9}, std::tuple{240, 5, 2, 2}));

TEST(HealthyDay, FiftyServicesOfAConnectedFleetRaiseHardlyAnything) {
  constexpr std::size_t kServices = 50;
  Engine engine(both());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kServices; ++i) {
    names.push_back("service" + std::to_string(i));
    core::ServiceNode node;
    node.service = names.back();
    node.domain = "domain" + std::to_string(i % 5);
    if (i > 0) node.depends_on = {names[(i - 1) / 2]};
    engine.topology().upsert(node);
  }
  Dice dice(4242);
  for (std::int64_t second = 0; second < 86'400; second += 5) {
    for (const std::string& name : names) {
      ActionText text;
      text.actor = name;
      text.resource = name;
      text.domain = "";  // known from the topology
      text.action = dice.uniform() < 0.5 ? "read" : "write";
      text.result = dice.uniform() < 0.005 ? "error" : "success";
      engine.action(
          text, kMidnight + second * kSecond + static_cast<std::int64_t>(dice.next() % kSecond));
    }
  }
  std::string sure;
  std::size_t sure_count = 0;
  for (const core::Finding& finding : engine.findings) {
    if (finding.confidence < 0.8) continue;
    ++sure_count;
    sure += finding.diagnosis_code + " " + finding.service + " " + finding.reasoning[0] + "\n";
  }
  EXPECT_LE(sure_count, 2U) << sure;
  EXPECT_LE(engine.findings.size(), 20U);
}

}  // namespace
}  // namespace grace
