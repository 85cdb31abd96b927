#include "grace/core/spsc_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "grace/core/hash.h"
#include "stress_value.h"

namespace grace::core {
namespace {

TEST(SpscRing, RoundsCapacityUpToAPowerOfTwo) {
  EXPECT_EQ(SpscRing<int>(0).capacity(), 1U);
  EXPECT_EQ(SpscRing<int>(1).capacity(), 1U);
  EXPECT_EQ(SpscRing<int>(3).capacity(), 4U);
  EXPECT_EQ(SpscRing<int>(64).capacity(), 64U);
  EXPECT_EQ(SpscRing<int>(65).capacity(), 128U);
}

TEST(SpscRing, UsesEverySlotThenRejects) {
  SpscRing<int> ring(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.try_push(i));
  EXPECT_FALSE(ring.try_push(4));
  EXPECT_EQ(ring.size(), 4U);
  EXPECT_TRUE(ring.claim().empty());
  int out = -1;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring.try_pop(out));
    EXPECT_EQ(out, i);
  }
  EXPECT_FALSE(ring.try_pop(out));
  EXPECT_EQ(out, 3) << "a pop that fails must not touch its target";
  EXPECT_TRUE(ring.empty());
}

TEST(SpscRing, KeepsOrderAcrossTheWrapAtEveryCapacityAndOffset) {
  for (const std::size_t capacity : {1U, 2U, 4U, 8U}) {
    for (std::size_t offset = 0; offset < capacity; ++offset) {
      for (std::size_t count = 0; count <= capacity; ++count) {
        SpscRing<std::uint64_t> ring(capacity);
        std::uint64_t dummy = 0;
        for (std::size_t i = 0; i < offset; ++i) {
          ASSERT_TRUE(ring.try_push(i));
          ASSERT_TRUE(ring.try_pop(dummy));
        }
        std::vector<std::uint64_t> in(count);
        std::iota(in.begin(), in.end(), 100U);
        ASSERT_EQ(ring.try_push_batch(in), count);
        std::vector<std::uint64_t> out(capacity);
        ASSERT_EQ(ring.try_pop_batch(out), count);
        out.resize(count);
        EXPECT_EQ(out, in) << "capacity " << capacity << " offset " << offset;
      }
    }
  }
}

TEST(SpscRing, PushesThePrefixOfABatchThatFits) {
  SpscRing<int> ring(4);
  EXPECT_EQ(ring.try_push_batch(std::array{1, 2, 3}), 3U);
  EXPECT_EQ(ring.try_push_batch(std::array{4, 5, 6}), 1U);
  EXPECT_EQ(ring.try_push_batch(std::array{7}), 0U);
  EXPECT_EQ(ring.try_push_batch({}), 0U);
  std::array<int, 8> out{};
  ASSERT_EQ(ring.try_pop_batch(out), 4U);
  EXPECT_EQ((std::vector<int>(out.begin(), out.begin() + 4)), (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(ring.try_pop_batch(std::span<int>()), 0U);
}

TEST(SpscRing, SeesRoomThatWasFreedAfterABatchWasCut) {
  SpscRing<int> ring(4);
  ASSERT_EQ(ring.try_push_batch(std::array{1, 2, 3}), 3U);
  std::array<int, 2> out{};
  ASSERT_EQ(ring.try_pop_batch(out), 2U);
  // The producer knows of one free slot only; three are free.
  EXPECT_EQ(ring.try_push_batch(std::array{4, 5, 6, 7}), 3U);
}

TEST(SpscRing, ClaimedSlotsAreInvisibleUntilPublished) {
  SpscRing<int> ring(4);
  std::span<int> slots = ring.claim(3);
  ASSERT_EQ(slots.size(), 3U);
  slots[0] = 7;
  slots[1] = 8;
  EXPECT_TRUE(ring.empty());
  EXPECT_TRUE(ring.peek().empty());
  ring.publish(2);
  const std::span<int> ready = ring.peek();
  ASSERT_EQ(ready.size(), 2U);
  EXPECT_EQ(ready[0], 7);
  EXPECT_EQ(ready[1], 8);
  EXPECT_EQ(ring.claim(8).data(), slots.data() + 2) << "the unpublished third slot comes again";
}

TEST(SpscRing, ClaimAndPeekStopAtTheEndOfTheArray) {
  SpscRing<int> ring(4);
  ASSERT_EQ(ring.try_push_batch(std::array{1, 2, 3}), 3U);
  ring.release(ring.peek(3).size());
  EXPECT_EQ(ring.claim().size(), 1U);
  ASSERT_EQ(ring.try_push_batch(std::array{4, 5, 6}), 3U);
  const std::span<int> first = ring.peek();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0], 4);
  ring.release(1);
  const std::span<int> second = ring.peek();
  ASSERT_EQ(second.size(), 2U);
  EXPECT_EQ(second[1], 6);
}

TEST(SpscRing, PeekedSlotsStayUntilReleased) {
  SpscRing<int> ring(2);
  ASSERT_EQ(ring.try_push_batch(std::array{1, 2}), 2U);
  EXPECT_EQ(ring.peek(1)[0], 1);
  EXPECT_EQ(ring.peek(2)[0], 1);
  EXPECT_FALSE(ring.try_push(3)) << "peeking must not free";
  ring.release(1);
  EXPECT_TRUE(ring.try_push(3));
  EXPECT_EQ(ring.peek()[0], 2);
}

