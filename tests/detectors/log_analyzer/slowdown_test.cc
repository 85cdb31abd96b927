#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"
#include "subsystem_list.h"

namespace grace::log_analyzer {
namespace {

using namespace grace::testing;

class SlowAction : public ::testing::Test {
 protected:
  // Queries every five seconds with a noise of 20%; `factor` from 1 at the start to its value at
  // the end.
  void queries(std::int64_t minutes, double factor = 1.0, double from_factor = 1.0) {
    const std::int64_t count = minutes * 12;
    for (std::int64_t i = 0; i < count; ++i) {
      ActionText text;
      text.action = "query";
      text.resource = "warehouse";
      const double share = static_cast<double>(i) / static_cast<double>(count);
      text.duration_ms =
          40.0 * (from_factor + (factor - from_factor) * share) * std::exp(0.2 * dice_.normal());
      engine_.action(text, now_ += 5 * kSecond);
    }
  }
  Dice dice_{11};
  std::int64_t now_ = kMidnight;
  Engine engine_{log_analyzer()};
};

TEST_F(SlowAction, AClimbIsReportedOnce) {
  queries(120);
  EXPECT_TRUE(engine_.findings.empty());
  queries(20, 2.0);
  queries(30, 2.0, 2.0);
  const auto found = engine_.of("slow_action");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].type, core::TriggerType::kPatternDetected);
  EXPECT_EQ(found[0].service, "warehouse");
  EXPECT_EQ(found[0].reasoning[0], "Pattern: query slowdown");
  EXPECT_NE(found[0].reasoning[1].find("over 12 minutes"), std::string::npos);
  EXPECT_GE(found[0].confidence, core::kFindingFloor);
  EXPECT_LE(found[0].ts_ns, kMidnight + 141 * kMinute);  // while it climbs
  EXPECT_FALSE(found[0].evidence.empty());
}

TEST_F(SlowAction, NoiseForADayIsNoTrend) {
  queries(24 * 60);
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(SlowAction, AClimbTooSmallToMatterIsSilent) {
  queries(120);
  queries(20, 1.15);
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(SlowAction, GettingFasterIsSilent) {
  queries(120);
  queries(20, 0.4);
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(SlowAction, NothingIsSaidWhileTheBaselineIsLearned) {
  queries(20);
  queries(15, 3.0);
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(SlowAction, ASecondClimbAfterRecoveryIsReportedAgain) {
  queries(120);
  queries(15, 2.0);
  queries(120);
  queries(15, 2.0);
  EXPECT_EQ(engine_.of("slow_action").size(), 2U);
}

}  // namespace
}  // namespace grace::log_analyzer
