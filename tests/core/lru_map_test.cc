#include "grace/core/lru_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace grace::core {
namespace {

using Map = LruMap<std::string, int>;

std::vector<std::string> keys_of(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& [key, entry] : map) keys.push_back(key);
  return keys;
}

TEST(LruMap, MakesAValueOnceAndFindsIt) {
  Map map(4);
  std::uint64_t evicted = 0;
  map.use(
      std::string_view("b"), [] { return 1; }, evicted) += 1;
  EXPECT_EQ(map.use(
                std::string_view("b"), [] { return 7; }, evicted),
            2);
  ASSERT_NE(map.find(std::string_view("b")), nullptr);
  EXPECT_EQ(*map.find(std::string_view("b")), 2);
  EXPECT_EQ(map.find(std::string_view("a")), nullptr);
  EXPECT_EQ(evicted, 0U);
}

TEST(LruMap, TheOneUsedLongestAgoMakesRoomWhateverItsKey) {
  Map map(2);
  std::uint64_t evicted = 0;
  const auto use = [&](const char* key) {
    map.use(
        std::string_view(key), [] { return 0; }, evicted);
  };
  use("a");
  use("b");
  use("a");
  static_cast<void>(map.find(std::string_view("b")));  // no use
  use("c");
  EXPECT_EQ(keys_of(map), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(evicted, 1U);
}

// Against a list that is searched from end to end.
TEST(LruMap, AgreesWithTheObviousOne) {
  constexpr std::size_t kMax = 16;
  Map map(kMax);
  std::uint64_t evicted = 0, expected_evicted = 0;
  std::vector<std::string> by_use;
  std::mt19937 random(5);
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = std::to_string(random() % 40);
    map.use(
        key, [] { return 0; }, evicted);
    const auto at = std::find(by_use.begin(), by_use.end(), key);
    if (at != by_use.end()) by_use.erase(at);
    by_use.push_back(key);
    if (by_use.size() > kMax) {
      by_use.erase(by_use.begin());
      ++expected_evicted;
    }
    std::vector<std::string> expected = by_use;
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(keys_of(map), expected);
  }
  EXPECT_EQ(evicted, expected_evicted);
}

}  // namespace
}  // namespace grace::core
