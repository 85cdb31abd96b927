// Departures from what is usual at this time: at once (anomaly_forecast) and lasting (drift).
#include <algorithm>
#include <cmath>

#include "grace/models/change_points.h"
#include "numeric.h"
#include "partition.h"
#include "text.h"

namespace grace::proactive {
namespace {

using core::MetricRole;
using models::SeasonLevel;

// Drift must also be beyond what the series usually varies.
constexpr double kDriftDeviations = 2.0;
// A departure that came in one step, most of it, is a jump; others may be a movement that the
// forecaster reports with what it leads to, and it is given this many bins for that.
constexpr double kJumpShare = 0.6;
constexpr std::uint32_t kJumpBins = 4;
constexpr std::uint16_t kPatienceBins = 6;

bool is_worse(MetricRole role, bool up) {
  if (up) {
    return role == MetricRole::kLatency || role == MetricRole::kErrors ||
           role == MetricRole::kSaturation;
  }
  return role == MetricRole::kHealth || role == MetricRole::kDemand;
}

// What fills up is near its end sooner than a tenth of its level away: of a percentage the room
// that is left counts where it is the smaller part. In (0, 1].
double share_of_room(const SeriesModel& model, double expected, double departure) {
  if (model.role != MetricRole::kSaturation || !is_percent(model.metric)) return 1.0;
  if (departure < 0 || expected <= 50.0) return 1.0;
  return std::max(100.0 - expected, 1.0) / expected;
}

bool jumped(const SeriesModel& model, double expected) {
  const std::uint32_t count = std::min<std::uint32_t>(kJumpBins, model.bins - 1);
  double step = 0.0;
  for (std::uint32_t i = 0; i < count; ++i) {
    step = std::max(step, std::fabs(model.recent_back(i) - model.recent_back(i + 1)));
  }
  return step >= kJumpShare * std::fabs(model.recent_back(0) - expected);
}

}  // namespace

// A surge of demand is a load to come, but only where the day is known can it be told from a
// morning. Where a person has set the range, that is what counts.
bool ProactivePartition::is_told(const SeriesModel& model, const RichSeries& rich,
                                 double departure) const noexcept {
  if (model.has_range || !rich.residual.settled) return false;
  const bool up = departure > 0;
  const bool surge = up && model.role == MetricRole::kDemand && rich.season.seasonal();
  if (!is_worse(model.role, up) && !surge) return false;
  // Before the day is known only what would be drift if it lasted is worth a word.
  const double enough =
      rich.season.seasonal() ? SeasonLevel::kHoldDeparture : config_.drift_departure;
  return std::fabs(departure) >= enough * share_of_room(model, rich.residual.expected, departure);
}

// One bin is enough where two models agree that it is nothing that the series does: it is far out
// for the time of the day, and the ensemble, which knows nothing of that residual, is surprised.
void ProactivePartition::check_onset(SeriesModel& model, const RichSeries& rich, const Closed& bin,
                                     const core::Event& event, core::FindingSink& sink) {
  if (rich.ensemble == nullptr) return;
  const SeasonLevel::Residual& r = rich.residual;
  if (std::fabs(r.now) < kShiftDeviations) return;
  const double departure = (bin.mean - r.expected) / std::max(std::fabs(r.expected), r.unit);
  if (!is_told(model, rich, departure)) return;
  const double probability = no_chance(r.now_chance, bin_ns_);
  if (probability < kShiftProbability) return;
  // Last: where nothing else speaks for an onset the ensemble's values wait for the next ones.
  const models::SeriesVerdict& verdict = rich.ensemble->verdict();
  if (verdict.anomaly_score < models::SeriesAnomaly::kScoreThreshold) return;
  FireState& state = departure > 0 ? model.forecast_up : model.forecast_down;
  const bool told_lately = state.fired_size > 0 && bin.end_ns - state.held_ts_ns < refire_.quiet_ns;
  state.held_ts_ns = bin.end_ns;
  if (told_lately) return;
  state.fired_size = static_cast<float>(odds(probability));
  state.fired_ts_ns = bin.end_ns;
  report_onset(model, rich, bin, event, departure, probability, sink);
}

void ProactivePartition::check_shift(SeriesModel& model, RichSeries& rich, const Closed& bin,
                                     const core::Event& event, core::FindingSink& sink) {
  const SeasonLevel::Residual& r = rich.residual;
  const bool up = r.departure > 0;
  double probability = 0.0;
  if (is_told(model, rich, r.departure)) {
    if ((r.mean_z > 0) == up && std::fabs(r.mean_z) >= kShiftDeviations) {
      probability = no_chance(r.mean_chance, bin_ns_);
    }
    if ((r.pair > 0) == up && std::fabs(r.pair) >= kShiftDeviations) {
      probability = std::max(probability, no_chance(r.pair_chance, bin_ns_));
    }
  }
  if (probability < kShiftProbability) {
    rich.shifted_bins = 0;
    return;
  }
  if (rich.shifted_bins < 0xffff) ++rich.shifted_bins;
  const bool waits = is_forecast(model, up) && rich.shifted_bins <= kPatienceBins;
  if (waits && !jumped(model, r.expected)) return;
  // One memory of what was told for both: a forecast that came true is not told again, nor a shift
  // while it lasts.
  FireState& state = up ? model.forecast_up : model.forecast_down;
  const bool told_lately = state.fired_size > 0 && bin.end_ns - state.held_ts_ns < refire_.quiet_ns;
  state.held_ts_ns = bin.end_ns;
  if (told_lately) return;
  state.fired_size = static_cast<float>(odds(probability));
  state.fired_ts_ns = bin.end_ns;
  report_shift(model, rich, bin, event, probability, sink);
}

// A series that swings as it never did: a fault that leaves the mean where it is.
void ProactivePartition::check_swing(const SeriesModel& model, RichSeries& rich, const Closed& bin,
                                     const core::Event& event, core::FindingSink& sink) const {
  const SeasonLevel::Residual& r = rich.residual;
  if (model.has_range || model.role == MetricRole::kOther || model.role == MetricRole::kCapacity ||
      !r.settled || r.swing_z < kShiftDeviations || r.swing < SeasonLevel::kHoldDeparture) {
    return;
  }
  const double probability = no_chance(r.swing_chance, bin_ns_);
  if (probability < kShiftProbability) return;
  const bool told_lately =
      rich.swing_held_ns != 0 && bin.end_ns - rich.swing_held_ns < refire_.quiet_ns;
  rich.swing_held_ns = bin.end_ns;
  if (!told_lately) report_swing(model, rich, bin, event, probability, sink);
}

void ProactivePartition::check_drift(SeriesModel& model, const Closed& bin,
                                     const core::Event& event, core::FindingSink& sink) {
  RichSeries* const r = rich(model);
  double expected = model.baseline.center;
  double size = std::max(std::fabs(expected), model.baseline.scale());
  double away = model.trend.level - expected;
  bool clear = std::fabs(away) >= kDriftDeviations * model.baseline.scale();
  if (r != nullptr) {
    expected = r->residual.expected;
    size = std::max(std::fabs(expected), r->residual.unit);
    away = r->residual.departure * size;
    clear = r->residual.settled && std::fabs(r->residual.mean_z) >= SeasonLevel::kHoldMeanZ;
  }
  if (!clear || std::fabs(away) < config_.drift_departure * size) {
    model.drift.held_bins = 0;
    return;
  }
  if (model.drift.held_bins < 0xffff) ++model.drift.held_bins;
  if (model.drift.held_bins < config_.drift_bins) return;

  // Mean of the last bins, its standard error, and the probability that the true departure is as
  // large as configured.
  const std::uint32_t n =
      std::min({config_.drift_bins, static_cast<std::uint32_t>(kRecentBins), model.bins});
  double sum = 0.0;
  double low = model.recent_back(0), high = low;
  for (std::uint32_t i = 0; i < n; ++i) {
    const double value = model.recent_back(i);
    sum += value;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const double mean = sum / n;
  const double error = model.trend.scale() / std::sqrt(static_cast<double>(n));
  const double beyond = std::fabs(mean - expected) - config_.drift_departure * size;
  const double large = normal_cdf(beyond / std::max(error, 1e-12));
  if (large < core::kFindingFloor) return;
  // A departure that has lasted n bins lasts one more by the rule of succession; one that is a
  // segment of its own ends as segments do.
  const ShiftConfirmation change =
      r == nullptr ? ShiftConfirmation{} : r->recent.confirm(2U * model.drift.held_bins);
  const double ends = models::ChangePointConfig{}.hazard;
  const double lasts = change.probability * (1.0 - ends) +
                       (1.0 - change.probability) * succession(model.drift.held_bins);
  const double probability = std::min(lasts * large, 0.99);
  if (probability < core::kFindingFloor) return;

  const bool quiet =
      model.drift.fired_size > 0 && bin.end_ns - model.drift.fired_ts_ns < refire_.quiet_ns;
  if (is_worse(model.role, away > 0) && !quiet) {
    model.drift.fired_size = static_cast<float>(std::fabs(mean - expected) / size);
    model.drift.fired_ts_ns = bin.end_ns;
    report_drift(model, bin, event, {mean, expected, probability, change}, sink);
  }
  // Told or not (a change for the better is no finding), this is the new normal.
  model.baseline.relearn(mean, low, high, n);
  model.drift.held_bins = 0;
  if (r != nullptr) r->season.relearn(bin.end_ns - bin_ns_, mean);
}

}  // namespace grace::proactive
