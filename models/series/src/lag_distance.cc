#include "grace/models/lag_distance.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

namespace grace::models {
namespace {

// Added to each distance: without it those of a constant series would fade into denormal numbers,
// which cost a hundred times as much. Far below what TailHistogram tells from 0.
constexpr float kFloor = 1e-30F;

// Four lanes: what the smallest x86-64 and ARM64 processors have. The compiler's vector types, as
// it does not find this by itself: a minimum is not reordered without leave. Here that is harmless:
// the minimum of numbers (none is NaN) does not depend on the order.
constexpr std::size_t kLanes = 4;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using Bits = std::int32_t __attribute__((vector_size(kLanes * sizeof(float))));

Lanes load(const float* from) noexcept {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

Lanes smaller(Lanes a, Lanes b) noexcept {
  return a < b ? a : b;
}

float smallest(Lanes lanes) noexcept {
  return std::min(std::min(lanes[0], lanes[1]), std::min(lanes[2], lanes[3]));
}

// Moves the distances of a contiguous piece of the lags one step on.
void pass(std::span<const float> past, std::span<float> distance, float now, float memory,
          LagDistance::Nearest& nearest) noexcept {
  constexpr float kMost = std::numeric_limits<float>::max();
  Lanes stretch = Lanes{} + kMost;
  Lanes value = stretch;
  std::size_t at = 0;
  for (; at + kLanes <= past.size(); at += kLanes) {
    const Lanes gap = now - load(&past[at]);
    const Lanes apart = std::bit_cast<Lanes>(std::bit_cast<Bits>(gap) & INT32_MAX);
    const Lanes sum = memory * load(&distance[at]) + (apart + kFloor);
    std::memcpy(&distance[at], &sum, sizeof(sum));
    value = smaller(apart, value);
    stretch = smaller(sum, stretch);
  }
  nearest.value = std::min(nearest.value, smallest(value));
  nearest.stretch = std::min(nearest.stretch, smallest(stretch));
  for (; at < past.size(); ++at) {
    const float apart = std::fabs(now - past[at]);
    distance[at] = memory * distance[at] + (apart + kFloor);
    nearest.value = std::min(nearest.value, apart);
    nearest.stretch = std::min(nearest.stretch, distance[at]);
  }
}

}  // namespace

LagDistance::Nearest LagDistance::step(float value) noexcept {
  Nearest nearest;
  if (count_ > 0) {
    nearest.stretch = nearest.value = std::numeric_limits<float>::max();
    // past_ is a ring: lags 1..first lie behind newest_, the others at its beginning.
    const std::size_t first = std::min<std::size_t>(count_, kLags - newest_);
    const std::span<const float> past(past_);
    const std::span<float> distance(distance_);
    pass(past.subspan(newest_, first), distance.first(first), value, memory_, nearest);
    pass(past.first(count_ - first), distance.subspan(first, count_ - first), value, memory_,
         nearest);
    nearest.stretch *= 1.0F - memory_;
  }
  newest_ = static_cast<std::uint32_t>((newest_ + kLags - 1) % kLags);
  past_[newest_] = value;
  count_ = std::min<std::uint32_t>(count_ + 1, kLags);
  return nearest;
}

}  // namespace grace::models
