#pragma once
#include <cstdint>
#include <memory>

#include "band.h"
#include "grace/models/batched_anomaly.h"
#include "grace/models/season_level.h"
#include "rich_model.h"
#include "shift_confirmation.h"

namespace grace::proactive {

// A departure of a tenth or more from what is usual at this time is reported when the mean of the
// last bins is this many of its own deviations out (bench/quality/generated.md).
inline constexpr double kShiftDeviations = 6.0;
// And that it is no chance at least this probable (no_chance).
inline constexpr double kShiftProbability = 0.9;

// The rest is for what was taken out of service on purpose, which the series does not tell.
inline constexpr double kSilenceConfidence = 0.95;

// Whether a series still says something: samples that stop, and a value that stands still.
struct Liveness {
  std::int64_t open_bin_ns = 0;    // begin of the bin that is open
  std::uint32_t regular_bins = 0;  // in a row with a sample; one may be left out
  std::uint32_t bins = 0;          // compared with the one before, the current run not counted
  std::uint32_t repeats = 0;       // of them, equal to the one before
  std::uint32_t same_run = 0;      // equal ones in a row up to now
  std::uint32_t same_run_max = 0;  // before that
  bool stop_told = false;
  bool frozen_told = false;

  // One closed bin; `same`: equal to the one before it and not 0, since nothing (no errors, no
  // traffic) may stay nothing; `gap`: bins without a sample before it.
  void step(bool same, std::int64_t gap, std::int64_t next_bin_ns) noexcept;
  // How often the value would stand still for so long by chance, if each repeat were one of its
  // own; 1 where that says nothing: too short, or not twice as long as it did before.
  [[nodiscard]] double chance_of_run() const noexcept;
};

// What a series has once it earned a rich model: forecasts, and what is usual at this time.
struct RichSeries {
  RichSeries(std::uint64_t key, std::uint32_t model_index, std::uint32_t horizon_bins) noexcept
      : forecast(key, horizon_bins), model(model_index) {}

  RichModel forecast;
  models::SeasonLevel season;
  models::SeasonLevel::Residual residual;  // of the last bin
  // Those that have one: the ensemble of `grace score series`, which is asked only about what is
  // far out.
  std::unique_ptr<models::BatchedAnomaly> ensemble;
  RecentResiduals recent;
  Liveness liveness;
  PendingBands bands;              // of forecasts that leave the range
  std::int64_t swing_held_ns = 0;  // last bin in which it swung as it never did; 0: never
  std::uint32_t model;             // of the series' table
  std::uint16_t shifted_bins = 0;  // in a row, waiting for the forecaster included
};
static_assert(sizeof(RichSeries) <= 15 * 1024, "what docs/ARCHITECTURE.md counts a rich model as");

}  // namespace grace::proactive
