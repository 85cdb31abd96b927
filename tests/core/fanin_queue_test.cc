#include "grace/core/fanin_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "stress_value.h"

namespace grace::core {
namespace {

TEST(FaninQueue, TakesExactlyItsDepthFromOneProducer) {
  // Above 1024 a producer's default block index would be too small for try_enqueue.
  for (const std::size_t depth : {1U, 31U, 32U, 33U, 5000U, 32704U}) {
    FaninQueue<std::size_t> queue(depth, 1);
    FaninQueue<std::size_t>::Producer producer(queue);
    std::size_t pushed = 0;
    while (pushed <= depth && producer.try_push(pushed)) ++pushed;
    EXPECT_EQ(pushed, depth);
    std::size_t out = 0;
    for (std::size_t i = 0; i < depth; ++i) {
      ASSERT_TRUE(queue.try_pop(out));
      ASSERT_EQ(out, i);
    }
    EXPECT_FALSE(queue.try_pop(out));
    EXPECT_EQ(queue.size(), 0U);
  }
}

TEST(FaninQueue, CanBeFilledAgainAndAgain) {
  FaninQueue<std::size_t> queue(100, 2);
  FaninQueue<std::size_t>::Producer first(queue), second(queue);
  std::array<std::size_t, 128> out{};
  for (int round = 0; round < 500; ++round) {
    for (std::size_t i = 0; i < 50; ++i) {
      ASSERT_TRUE(first.try_push(i));
      ASSERT_TRUE(second.try_push(i));
    }
    ASSERT_FALSE(first.try_push(0)) << "the bound is over all producers";
    std::size_t popped = 0;
    while (popped < 100) popped += queue.try_pop_batch(out);
    ASSERT_EQ(popped, 100U);
  }
}

TEST(FaninQueue, GivesEachProducerTheWholeDepthWhoeverHadItBefore) {
  // A producer keeps the blocks that it once used: what it took must not be missing to the others.
  constexpr std::size_t kDepth = 1000;
  FaninQueue<std::size_t> queue(kDepth, 3);
  std::deque<FaninQueue<std::size_t>::Producer> producers;
  for (int i = 0; i < 3; ++i) producers.emplace_back(queue);
  std::array<std::size_t, kDepth> out{};
  for (auto& producer : producers) {
    for (std::size_t i = 0; i < kDepth; ++i) ASSERT_TRUE(producer.try_push(i)) << "at " << i;
    std::size_t popped = 0;
    while (popped < kDepth) popped += queue.try_pop_batch(out);
  }
}

TEST(FaninQueue, RefusedItemStaysWithItsOwner) {
  FaninQueue<std::unique_ptr<int>> queue(1, 1);
  FaninQueue<std::unique_ptr<int>>::Producer producer(queue);
  ASSERT_TRUE(producer.try_push(std::make_unique<int>(1)));
  auto kept = std::make_unique<int>(2);
  EXPECT_FALSE(producer.try_push(std::move(kept)));
  ASSERT_NE(kept, nullptr);
  std::unique_ptr<int> out;
  ASSERT_TRUE(queue.try_pop(out));
  EXPECT_EQ(*out, 1);
}

TEST(FaninQueueDeathTest, RefusesADepthThatItCouldNotHold) {
  EXPECT_DEATH(FaninQueue<int>(0, 1), "depth_max");
  EXPECT_DEATH(FaninQueue<int>(FaninQueue<int>::kDepthMax + 1, 1), "depth_max");
}

TEST(FaninQueueStress, KeepsEachProducersOrderAndTheBound) {
  constexpr std::size_t kProducers = 3;
  constexpr std::uint64_t kEach = 30'000;
  constexpr std::size_t kDepth = 64;
  struct Item {
    std::size_t producer = 0;
    std::uint64_t number = 0;
    StressValue value;
  };
  FaninQueue<Item> queue(kDepth, kProducers);
  std::deque<FaninQueue<Item>::Producer> producers;
  for (std::size_t i = 0; i < kProducers; ++i) producers.emplace_back(queue);
  std::vector<std::thread> threads;
  for (std::size_t p = 0; p < kProducers; ++p) {
    threads.emplace_back([&, p] {
      for (std::uint64_t n = 0; n < kEach;) {
        if (producers[p].try_push(Item{p, n, StressValue::make(n ^ p << 32)})) {
          ++n;
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  std::array<std::uint64_t, kProducers> next{};
  std::array<Item, 16> batch;
  std::uint64_t total = 0, broken = 0;
  while (total < kProducers * kEach) {
    const std::size_t count = queue.try_pop_batch(batch);
    for (const Item& item : std::span(batch).first(count)) {
      if (item.number != next[item.producer]++) ++broken;
      if (!item.value.is(item.number ^ item.producer << 32)) ++broken;
    }
    total += count;
    if (count == 0) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(broken, 0U);
  EXPECT_EQ(queue.size(), 0U);
}

}  // namespace
}  // namespace grace::core