TEST(SpscRing, CarriesMoveOnlyItemsAndLetsGoOfThem) {
  const auto counted = std::make_shared<int>(0);
  {
    SpscRing<std::shared_ptr<int>> ring(2);
    ASSERT_TRUE(ring.try_push(counted));
    EXPECT_EQ(counted.use_count(), 2);
    EXPECT_EQ(ring.peek().size(), 1U);
    ring.release(1);
    EXPECT_EQ(counted.use_count(), 1) << "a released slot still holds its item";
    ASSERT_TRUE(ring.try_push(counted));
  }
  EXPECT_EQ(counted.use_count(), 1) << "the ring's end must end its items";

  SpscRing<std::unique_ptr<int>> owners(1);
  ASSERT_TRUE(owners.try_push(std::make_unique<int>(5)));
  std::unique_ptr<int> kept = std::make_unique<int>(6);
  EXPECT_FALSE(owners.try_push(std::move(kept)));
  ASSERT_NE(kept, nullptr) << "a refused item stays with its owner";
  std::unique_ptr<int> out;
  ASSERT_TRUE(owners.try_pop(out));
  EXPECT_EQ(*out, 5);
}

TEST(SpscRing, SlotsAndSidesDoNotShareCacheLines) {
  SpscRing<char> ring(4);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ring.claim().data()) % kCacheLineBytes, 0U);
  EXPECT_GE(sizeof(ring), 3 * kCacheLineBytes);
}

#ifndef NDEBUG
TEST(SpscRingDeathTest, NoticesASecondProducer) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  SpscRing<int> ring(4);
  ASSERT_TRUE(ring.try_push(1));
  EXPECT_DEATH(
      {
        std::thread second([&] { static_cast<void>(ring.try_push(2)); });
        second.join();
      },
      "has one owner");
  EXPECT_DEATH(ring.publish(99), "unclaimed");
  EXPECT_DEATH(ring.release(2), "unread");
}

TEST(SpscRing, SidesCanBeHandedOn) {
  SpscRing<int> ring(4);
  ASSERT_TRUE(ring.try_push(1));
  ring.unbind_roles();
  std::thread second([&] { EXPECT_TRUE(ring.try_push(2)); });
  second.join();
  EXPECT_EQ(ring.peek().size(), 2U);
}
#endif

// Forbidden outcomes: a value torn, lost, doubled, or out of order. One side mixes all its ways to
// push, the other all its ways to pop, with batch sizes drawn from the seed.
void stress(std::size_t capacity, std::uint64_t count, std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed) + " capacity " + std::to_string(capacity));
  SpscRing<StressValue> ring(capacity);
  std::thread producer([&] {
    std::mt19937_64 random(seed);
    std::array<StressValue, 96> batch;
    for (std::uint64_t next = 0; next < count;) {
      const std::uint64_t want = std::min<std::uint64_t>(1 + random() % batch.size(), count - next);
      std::size_t pushed = 0;
      switch (random() % 3) {
        case 0:
          pushed = ring.try_push(StressValue::make(next)) ? 1 : 0;
          break;
        case 1:
          for (std::uint64_t i = 0; i < want; ++i) batch[i] = StressValue::make(next + i);
          pushed = ring.try_push_batch(std::span(batch).first(want));
          break;
        default: {
          const std::span<StressValue> slots = ring.claim(want);
          for (std::size_t i = 0; i < slots.size(); ++i) slots[i] = StressValue::make(next + i);
          pushed = slots.size();
          ring.publish(pushed);
        }
      }
      next += pushed;
      if (pushed == 0) std::this_thread::yield();
    }
  });
  std::mt19937_64 random(~seed);
  std::array<StressValue, 96> batch;
  std::uint64_t expected = 0;
  std::uint64_t broken = 0;
  const auto take = [&](std::span<const StressValue> values) {
    for (const StressValue& value : values) broken += value.is(expected++) ? 0 : 1;
  };
  while (expected < count) {
    const std::size_t want = 1 + random() % batch.size();
    std::size_t popped = 0;
    switch (random() % 3) {
      case 0:
        popped = ring.try_pop(batch[0]) ? 1 : 0;
        take(std::span(batch).first(popped));
        break;
      case 1:
        popped = ring.try_pop_batch(std::span(batch).first(want));
        take(std::span(batch).first(popped));
        break;
      default: {
        const std::span<StressValue> ready = ring.peek(want);
        popped = ready.size();
        take(ready);
        ring.release(popped);
      }
    }
    if (popped == 0) std::this_thread::yield();
  }
  producer.join();
  EXPECT_EQ(broken, 0U);
  EXPECT_EQ(expected, count);
  EXPECT_TRUE(ring.empty());
}

TEST(SpscRingStress, NeverTearsLosesDoublesOrReorders) {
  const std::uint64_t seed = stress_seed();
  for (const std::size_t capacity : {1U, 2U, 8U, 64U, 4096U}) {
    // A small ring hands over by a yield each time: on busy cores that is what the test costs.
    stress(capacity, capacity < 8 ? 4'000 : 200'000, seed + capacity);
  }
}

}  // namespace
}  // namespace grace::core
