#pragma once
#include <cstdint>

#include "grace/core/hash.h"

namespace grace::testing {

// In [0, 1): the same number for the same index, and no relation between those of others.
inline double uniform_at(std::uint64_t index) {
  return static_cast<double>(core::mix(index) >> 11) * 0x1p-53;
}

// Marsaglia's xorshift64*: the same numbers everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dULL;
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  // Near enough to a standard normal one: the sum of twelve uniform ones.
  double normal() {
    double sum = -6.0;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(next() >> 33) % bound;
  }

 private:
  std::uint64_t state_;
};

}  // namespace grace::testing
