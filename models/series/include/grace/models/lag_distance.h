#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace grace::models {

// How far is the newest stretch of a series from the most similar earlier stretch? A discord
// (Keogh, Lin and Fu 2005, "HOT SAX"; Yeh et al. 2016, "Matrix Profile I") over windows that fade
// instead of ending: with x_t the value at step t,
//
//   D_t(lag) = memory * D_{t-1}(lag) + |x_t - x_{t-lag}|,   nearest = (1 - memory) * min D_t(lag)
//
// so that a step costs one pass over the lags, as in STAMPI's incremental form, and no error adds
// up. A daily rhythm needs no configuration: its lag is among those tried. A step to a new level is
// far from everything once and near to itself from then on, which marks the beginning of what is
// new and not the rest.
//
// Several values at once read and write the distances once for every kPassSteps of them, with the
// same result to the last bit: each lag's distance takes the same steps in the same order.
//
// 8.5 KiB, no allocation. Not thread safe. Values must be finite and within +-1e31.
class LagDistance {
 public:
  static constexpr std::size_t kLags = 1024;
  static constexpr std::size_t kPassSteps = 4;

  struct Nearest {
    float stretch = 0.0F;  // (1 - memory) * min D
    float value = 0.0F;    // min |x_t - x_{t-lag}|
  };

  // `memory` in [0, 1): the weight of the step before; stretches are about 1 / (1 - memory) long.
  explicit LagDistance(float memory) noexcept : memory_(memory) {}

  // 0 and 0 as long as there is nothing to compare with.
  Nearest step(float value) noexcept;
  // The same one after the other; `nearest` has room for as many.
  void steps(std::span<const float> values, std::span<Nearest> nearest) noexcept;

 private:
  // How far new values move down before the lags are moved back up at once.
  static constexpr std::size_t kRoom = 128;

  void make_room() noexcept;

  // Newest first, so that a lag's neighbours in memory are the neighbouring lags.
  std::array<float, kRoom + kLags> past_{};
  std::array<float, kLags> distance_{};  // by lag - 1
  std::uint32_t newest_ = kRoom;         // place of x_{t-1} in past_
  std::uint32_t count_ = 0;              // lags that exist
  float memory_;
};

}  // namespace grace::models
