#include "grace/core/learned_state.h"

#include <algorithm>
#include <cmath>

#include "grace/core/outcome.h"

namespace grace::core {
namespace {

constexpr double kWeightMin = 0.25;
constexpr double kWeightMax = 2.0;
// Outcomes that the prior of a weight is worth, half of them right: the first outcome moves a
// weight by 6 to 12%, not by a third.
constexpr double kWeightPrior = 8.0;
constexpr double kFading = 0.99;
// Outcomes that the prior "raw confidence is right" is worth in each calibration bucket.
constexpr double kCalibrationPrior = 20.0;
// A forecast that our own action may have prevented says less than one that was seen to come true.
constexpr double kPreventedCounts = 0.5;
// A weak trigger was never shown to anybody, so nothing but its forecast time judges it.
constexpr double kWeakCounts = 0.5;

std::size_t index_of(Source source) {
  return static_cast<std::size_t>(source);
}

// Nine decimals: 0.1 - 0.01 is 0.09, also in the ledger.
double rounded(double value) {
  return std::round(value * 1e9) / 1e9;
}

std::size_t bucket_of(double confidence, std::size_t bucket_count) {
  return std::min(static_cast<std::size_t>(confidence * static_cast<double>(bucket_count)),
                  bucket_count - 1);
}

}  // namespace

LearnedState::LearnedState() {
  weights_.fill(1.0);
}

double LearnedState::weight(Source source) const {
  return weights_[index_of(source)];
}

const Reliability& LearnedState::reliability(Source source) const {
  return by_source_[index_of(source)];
}

const Reliability& LearnedState::reliability(Source source, std::string_view diagnosis) const {
  const auto at = by_diagnosis_.find({source, std::string(diagnosis)});
  return at == by_diagnosis_.end() ? by_source_[index_of(source)] : at->second;
}

// Each bucket's share of right outcomes, shrunk towards the bucket's centre, made monotone by
// pooling adjacent violators (Ayer et al., "An Empirical Distribution Function for Sampling with
// Incomplete Information", 1955).
std::array<double, LearnedState::kBucketCount> LearnedState::levels_of(const Buckets& buckets) {
  struct Pool {
    double sum = 0.0, weight = 0.0;
    std::size_t count = 0;
  };
  std::array<Pool, kBucketCount> pools{};
  std::size_t pool_count = 0;
  for (std::size_t i = 0; i < kBucketCount; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) / kBucketCount;
    pools[pool_count++] = {buckets[i].right + kCalibrationPrior * centre,
                           buckets[i].total + kCalibrationPrior, 1};
    while (pool_count > 1) {
      Pool& before = pools[pool_count - 2];
      const Pool& last = pools[pool_count - 1];
      if (before.sum / before.weight <= last.sum / last.weight) break;
      before = {before.sum + last.sum, before.weight + last.weight, before.count + last.count};
      --pool_count;
    }
  }
  std::array<double, kBucketCount> levels{};
  std::size_t next = 0;
  for (std::size_t p = 0; p < pool_count; ++p) {
    for (std::size_t i = 0; i < pools[p].count; ++i)
      levels[next++] = pools[p].sum / pools[p].weight;
  }
  return levels;
}

double LearnedState::calibrated(Source source, double raw) const {
  const double bounded = std::isnan(raw) ? 0.0 : std::clamp(raw, 0.0, 1.0);
  const Buckets& buckets = raw_[index_of(source)];
  const bool untaught = std::all_of(buckets.begin(), buckets.end(),
                                    [](const Bucket& bucket) { return bucket.total == 0.0; });
  if (untaught) return bounded;  // exactly: no rounding before there is anything to say
  const auto levels = levels_of(buckets);
  // Linear between bucket centres; beyond the first and last centre with slope 1, so that the whole
  // is monotone and a source that is always sure and often wrong does not stay sure.
  constexpr double kHalf = 0.5 / kBucketCount;
  const double place = bounded * kBucketCount - 0.5;
  double result = 0.0;
  if (place <= 0.0) {
    result = levels.front() + (bounded - kHalf);
  } else if (place >= kBucketCount - 1.0) {
    result = levels.back() + (bounded - (1.0 - kHalf));
  } else {
    const auto left = static_cast<std::size_t>(place);
    // Rounding must not carry it past the next level, or it would not be monotone.
    result = std::min(levels[left + 1], levels[left] + (levels[left + 1] - levels[left]) *
                                                           (place - static_cast<double>(left)));
  }
  return std::clamp(result, 0.0, 1.0);
}

