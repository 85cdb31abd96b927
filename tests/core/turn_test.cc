#include "grace/core/turn.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "grace/core/spsc_ring.h"

namespace grace::core {
namespace {

TEST(Turn, IsOneThreadsAtATime) {
  Turn turn;
  ASSERT_TRUE(turn.try_take());
  std::thread([&] { EXPECT_FALSE(turn.try_take()); }).join();
  turn.give_back();
  std::thread([&] {
    EXPECT_TRUE(turn.try_take());
    turn.give_back();
  }).join();
  EXPECT_TRUE(turn.try_take());
  turn.give_back();
}

// Forbidden: two at once, or one that does not see all of the last one. The ring checks its sides
// in debug builds, and ThreadSanitizer the order.
TEST(Turn, EachSeesWhatTheLastOneDid) {
  constexpr std::uint64_t kTurns = 20'000;
  Turn turn;
  SpscRing<std::uint64_t> ring(8);
  std::uint64_t pushed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (bool all = false; !all;) {
        if (!turn.try_take()) {
          std::this_thread::yield();
          continue;
        }
        if (pushed < kTurns && ring.try_push(pushed)) ++pushed;
        all = pushed == kTurns;
        turn.give_back();
      }
    });
  }
  for (std::uint64_t expected = 0; expected < kTurns;) {
    std::uint64_t item = 0;
    if (!ring.try_pop(item)) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(item, expected++);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pushed, kTurns);
  EXPECT_TRUE(ring.empty());
}

#ifndef NDEBUG
TEST(TurnDeathTest, ASideThatIsUsedInTurnsIsNoThreadsOwn) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Turn turn, other;
  SpscRing<int> ring(4);
  ASSERT_TRUE(turn.try_take());
  ASSERT_TRUE(ring.try_push(1));
  EXPECT_DEATH(static_cast<void>(other.try_take()), "one turn at a time");
  turn.give_back();
  EXPECT_DEATH(static_cast<void>(ring.try_push(2)), "has one owner");
  ASSERT_TRUE(other.try_take());
  EXPECT_DEATH(static_cast<void>(ring.try_push(2)), "has one owner");
  other.give_back();
}
#endif

}  // namespace
}  // namespace grace::core
