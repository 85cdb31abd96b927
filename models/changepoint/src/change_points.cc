#include "grace/models/change_points.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "grace/core/assert.h"
#include "grace/core/exact_math.h"

namespace grace::models {
namespace {

// Values are clamped to this many units: squares and their sums stay finite.
constexpr double kUnitsMax = 1e15;
// Noise below this part of a unit is not resolved: a series that repeats one value has none.
constexpr double kDeviationMin = 0.01;
// Hypotheses less probable than this are dropped: they never came back in any series tried.
constexpr double kWeightMin = 1e-6;
// Those too young to be judged are kept longer, but not where arithmetic ends.
constexpr double kYoungWeightMin = 1e-100;
// A decided change is taken back, silently, when the time before it is as probable as this again.
constexpr double kReturnProbability = 0.9;

core::Result<ChangePointConfig> outside(std::string field, double value, std::string range) {
  return core::make_error(
      core::ErrorCode::kInvalidArgument,
      std::move(field) + " is " + std::to_string(value) + ", must be " + std::move(range));
}

}  // namespace

core::Result<ChangePointConfig> validated(ChangePointConfig config) {
  // Written so that NaN is outside.
  const auto within = [](double value, double low, double high) {
    return value >= low && value <= high;
  };
  if (!(config.hazard > 0 && config.hazard <= 0.5)) {
    return outside("hazard", config.hazard, "over 0 and at most 0.5");
  }
  if (config.segment_values_min < 2 || config.segment_values_min > 16) {
    return outside("segment_values_min", config.segment_values_min, "2 to 16");
  }
  if (!within(config.trend_share, 0, 0.9)) {
    return outside("trend_share", config.trend_share, "0 to 0.9");
  }
  if (!within(config.trend_slope, 0, 10)) {
    return outside("trend_slope", config.trend_slope, "0 to 10");
  }
  const RunConstants& run = config.run;
  if (!within(run.shape, 0.5, 100)) return outside("shape", run.shape, "0.5 to 100");
  if (!(run.outlier_share > 0 && run.outlier_share <= 0.5)) {
    return outside("outlier_share", run.outlier_share, "over 0 and at most 0.5");
  }
  if (!within(run.outlier_scale, 1, 1000)) {
    return outside("outlier_scale", run.outlier_scale, "1 to 1000");
  }
  if (!within(run.memory_values, 50, 1e6)) {
    return outside("memory_values", run.memory_values, "50 to 1000000");
  }
  return config;
}

ChangePointDetector::ChangePointDetector(const ChangePointConfig& config) noexcept
    : config_(config) {}

std::span<const ChangePoint> ChangePointDetector::push(double value) noexcept {
  change_count_ = 0;
  const std::uint64_t index = next_index_++;
  if (!std::isfinite(value)) return {};
  if (!started() && keep_early(index, value)) return {changes_.data(), change_count_};
  const double inside = in_units(value);
  noise_.push(inside);
  read_scale();
  advance(index, inside);
  return {changes_.data(), change_count_};
}

std::span<const ChangePoint> ChangePointDetector::finish() noexcept {
  change_count_ = 0;
  if (started() || early_count_ < kShortSeriesValues) return {};
  const double unit = early_unit();
  if (unit > 0) start(unit);
  return {changes_.data(), change_count_};
}

// True when the value was kept; false when it is the first one after the start.
bool ChangePointDetector::keep_early(std::uint64_t index, double value) noexcept {
  if (early_count_ == kWarmUpValues) {
    // All were equal. This one is the first other value and gives the unit, or one more of them.
    if (value != early_[0].value) {
      start(std::fabs(value - early_[0].value));
      return false;
    }
    std::move(early_.begin() + 1, early_.end(), early_.begin());
    early_.back() = {index, value};
    return true;
  }
  early_[early_count_++] = {index, value};
  if (early_count_ < kWarmUpValues) return true;
  const double unit = early_unit();
  if (unit > 0) start(unit);
  return true;
}

// The noise; where values mostly repeat, the largest difference from the first; 0 when all are
// equal.
double ChangePointDetector::early_unit() const noexcept {
  NoiseScale scale;
  double farthest = 0.0;
  for (std::size_t i = 0; i < early_count_; ++i) {
    scale.push(early_[i].value);
    farthest = std::max(farthest, std::fabs(early_[i].value - early_[0].value));
  }
  const double deviation = scale.deviation();
  return deviation > 0 ? deviation : farthest;
}

// Plays the warm-up again, with the scale that it gave.
void ChangePointDetector::start(double unit) noexcept {
  unit_ = std::clamp(unit, std::numeric_limits<double>::min(), std::numeric_limits<double>::max());
  SortedWindow values;
  for (std::size_t i = 0; i < early_count_; ++i) values.push(early_[i].value);
  origin_ = values.median();
  for (std::size_t i = 0; i < early_count_; ++i) noise_.push(in_units(early_[i].value));
  read_scale();
  segment_start_ = early_[0].index;  // where it began is no change
  for (std::size_t i = 0; i < early_count_; ++i) {
    advance(early_[i].index, in_units(early_[i].value));
  }
}

double ChangePointDetector::in_units(double value) const noexcept {
  return std::clamp((value - origin_) / unit_, -kUnitsMax, kUnitsMax);
}

void ChangePointDetector::read_scale() noexcept {
  scale_.center = noise_.center();
  scale_.deviation = std::max(noise_.deviation(), kDeviationMin);
  independence_ = config_.tempered ? noise_.independence() : 1.0;
}

void ChangePointDetector::advance(std::uint64_t index, double value) noexcept {
  std::array<double, kRunsMax + 2> evidence{};
  const std::size_t old_count = run_count_;
  const double released = old_count == 0 ? 1.0 : release_runs(index);
  for (std::size_t i = 0; i < old_count; ++i) {
    evidence[i] = runs_[i].step(value, scale_, config_.run);
  }
  if (released > 0) begin_runs(index, value, released, evidence);
  weigh(evidence);
  prune(index);
  decide(index);
}

// The probability that a segment ends before this value; taken from the runs that may end.
double ChangePointDetector::release_runs(std::uint64_t index) noexcept {
  double released = 0.0;
  for (std::size_t i = 0; i < run_count_; ++i) {
    if (index - runs_[i].start < config_.segment_values_min) continue;
    released += runs_[i].weight * config_.hazard;
    runs_[i].weight *= 1.0 - config_.hazard;
  }
  return released;
}

void ChangePointDetector::begin_runs(std::uint64_t index, double value, double weight,
                                     std::span<double> evidence) noexcept {
  const auto begin = [&](double share, double slope_deviation) {
    if (!(share > 0)) return;
    SegmentRun& run = runs_[run_count_];
    run.start = index;
    run.weight = weight * share;
    evidence[run_count_] = run.begin(value, slope_deviation, scale_, config_.run);
    ++run_count_;
  };
  begin(1.0 - config_.trend_share, 0.0);
  begin(config_.trend_share, config_.trend_slope);
}

void ChangePointDetector::weigh(std::span<const double> evidence) noexcept {
  double most = evidence[0];
  for (std::size_t i = 1; i < run_count_; ++i) most = std::max(most, evidence[i]);
  double sum = 0.0;
  for (std::size_t i = 0; i < run_count_; ++i) {
    runs_[i].weight *= core::exact_exp(independence_ * (evidence[i] - most));
    sum += runs_[i].weight;
  }
  GRACE_ASSERT(sum > 0, "no run explains the value: %zu runs", run_count_);
  for (std::size_t i = 0; i < run_count_; ++i) runs_[i].weight /= sum;
}

void ChangePointDetector::prune(std::uint64_t index) noexcept {
  const auto young = [&](const SegmentRun& run) {
    return index - run.start < config_.segment_values_min;
  };
  for (std::size_t i = run_count_; i-- > 0;) {
    if (runs_[i].weight < (young(runs_[i]) ? kYoungWeightMin : kWeightMin)) remove_run(i);
  }
  while (run_count_ > kRunsMax) {
    // At most two a value begin, so at most 2 * 16 are young and there is an older one.
    std::size_t least = run_count_;
    for (std::size_t i = 0; i < run_count_; ++i) {
      if (young(runs_[i])) continue;
      if (least == run_count_ || runs_[i].weight < runs_[least].weight) least = i;
    }
    remove_run(least);
  }
}

void ChangePointDetector::decide(std::uint64_t index) noexcept {
  const std::uint64_t first = segment_start_ + config_.segment_values_min;
  double changed = 0.0;
  const SegmentRun* best = nullptr;
  for (std::size_t i = 0; i < run_count_; ++i) {
    const SegmentRun& run = runs_[i];
    if (run.start < first || index - run.start + 1 < config_.segment_values_min) continue;
    changed += run.weight;
    if (best == nullptr || run.weight > best->weight) best = &run;
  }
  if (best == nullptr || changed < kDecisionProbability) {
    return_to_earlier();
    return;
  }
  double here = 0.0;
  for (std::size_t i = 0; i < run_count_; ++i) {
    const std::uint64_t start = runs_[i].start;
    const std::uint64_t away = start > best->start ? start - best->start : best->start - start;
    if (start >= first && away <= kPlaceTolerance) here += runs_[i].weight;
  }
  if (here < kDecisionProbability) return;
  segment_start_ = best->start;
  if (index - best->start > kDelayMax) return;
  changes_[change_count_++] = {best->start, std::min(here, 1.0), index};
}

void ChangePointDetector::return_to_earlier() noexcept {
  double earlier = 0.0;
  const SegmentRun* best = nullptr;
  for (std::size_t i = 0; i < run_count_; ++i) {
    const SegmentRun& run = runs_[i];
    if (run.start + config_.segment_values_min > segment_start_) continue;
    earlier += run.weight;
    if (best == nullptr || run.weight > best->weight) best = &run;
  }
  if (earlier > kReturnProbability) segment_start_ = best->start;
}

double ChangePointDetector::start_probability(std::uint64_t index) const noexcept {
  double sum = 0.0;
  for (std::size_t i = 0; i < run_count_; ++i) {
    if (runs_[i].start == index) sum += runs_[i].weight;
  }
  return std::min(sum, 1.0);
}

}  // namespace grace::models