CalibrationError LearnedState::calibration_error(Source source) const {
  CalibrationError error;
  for (const Bucket& bucket : calibrated_[index_of(source)]) {
    error.outcomes += bucket.total;
    error.expected += std::fabs(bucket.confidence_sum - bucket.right);
  }
  if (error.outcomes > 0.0) error.expected /= error.outcomes;
  return error;
}

CalibrationError LearnedState::calibration_error() const {
  CalibrationError error;
  for (std::size_t bucket = 0; bucket < kBucketCount; ++bucket) {
    double difference = 0.0;
    for (const Buckets& buckets : calibrated_) {
      difference += buckets[bucket].confidence_sum - buckets[bucket].right;
      error.outcomes += buckets[bucket].total;
    }
    error.expected += std::fabs(difference);
  }
  if (error.outcomes > 0.0) error.expected /= error.outcomes;
  return error;
}

double LearnedState::adjusted(std::string_view name, double fallback) const {
  const Adjustable* const found = find(name);
  return found == nullptr ? fallback : found->value;
}

const Adjustable* LearnedState::find(std::string_view name) const {
  const auto at = adjustables_.find(name);
  return at == adjustables_.end() ? nullptr : &at->second;
}

LearnedState::WeightChange LearnedState::learn(const Trigger& trigger, OutcomeKind outcome) {
  const bool right = is_right(outcome);
  double counted = outcome == OutcomeKind::kPrevented ? kPreventedCounts : 1.0;
  if (trigger.weak) counted *= kWeakCounts;
  const std::size_t source = index_of(trigger.source);

  const auto count = [&](Reliability& reliability) {
    (right ? reliability.right : reliability.wrong) += counted;
    if (!right && !trigger.weak) ++reliability.false_positives;
  };
  count(by_source_[source]);
  const std::pair key{trigger.source, trigger.finding.diagnosis_code};
  if (by_diagnosis_.contains(key) || by_diagnosis_.size() < kDiagnosesMax) {
    count(by_diagnosis_[key]);
  } else {
    ++refused_diagnosis_count_;
  }

  const auto tally = [&](Buckets& buckets, double confidence) {
    const double bounded = std::isnan(confidence) ? 0.0 : std::clamp(confidence, 0.0, 1.0);
    Bucket& bucket = buckets[bucket_of(bounded, kBucketCount)];
    bucket.total += counted;
    bucket.confidence_sum += counted * bounded;
    if (right) bucket.right += counted;
  };
  tally(raw_[source], trigger.finding.confidence);
  tally(calibrated_[source], trigger.confidence);

  Reliability& fading = fading_[source];
  fading.right *= kFading;
  fading.wrong *= kFading;
  (right ? fading.right : fading.wrong) += counted;
  const WeightChange change{weights_[source],
                            std::clamp(2.0 * (fading.right + 0.5 * kWeightPrior) /
                                           (fading.right + fading.wrong + kWeightPrior),
                                       kWeightMin, kWeightMax),
                            counted};
  weights_[source] = change.after;
  return change;
}

bool LearnedState::declare(Adjustable adjustable) {
  const bool sound = adjustable.min <= adjustable.value && adjustable.value <= adjustable.max &&
                     adjustable.step_max > 0.0 && adjustable.period_ns >= 0 &&
                     !adjustable.name.empty();
  if (!sound) return false;
  if (!adjustables_.contains(adjustable.name) && adjustables_.size() >= kAdjustablesMax) {
    return false;
  }
  adjustable.initial = adjustable.value;
  adjustable.previous = adjustable.value;
  adjustable.ever_changed = false;
  std::string name = adjustable.name;
  adjustables_.insert_or_assign(std::move(name), std::move(adjustable));
  return true;
}

bool LearnedState::adjust(std::string_view name, double to, std::int64_t now_ns) {
  const auto at = adjustables_.find(name);
  if (at == adjustables_.end() || std::isnan(to)) return false;
  Adjustable& entry = at->second;
  if (entry.ever_changed && now_ns - entry.changed_ts_ns < entry.period_ns) return false;
  const double stepped = std::clamp(to, entry.value - entry.step_max, entry.value + entry.step_max);
  const double next = std::clamp(rounded(stepped), entry.min, entry.max);
  if (next == entry.value) return false;
  entry.previous = entry.value;
  entry.value = next;
  entry.changed_ts_ns = now_ns;
  entry.ever_changed = true;
  return true;
}

bool LearnedState::undo(std::string_view name, std::int64_t now_ns) {
  const auto at = adjustables_.find(name);
  if (at == adjustables_.end() || !at->second.ever_changed) return false;
  Adjustable& entry = at->second;
  if (entry.value == entry.previous) return false;
  entry.value = entry.previous;
  entry.changed_ts_ns = now_ns;
  return true;
}

}  // namespace grace::core
