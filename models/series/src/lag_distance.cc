#include "grace/models/lag_distance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

namespace grace::models {
namespace {

// Added to each distance: without it those of a constant series would fade into denormal numbers,
// which cost a hundred times as much. Far below what TailHistogram tells from 0.
constexpr float kFloor = 1e-30F;

// The compiler's vector types, as it does not find this by itself: a minimum is not reordered
// without leave. Here that is harmless: the minimum of numbers (none is NaN) does not depend on the
// order. Four lanes are what the smallest x86-64 and ARM64 processors have.
struct FourLanes {
  using Floats = float __attribute__((vector_size(16)));
  using Bits = std::int32_t __attribute__((vector_size(16)));
};
struct EightLanes {
  using Floats = float __attribute__((vector_size(32)));
  using Bits = std::int32_t __attribute__((vector_size(32)));
};
constexpr std::size_t kTogether = LagDistance::kPassSteps;

// The distances take a step for each value of `now`. `past` is where the lags of the first one
// begin; those of each further one begin one place before, at the value before it. By value: what
// is written to the distances might be the Pass for all that the compiler knows.
struct Pass {
  const float* past;
  std::span<float> distance;
  std::span<const float> now;
  float memory;
  std::span<LagDistance::Nearest> nearest;
};

// As far as whole lanes go; the lag behind them. Inlined into what is compiled for a processor: the
// same operations on each lag, none fused, so the same result on each.
template <typename Lanes, std::size_t kSteps>
[[gnu::always_inline]] inline std::size_t pass_lanes(const Pass& p) noexcept {
  using Floats = typename Lanes::Floats;
  using Bits = typename Lanes::Bits;
  constexpr std::size_t kLanes = sizeof(Floats) / sizeof(float);
  Floats now[kSteps], stretch[kSteps], value[kSteps];
  for (std::size_t k = 0; k < kSteps; ++k) {
    now[k] = Floats{} + p.now[k];
    stretch[k] = value[k] = Floats{} + std::numeric_limits<float>::max();
  }
  const Floats memory = Floats{} + p.memory;
  std::size_t at = 0;
  for (; at + kLanes <= p.distance.size(); at += kLanes) {
    Floats sum, then;
    std::memcpy(&sum, &p.distance[at], sizeof(sum));
    for (std::size_t k = 0; k < kSteps; ++k) {
      std::memcpy(&then, p.past + at - k, sizeof(then));
      const Floats gap = now[k] - then;
      const auto apart = reinterpret_cast<Floats>(reinterpret_cast<Bits>(gap) & INT32_MAX);
      sum = memory * sum + (apart + kFloor);
      value[k] = apart < value[k] ? apart : value[k];
      stretch[k] = sum < stretch[k] ? sum : stretch[k];
    }
    std::memcpy(&p.distance[at], &sum, sizeof(sum));
  }
  for (std::size_t k = 0; k < kSteps; ++k) {
    p.nearest[k] = {stretch[k][0], value[k][0]};
    for (std::size_t i = 1; i < kLanes; ++i) {
      p.nearest[k].stretch = std::min(p.nearest[k].stretch, stretch[k][i]);
      p.nearest[k].value = std::min(p.nearest[k].value, value[k][i]);
    }
  }
  return at;
}

template <std::size_t kSteps>
void pass(const Pass p) noexcept {
  for (std::size_t at = pass_lanes<FourLanes, kSteps>(p); at < p.distance.size(); ++at) {
    for (std::size_t k = 0; k < kSteps; ++k) {
      const float apart = std::fabs(p.now[k] - p.past[at - k]);
      p.distance[at] = p.memory * p.distance[at] + (apart + kFloor);
      p.nearest[k].value = std::min(p.nearest[k].value, apart);
      p.nearest[k].stretch = std::min(p.nearest[k].stretch, p.distance[at]);
    }
  }
}

#if defined(__x86_64__)
// Where a processor has the eight lanes of AVX2.
__attribute__((target("avx2"))) void pass_wide(const Pass p) noexcept {
  static_assert(LagDistance::kLags % 8 == 0);
  static_cast<void>(pass_lanes<EightLanes, kTogether>(p));
}
#endif

using PassTogether = void (*)(Pass) noexcept;

PassTogether choose() noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") != 0) return &pass_wide;
#endif
  return &pass<kTogether>;
}

// All lags.
void pass_together(const Pass p) noexcept {
  static const PassTogether chosen = choose();
  chosen(p);
}

}  // namespace

LagDistance::Nearest LagDistance::step(float value) noexcept {
  Nearest nearest;
  steps({&value, 1}, {&nearest, 1});
  return nearest;
}

void LagDistance::steps(std::span<const float> values, std::span<Nearest> nearest) noexcept {
  for (std::size_t at = 0; at < values.size();) {
    // While lags are added each value has one more than the one before it.
    const bool together = count_ == kLags && values.size() - at >= kTogether;
    const std::size_t taken = together ? kTogether : 1;
    if (newest_ < taken) make_room();
    const Pass next{&past_[newest_], std::span(distance_).first(count_), values.subspan(at, taken),
                    memory_, nearest.subspan(at, taken)};
    for (const float value : next.now) past_[--newest_] = value;
    if (together) {
      pass_together(next);
    } else if (count_ > 0) {
      pass<1>(next);
    } else {
      next.nearest[0] = {};
    }
    for (Nearest& n : next.nearest) n.stretch *= 1.0F - memory_;
    count_ = std::min<std::uint32_t>(count_ + 1, kLags);
    at += taken;
  }
}

void LagDistance::make_room() noexcept {
  std::copy_backward(past_.begin() + newest_, past_.begin() + newest_ + kLags, past_.end());
  newest_ = kRoom;
}

}  // namespace grace::models
