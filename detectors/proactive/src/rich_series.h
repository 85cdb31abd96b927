#pragma once
#include <cstdint>

#include "grace/models/season_level.h"
#include "rich_model.h"

namespace grace::proactive {

// A departure of a tenth or more from what is usual at this time is reported when the mean of the
// last bins is this many of its own deviations out (bench/quality/generated.md).
inline constexpr double kShiftDeviations = 6.0;

// What a series has once it earned a rich model: forecasts, and what is usual at this time.
struct RichSeries {
  RichSeries(std::uint64_t key, std::uint32_t horizon_bins) noexcept
      : forecast(key, horizon_bins) {}

  RichModel forecast;
  models::SeasonLevel season;
  models::SeasonLevel::Residual residual;  // of the last bin
  std::uint16_t shifted_bins = 0;          // in a row, waiting for the forecaster included
};
static_assert(sizeof(RichSeries) <= 14 * 1024, "what docs/ARCHITECTURE.md counts a rich model as");

}  // namespace grace::proactive
