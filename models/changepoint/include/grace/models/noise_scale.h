#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "grace/models/sorted_window.h"

namespace grace::models {

// Centre, noise and memory of a series over its newest 128 values, hardly moved by level shifts and
// outliers: all of it rests on medians, and a level shift touches only `lag` of the differences.
//
// Noise: median |x(t) - x(t-1)| / (0.6745 sqrt 2), which is the deviation for independent normal
// values (von Neumann 1941, "Distribution of the ratio of the mean square successive difference to
// the variance", with a median for the mean). Where half of the values repeat the one before, the
// mean of the differences without the largest tenth stands in.
//
// Memory: in a first-order autoregression the differences at lag k grow as sqrt(1 - phi^k), so the
// ratio of lag 1 to longer lags (2, 4 and 8, averaged) gives phi. A sample is then worth
// (1 - phi) / (1 + phi) independent ones (Bayley and Hammersley 1946, "The effective number of
// independent observations in an autocorrelated time series").
//
// About 10 KiB, plain data. Values must be finite. Thread: its owner's.
class NoiseScale {
 public:
  void push(double value) noexcept;
  [[nodiscard]] double center() const noexcept { return values_.median(); }
  // 0 when nine in ten values repeat the one before.
  [[nodiscard]] double deviation() const noexcept;
  // Part of an independent sample that one value is worth, in [0, 1]; 1 until enough differences
  // of a longer lag are known, and where most values repeat.
  [[nodiscard]] double independence() const noexcept;

 private:
  static constexpr std::array<std::size_t, 4> kLags{1, 2, 4, 8};
  static constexpr std::size_t kLagMax = 8;

  std::array<double, kLagMax> recent_{};  // ring of the newest values
  std::uint64_t count_ = 0;
  SortedWindow values_;
  std::array<SortedWindow, kLags.size()> differences_;  // absolute, one window a lag
};

}  // namespace grace::models
