#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "harness.h"
#include "subsystem_list.h"

namespace grace::log_analyzer {
namespace {

using namespace grace::testing;

struct Step {
  std::string_view component, action, result;
};
constexpr Step kChain[] = {{"database", "query", "error"},
                           {"reflection", "generate", "error"},
                           {"task_executor", "execute", "failed"},
                           {"trigger_mesh", "publish", "blocked"}};

class ErrorCascade : public ::testing::Test {
 protected:
  void act(const Step& step, std::string_view result, std::int64_t ts_ns) {
    ActionText text;
    text.actor = step.component;
    text.action = step.action;
    text.resource = step.component;
    text.result = result;
    engine_.action(text, ts_ns);
  }
  void well(std::int64_t minutes) {
    for (std::int64_t i = 0; i < minutes * 12; ++i, now_ += 5 * kSecond) {
      for (const Step& step : kChain) act(step, "success", now_);
    }
  }
  // One error after the other, `gap_ns` apart.
  void cascade(std::size_t count, std::int64_t gap_ns) {
    for (std::size_t i = 0; i < count; ++i, now_ += gap_ns) {
      act(kChain[i], kChain[i].result, now_);
    }
  }
  void know_dependencies() {
    for (std::size_t i = 0; i < std::size(kChain); ++i) {
      core::ServiceNode node;
      node.service = kChain[i].component;
      if (i > 0) node.depends_on = {std::string(kChain[i - 1].component)};
      engine_.topology().upsert(node);
    }
  }
  std::int64_t now_ = kMidnight;
  Engine engine_{log_analyzer()};
};

TEST_F(ErrorCascade, SpeaksAsTheDocumentDoes) {
  know_dependencies();
  well(60);
  const std::int64_t begin_ns = now_;
  cascade(4, 3 * kSecond);
  well(5);
  const auto found = engine_.of("error_cascade");
  ASSERT_EQ(found.size(), 1U);
  const core::Finding& finding = found[0];
  EXPECT_EQ(finding.type, core::TriggerType::kAnomalySequence);
  EXPECT_NEAR(finding.confidence, 0.87, 0.03);
  EXPECT_EQ(finding.impact, core::Impact::kCritical);
  EXPECT_EQ(finding.service, "database");
  ASSERT_GE(finding.reasoning.size(), 4U);
  EXPECT_EQ(finding.reasoning[0], "database.query:error");
  EXPECT_EQ(finding.reasoning[1], "reflection.generate:error");
  EXPECT_EQ(finding.reasoning[2], "task_executor.execute:failed");
  EXPECT_EQ(finding.reasoning[3], "trigger_mesh.publish:blocked");
  EXPECT_EQ(finding.suggested_playbooks,
            (std::vector<std::string>{"immediate_investigation", "restart_service"}));
  ASSERT_EQ(finding.evidence.size(), 4U);
  EXPECT_EQ(finding.evidence[0].ts_ns, begin_ns);  // the event's own time, not its period's
  EXPECT_EQ(finding.evidence[1].ts_ns, begin_ns + 3 * kSecond);
}

TEST_F(ErrorCascade, DependenciesThatAreDeclaredLaterCount) {
  well(60);
  know_dependencies();
  cascade(4, 3 * kSecond);
  well(5);
  const auto found = engine_.of("error_cascade");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NEAR(found[0].confidence, 0.87, 0.03);
  // Chance is asked about all that depend on the root, as has been known only just now.
  const auto& told = found[0].metadata;
  const auto expected = std::find_if(told.begin(), told.end(), [](const auto& entry) {
    return entry.first == "expected_by_chance";
  });
  ASSERT_NE(expected, told.end());
  EXPECT_GT(std::stod(expected->second), 0.0);
}

TEST_F(ErrorCascade, WithoutTopologyOrderAloneIsWorthLess) {
  well(60);
  cascade(4, 3 * kSecond);
  well(5);
  const auto found = engine_.of("error_cascade");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_LT(found[0].confidence, 0.82);
  EXPECT_GE(found[0].confidence, 0.6);
}

TEST_F(ErrorCascade, TwoComponentsAreNone) {
  know_dependencies();
  well(60);
  cascade(2, 3 * kSecond);
  well(5);
  EXPECT_TRUE(engine_.of("error_cascade").empty());
}

TEST_F(ErrorCascade, ErrorsFarApartAreNone) {
  know_dependencies();
  well(60);
  for (std::size_t i = 0; i < 4; ++i) {
    act(kChain[i], kChain[i].result, now_);
    well(2);
  }
  EXPECT_TRUE(engine_.of("error_cascade").empty());
}

TEST_F(ErrorCascade, ErrorsThatAllBeginAtOnceHaveNoOrder) {
  know_dependencies();
  well(60);
  cascade(4, 0);
  well(5);
  EXPECT_TRUE(engine_.of("error_cascade").empty());
}

TEST_F(ErrorCascade, ComponentsThatErrAllTheTimeTellNothing) {
  Dice dice(2);
  for (std::int64_t i = 0; i < 6 * 720; ++i, now_ += 5 * kSecond) {
    for (const Step& step : kChain) {
      act(step, dice.uniform() < 0.05 ? step.result : "success", now_ + kSecond);
    }
  }
  for (const core::Finding& finding : engine_.of("error_cascade")) {
    EXPECT_LT(finding.confidence, 0.8);
  }
}

}  // namespace
}  // namespace grace::log_analyzer
