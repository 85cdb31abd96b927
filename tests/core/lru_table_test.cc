#include "grace/core/lru_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "grace/core/hash.h"

namespace grace::core {
namespace {

TEST(LruTable, FindsWhatWasInsertedAndNothingElse) {
  LruTable<int> table(4);
  EXPECT_EQ(table.find(mix(1)), kNoSlot);
  const std::uint32_t slot = table.insert(mix(1), 0);
  table[slot] = 7;
  EXPECT_EQ(table.find(mix(1)), slot);
  EXPECT_EQ(table.key_of(slot), mix(1));
  EXPECT_TRUE(table.holds(slot, mix(1)));
  EXPECT_FALSE(table.holds(slot, mix(2)));
  EXPECT_FALSE(table.holds(kNoSlot, mix(1)));
  EXPECT_EQ(table.find(mix(2)), kNoSlot);
}

TEST(LruTable, ASlotThatIsUsedAgainStartsFromNothing) {
  LruTable<int> table(1);
  const std::uint32_t slot = table.insert(mix(1), 0);
  table[slot] = 7;
  table.erase(slot);
  EXPECT_FALSE(table.holds(slot, mix(1)));
  EXPECT_EQ(table.insert(mix(2), 0), slot);
  EXPECT_EQ(table[slot], 0);
  EXPECT_FALSE(table.holds(slot, mix(1)));
}

TEST(LruTable, KeysThatShareHomeAndTagAreToldApart) {
  LruTable<int> table(8);
  // The same upper half, which is tag and home, the index's last place: one run that wraps around.
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 0; i < 8; ++i) keys.push_back((std::uint64_t{15} << 32) | i);
  for (const std::uint64_t key : keys) table.insert(key, 0);
  table.erase(table.find(keys[0]));
  table.erase(table.find(keys[4]));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::uint32_t slot = table.find(keys[i]);
    EXPECT_EQ(slot == kNoSlot, i == 0 || i == 4) << i;
    EXPECT_TRUE(slot == kNoSlot || table.key_of(slot) == keys[i]) << i;
  }
}

TEST(LruTable, TheLikelySlotIsTheKeysOwnUnlessItsTagIsShared) {
  LruTable<int> table(64);
  EXPECT_EQ(table.likely_slot(mix(1)), kNoSlot);
  for (std::uint64_t i = 0; i < 64; ++i) {
    table.insert(mix(i), 0);
    table.prefetch_key(mix(i));
    table.prefetch(static_cast<std::uint32_t>(i), 2);
    table.prefetch(kNoSlot, 2);
  }
  for (std::uint64_t i = 0; i < 64; ++i) EXPECT_EQ(table.likely_slot(mix(i)), table.find(mix(i)));
  // The same tag and home as a key that is there.
  const std::uint64_t other = mix(7) ^ 1U;
  EXPECT_EQ(table.find(other), kNoSlot);
  EXPECT_EQ(table.likely_slot(other), table.find(mix(7)));
}

TEST(LruTable, InOneStampASlotIsMovedOnce) {
  LruTable<int> table(3);
  const std::uint32_t a = table.insert(mix(1), 5);
  const std::uint32_t b = table.insert(mix(2), 5);
  table.touch(a, 5);
  EXPECT_EQ(table.oldest(), a);  // used in this stamp already
  table.touch(a, 6);
  EXPECT_EQ(table.oldest(), b);
  EXPECT_EQ(table.stamp_of(a), 6);
}

TEST(LruTable, MakesRoomForWhatIsNotThere) {
  LruTable<int> table(2);
  std::uint64_t evicted = 0;
  const std::uint32_t a = table.find_or_insert(mix(1), 1, evicted);
  table[a] = 7;
  table.find_or_insert(mix(2), 2, evicted);
  EXPECT_EQ(table.find_or_insert(mix(1), 3, evicted), a);  // now used later than the other
  EXPECT_EQ(evicted, 0U);
  EXPECT_EQ(table[table.find_or_insert(mix(3), 4, evicted)], 0);
  EXPECT_EQ(evicted, 1U);
  EXPECT_EQ(table.find(mix(2)), kNoSlot);
  EXPECT_EQ(table[table.find(mix(1))], 7);
}

