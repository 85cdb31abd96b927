#include "past_caches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace grace::ledger::internal {
namespace {

TEST(CopyPastCaches, WritesTheBytesAndNoOthersFromAndToAnyPlace) {
  constexpr std::byte kUntouched{0xEE};
  alignas(kCacheLineBytes) std::array<std::byte, 512> to;
  std::array<std::byte, 512> from;
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 7 + i / 256);
  for (std::size_t at = 0; at < 2 * kCacheLineBytes; ++at) {
    for (std::size_t size = 0; size < 4 * kCacheLineBytes; ++size) {
      const std::size_t from_at = (at * 13 + size) % 64;
      to.fill(kUntouched);
      copy_past_caches(to.data() + at, std::span(from).subspan(from_at, size));
      order_past_caches();
      ASSERT_TRUE(std::equal(to.begin() + at, to.begin() + at + size, from.begin() + from_at))
          << size << " bytes to " << at;
      const auto untouched = [](std::byte byte) { return byte == kUntouched; };
      ASSERT_TRUE(std::all_of(to.begin(), to.begin() + at, untouched)) << size << " to " << at;
      ASSERT_TRUE(std::all_of(to.begin() + at + size, to.end(), untouched)) << size << " to " << at;
    }
  }
}

}  // namespace
}  // namespace grace::ledger::internal
