#pragma once
#include <cstdint>

namespace grace::proactive {

inline constexpr std::uint32_t kHorizonBinsMax = 60;

struct Prediction {
  double mean = 0.0;
  double sd = 0.0;
};

// Robust level and damped trend of a series, one step a bin. Plain data, 40 bytes.
//
// Damped Holt smoothing (Gardner and McKenzie 1985, "Forecasting trends in time series") on clipped
// innovations: Huber's psi on the one-step error, scale by a bounded recursion (Gelper, Fried and
// Croux 2010, "Robust forecasting with exponential and Holt-Winters smoothing"). A lone outlier
// moves the level by at most 2.5 deviations, unless the bin before was off by over one deviation to
// the same side: then it counts as the second of a jump, and the level goes with it. Errors that
// keep their sign are believed more with each step and fully from the fourth, so that a shift or a
// trend is followed within a few bins.
// Forecast variance: ETS(A,Ad,N), Hyndman et al. 2008, "Forecasting with Exponential Smoothing",
// table 6.1.
struct TrendModel {
  double level = 0.0;
  double trend = 0.0;  // change of level in one bin
  double sigma = 0.0;  // robust scale of the one-step error
  std::uint32_t steps = 0;
  std::uint16_t run_up = 0;  // bins in a row above the level before them (halved by each below)
  std::uint16_t run_down = 0;
  std::int16_t sign_run = 0;  // errors over one sigma in a row with one sign: > 0 above, < 0 below
  std::uint16_t reserved[3] = {};

  // `gap` bins without a sample lie between the last step and this one.
  void step(double value, std::int64_t gap) noexcept;
  // 1 <= bins <= kHorizonBinsMax. If the trend goes on:
  [[nodiscard]] Prediction forecast(std::uint32_t bins) const noexcept;
  // If the trend ends here and the level stays.
  [[nodiscard]] Prediction stay(std::uint32_t bins) const noexcept;
  // Probability that the movement in that direction is real and goes on: the rule of succession,
  // times the belief that it is a movement at all. `deviation`: how many robust deviations the
  // level is away from the long-run centre in that direction. Noise that swings within its usual
  // width is believed only when it has gone one way for long.
  [[nodiscard]] double persistence(bool up, double deviation) const noexcept;
  // Scale that is never 0: a constant series has errors of 0 until it moves.
  [[nodiscard]] double scale() const noexcept;

 private:
  void count_runs(double moved) noexcept;
};
static_assert(sizeof(TrendModel) == 40);

// Long-run picture of a series: where it usually is, how much it varies, and its extremes. Learns
// slowly: a shift moves it over hours, so that a short incident does not become the new normal.
//
// Centre and spread: means with a gain of 1/n down to 1/720 (12 h of minutes) on values clipped at
// three deviations. Extremes: stochastic approximation of the 0.5% and 99.5% quantiles (Robbins and
// Monro 1951; Tierney 1983, "A space-efficient recursive procedure for estimating a quantile of an
// unknown distribution"), started from the extremes of the warm-up.
struct Baseline {
  double center = 0.0;
  double spread = 0.0;
  double low = 0.0;
  double high = 0.0;
  std::uint32_t steps = 0;
  std::uint32_t reserved = 0;

  // Takes values as they are (not clipped) while steps < warmup.
  void step(double value, std::uint32_t warmup) noexcept;
  // Robust z of a value, within [-99, 99].
  [[nodiscard]] double deviation(double value) const noexcept;
  // spread, at least 1% of the centre: departures below that are no anomaly whatever the noise.
  [[nodiscard]] double scale() const noexcept;
  // Starts over around `mean`, remembering how much the series varies; `low` and `high` are the
  // extremes seen since the shift. Learns fast again, from `steps_to` on.
  void relearn(double mean, double from, double to, std::uint32_t steps_to) noexcept;
};
static_assert(sizeof(Baseline) == 40);

}  // namespace grace::proactive
