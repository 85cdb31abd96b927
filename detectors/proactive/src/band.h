#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "grace/core/detector.h"
#include "numeric.h"
#include "trend_model.h"

namespace grace::proactive {

inline constexpr double kBandShare = 0.9;

// Where a series may be at the horizon: the movement goes on with probability `lasts`, or it stops
// here, or it is over and the series is what it usually is; nothing tells the last two apart, so
// each has half of the rest. All are normal with one deviation.
struct Futures {
  double going_on = 0.0;  // means
  double staying = 0.0;
  double usual = 0.0;
  double sd = 0.0;  // over 0
  double lasts = 0.0;

  // Half width of the band around `going_on` that holds the share kBandShare. By bisection, 32
  // halvings of a width that holds all but 1e-8.
  [[nodiscard]] double half_width() const noexcept;
};

// Widens or narrows the bands of forecasts that leave their range, by online quantile tracking on
// those whose time came (Gibbs and Candes 2021; see RichModel). They are a category of their own
// (Mondrian conformal prediction: Vovk, Gammerman and Shafer 2005, chapter 4): intervals that are
// right over all bins are far too narrow where something is happening. One for a partition, because
// a series leaves its range rarely.
class BandScale {
 public:
  [[nodiscard]] double value() const noexcept { return value_; }
  [[nodiscard]] const core::BandCounts& counts() const noexcept { return counts_; }
  void judge(bool missed) noexcept {
    ++counts_.due;
    if (!missed) ++counts_.inside;
    value_ = std::clamp(value_ * (1.0 + kGain * ((missed ? 1.0 : 0.0) - (1.0 - kBandShare))), kMin,
                        kMax);
  }

 private:
  static constexpr double kGain = 0.05;
  static constexpr double kMin = 0.25;
  static constexpr double kMax = 8.0;
  // Nine of ten bands hold at this scale on generated weeks (bench/quality/generated.md); a
  // partition sees a few in a week, too few to begin with 1.
  double value_ = 2.5;
  core::BandCounts counts_;
};

// Bands whose time has not come yet, one for each bin within the horizon. 768 bytes.
class PendingBands {
 public:
  // About the bin with this number; an older band of the same slot is forgotten.
  void put(std::int64_t bin, double mean, double half_width) noexcept {
    if (bin > last_) last_ = bin;
    bands_[slot_of(bin)] = {static_cast<float>(mean), static_cast<float>(half_width),
                            static_cast<std::uint32_t>(bin)};
  }
  // Judges the band of this bin, if there was one.
  void come(std::int64_t bin, double value, BandScale& scale) noexcept {
    if (bin > last_) return;  // nearly always, and without touching the bands
    Band& band = bands_[slot_of(bin)];
    if (band.half_width <= 0.0F || band.bin != static_cast<std::uint32_t>(bin)) return;
    const double away = value - static_cast<double>(band.mean);
    scale.judge((away < 0 ? -away : away) > static_cast<double>(band.half_width));
    band.half_width = 0.0F;
  }

 private:
  static constexpr std::int64_t kSlots = 64;
  static_assert(kSlots > kHorizonBinsMax);
  struct Band {
    float mean = 0.0F;
    float half_width = 0.0F;  // 0: none
    std::uint32_t bin = 0;    // its number modulo 2^32
  };
  static std::size_t slot_of(std::int64_t bin) noexcept {
    return static_cast<std::size_t>(bin & (kSlots - 1));
  }
  std::int64_t last_ = std::numeric_limits<std::int64_t>::min();  // bin that a band is about
  std::array<Band, kSlots> bands_{};
};

inline double Futures::half_width() const noexcept {
  const auto within = [&](double width) {
    const auto inside = [&](double mean) {
      return normal_cdf((going_on + width - mean) / sd) -
             normal_cdf((going_on - width - mean) / sd);
    };
    return lasts * inside(going_on) + 0.5 * (1.0 - lasts) * (inside(staying) + inside(usual));
  };
  double low = 0.0;
  const auto apart = [&](double mean) {
    return mean < going_on ? going_on - mean : mean - going_on;
  };
  double high = std::max(apart(staying), apart(usual)) + 6.0 * sd;
  for (int i = 0; i < 32; ++i) {
    const double middle = 0.5 * (low + high);
    (within(middle) < kBandShare ? low : high) = middle;
  }
  return high;
}

}  // namespace grace::proactive
