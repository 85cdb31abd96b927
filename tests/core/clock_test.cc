#include "grace/core/clock.h"

#include <gtest/gtest.h>

namespace grace::core {
namespace {

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock(1000);
  EXPECT_EQ(clock.wall_ns(), 1000);
  EXPECT_EQ(clock.monotonic_ns(), 0);
  clock.advance(50);
  EXPECT_EQ(clock.wall_ns(), 1050);
  EXPECT_EQ(clock.monotonic_ns(), 50);
  clock.set_wall(10);
  EXPECT_EQ(clock.wall_ns(), 10) << "the wall clock may go back";
  EXPECT_EQ(clock.monotonic_ns(), 50) << "the monotonic one does not notice";
  EXPECT_DEATH(clock.advance(-1), "go back");
}

TEST(SystemClock, NeverGoesBackAndKnowsTheCentury) {
  const SystemClock clock;
  std::int64_t last = clock.monotonic_ns();
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t now = clock.monotonic_ns();
    ASSERT_GE(now, last);
    last = now;
  }
  EXPECT_GT(clock.wall_ns(), 1'700'000'000'000'000'000);
}

}  // namespace
}  // namespace grace::core
