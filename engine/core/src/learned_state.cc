#include "grace/core/learned_state.h"

#include <algorithm>

namespace grace::core {
namespace {

constexpr std::size_t kDiagnosesMax = 4096;
constexpr double kWeightMin = 0.25;
constexpr double kWeightMax = 2.0;
// A forecast that our own action may have prevented says less than one that was seen to come true.
constexpr double kPreventedCounts = 0.5;

std::size_t index_of(Source source) { return static_cast<std::size_t>(source); }

}  // namespace

LearnedState::LearnedState() { weights_.fill(1.0); }

double LearnedState::weight(Source source) const { return weights_[index_of(source)]; }

const Reliability& LearnedState::reliability(Source source) const {
  return by_source_[index_of(source)];
}

const Reliability& LearnedState::reliability(Source source, std::string_view diagnosis) const {
  const auto at = by_diagnosis_.find({source, std::string(diagnosis)});
  return at == by_diagnosis_.end() ? by_source_[index_of(source)] : at->second;
}

double LearnedState::calibrated(Source source, double raw) const {
  // Each bucket's observed share of right, shrunk towards the raw probability by a prior worth
  // kPrior outcomes, then made monotone by pooling adjacent violators (Ayer et al. 1955).
  constexpr double kPrior = 20.0;
  const auto& buckets = calibration_[index_of(source)];
  double total = 0.0;
  for (const Bucket& bucket : buckets) total += bucket.total;
  if (total == 0.0) return raw;
  std::array<double, kBucketCount> shift{};
  for (std::size_t i = 0; i < kBucketCount; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) / kBucketCount;
    shift[i] = (buckets[i].right + kPrior * centre) / (buckets[i].total + kPrior);
  }
  struct Pool {
    double sum, weight;
    std::size_t count;
  };
  std::vector<Pool> pools;
  for (std::size_t i = 0; i < kBucketCount; ++i) {
    const double weight = buckets[i].total + kPrior;
    pools.push_back({shift[i] * weight, weight, 1});
    while (pools.size() > 1) {
      Pool& last = pools[pools.size() - 1];
      Pool& before = pools[pools.size() - 2];
      if (before.sum / before.weight <= last.sum / last.weight) break;
      before = {before.sum + last.sum, before.weight + last.weight, before.count + last.count};
      pools.pop_back();
    }
  }
  std::array<double, kBucketCount> level{};
  std::size_t next = 0;
  for (const Pool& pool : pools) {
    for (std::size_t i = 0; i < pool.count; ++i) level[next++] = pool.sum / pool.weight;
  }
  // Linear between bucket centres; the ends extend with slope 1 towards 0 and 1.
  const double place = std::clamp(raw, 0.0, 1.0) * kBucketCount - 0.5;
  if (place <= 0.0) return std::clamp(level[0] * (raw * kBucketCount / 0.5), 0.0, level[0]);
  const auto left = std::min(static_cast<std::size_t>(place), kBucketCount - 1);
  const double right_level = left + 1 < kBucketCount ? level[left + 1] : 1.0;
  const double span = left + 1 < kBucketCount ? 1.0 : 0.5;
  return level[left] + (right_level - level[left]) * (place - static_cast<double>(left)) / span;
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
  const bool right = outcome == OutcomeKind::kVerifiedRun ||
                     outcome == OutcomeKind::kForecastCameTrue ||
                     outcome == OutcomeKind::kPrevented || outcome == OutcomeKind::kFeedbackRight;
  const double counted = outcome == OutcomeKind::kPrevented ? kPreventedCounts : 1.0;
  const auto count = [&](Reliability& reliability) {
    (right ? reliability.right : reliability.wrong) += counted;
    if (!right) ++reliability.false_positives;
  };
  Reliability& source = by_source_[index_of(trigger.source)];
  count(source);
  const std::pair key{trigger.source, trigger.finding.diagnosis_code};
  if (by_diagnosis_.contains(key) || by_diagnosis_.size() < kDiagnosesMax) {
    count(by_diagnosis_[key]);
  }
  const double raw = std::clamp(trigger.finding.confidence, 0.0, 1.0);
  const auto bucket = std::min(static_cast<std::size_t>(raw * kBucketCount), kBucketCount - 1);
  Bucket& cell = calibration_[index_of(trigger.source)][bucket];
  cell.total += counted;
  if (right) cell.right += counted;

  // Weight: twice the posterior mean that the source is right; 1 at the uniform prior.
  WeightChange change{weight(trigger.source), 0.0, counted};
  change.after = std::clamp(2.0 * source.mean(), kWeightMin, kWeightMax);
  weights_[index_of(trigger.source)] = change.after;
  return change;
}

void LearnedState::declare(Adjustable adjustable) {
  adjustable.initial = adjustable.value;
  adjustable.previous = adjustable.value;
  std::string name = adjustable.name;
  adjustables_.insert_or_assign(std::move(name), std::move(adjustable));
}

bool LearnedState::adjust(std::string_view name, double to, std::int64_t now_ns) {
  const auto at = adjustables_.find(name);
  if (at == adjustables_.end()) return false;
  Adjustable& entry = at->second;
  if (entry.ever_changed && now_ns - entry.changed_ts_ns < entry.period_ns) return false;
  const double step = std::clamp(to - entry.value, -entry.step_max, entry.step_max);
  const double next = std::clamp(entry.value + step, entry.min, entry.max);
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
