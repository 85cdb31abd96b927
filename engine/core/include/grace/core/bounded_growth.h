#pragma once
#include <algorithm>
#include <cstddef>

namespace grace::core {

// The most that growing a bounded array may move: some ten microseconds.
inline constexpr std::size_t kMovedBytesMax = 64 * 1024;

// What a bounded array that is full at `used` < `bound` elements should reserve next: twice as many
// while that stays within kMovedBytesMax, then all it may become, at once, of which untouched
// memory costs nothing. Small arrays lie close together that way. Reserved to its bound from the
// start, each takes pages of its own: in 64 partitions these are more than the processor's cache of
// address translations holds, which cost a replay 7%.
[[nodiscard]] constexpr std::size_t grown_capacity(std::size_t used, std::size_t bound,
                                                   std::size_t element_bytes) noexcept {
  constexpr std::size_t kFirst = 4;
  const std::size_t doubled = std::max(kFirst, 2 * used);
  return doubled * element_bytes > kMovedBytesMax ? bound : std::min(bound, doubled);
}

}  // namespace grace::core
