#pragma once
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "grace/core/hash.h"

namespace grace::core {

// A value of two cache lines in which every word follows from its number, so that a torn, stale or
// foreign read betrays itself.
struct StressValue {
  std::array<std::uint64_t, 16> words{};
  static StressValue make(std::uint64_t number) {
    StressValue value;
    for (std::size_t i = 0; i < value.words.size(); ++i) value.words[i] = combine(number, i);
    return value;
  }
  [[nodiscard]] bool is(std::uint64_t number) const {
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] != combine(number, i)) return false;
    }
    return true;
  }
};

// From GRACE_SEED, or random; printed, so that a failure can be run again.
inline std::uint64_t stress_seed() {
  const char* const wanted = std::getenv("GRACE_SEED");
  const std::uint64_t seed =
      wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
  std::printf("GRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace grace::core