TEST(LruTable, VisitsWhatIsThereInTheOrderOfSlots) {
  LruTable<int> table(4);
  for (int i = 0; i < 4; ++i) table[table.insert(mix(static_cast<std::uint64_t>(i)), i)] = i;
  const auto all = [&] {
    std::vector<int> found;
    table.each([&](std::uint32_t slot) { found.push_back(table[slot]); });
    return found;
  };
  table.touch(table.find(mix(0)), 9);
  EXPECT_EQ(all(), (std::vector<int>{0, 1, 2, 3}));
  table.erase(table.find(mix(1)));
  EXPECT_EQ(all(), (std::vector<int>{0, 2, 3}));
  table[table.insert(mix(7), 9)] = 7;
  EXPECT_EQ(all(), (std::vector<int>{0, 7, 2, 3})) << "in the slot that was free";
}

TEST(LruTable, SlotsKeepTheirNumbersAndContentAsTheTableGrows) {
  constexpr std::uint32_t kSlots = 1000;
  using Content = std::vector<std::uint64_t>;  // one that is not moved by its bytes
  LruTable<Content> table(kSlots);
  std::vector<std::uint32_t> slots;
  for (std::uint64_t i = 0; i < kSlots; ++i) {
    slots.push_back(table.insert(mix(i), 1));
    table[slots.back()] = Content(1 + i % 5, i);
    if (i % 7 == 3) {  // a slot is free while the table grows on
      table.erase(slots.back());
      slots.back() = table.insert(mix(i), 1);
      EXPECT_TRUE(table[slots.back()].empty());
      table[slots.back()] = Content(1 + i % 5, i);
    }
  }
  EXPECT_TRUE(table.full());
  for (std::uint64_t i = 0; i < kSlots; ++i) {
    ASSERT_TRUE(table.holds(slots[i], mix(i)));
    ASSERT_EQ(table.find(mix(i)), slots[i]);
    ASSERT_EQ(table[slots[i]], Content(1 + i % 5, i));
  }
}

TEST(BoundedGrowth, DoublesWhileLittleIsMovedAndThenTakesAll) {
  EXPECT_EQ(grown_capacity(0, 1000, 100), 4U);
  EXPECT_EQ(grown_capacity(4, 1000, 100), 8U);
  EXPECT_EQ(grown_capacity(600, 1000, 100), 1000U) << "never past the bound";
  EXPECT_EQ(grown_capacity(0, 2, 100), 2U);
  for (const std::size_t bytes : {1U, 64U, 384U, 100'000U}) {
    constexpr std::size_t kBound = 1'000'000;
    std::size_t moved_most = 0;
    for (std::size_t used = 0; used < kBound;) {
      const std::size_t next = grown_capacity(used, kBound, bytes);
      ASSERT_GT(next, used);
      moved_most = std::max(moved_most, used * bytes);
      used = next;
    }
    EXPECT_LE(moved_most, kMovedBytesMax);
  }
}

// Against a plain list in order of use.
TEST(LruTable, BehavesLikeAListInOrderOfUse) {
  constexpr std::uint32_t kSlots = 50;
  LruTable<std::uint64_t> table(kSlots);
  std::vector<std::uint64_t> by_use;  // oldest first
  std::mt19937_64 random(11);
  for (std::int32_t stamp = 0; stamp < 50'000; ++stamp) {
    const std::uint64_t key = mix(random() % 120);
    const auto known = std::find(by_use.begin(), by_use.end(), key);
    const std::uint32_t slot = table.find(key);
    ASSERT_EQ(slot != kNoSlot, known != by_use.end());
    if (slot != kNoSlot) {
      ASSERT_EQ(table[slot], key);
      by_use.erase(known);
      if (random() % 4 == 0) {
        table.erase(slot);
        continue;
      }
      table.touch(slot, stamp);
    } else {
      if (table.full()) {
        ASSERT_EQ(table.key_of(table.oldest()), by_use.front());
        by_use.erase(by_use.begin());
        table.erase(table.oldest());
      }
      table[table.insert(key, stamp)] = key;
    }
    by_use.push_back(key);
    ASSERT_EQ(table.count(), by_use.size());
    ASSERT_EQ(table.key_of(table.oldest()), by_use.front());
  }
}

}  // namespace
}  // namespace grace::core
