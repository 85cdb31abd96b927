#include "grace/models/series_anomaly.h"

#include <algorithm>

#include "grace/core/exact_math.h"
#include "numeric.h"

namespace grace::models {
namespace {

// How long the stretches of the pattern members are: two and four values. Longer ones found fewer
// anomalies, and later (bench/quality/series.md).
constexpr float kPatternMemory = 0.5F;
constexpr float kBoundedMemory = 0.75F;

// Centre and deviation fade over 500 values; a value counts as three deviations at most, as Huber's
// estimator has it, once there are some.
constexpr double kCenterGain = 0.002;
constexpr double kClipDeviations = 3.0;
constexpr std::uint32_t kClipFrom = 20;

// Bounded pattern: y / (1 + |y| / bound), which approaches the bound, in deviations.
constexpr double kBound = 3.0;
// Relative pattern: log(1 + |x| / part of the usual size), near linear below that part.
constexpr double kRelativePart = 0.03;
// New value: a distance is measured against the deviation plus this part of how far out it is.
constexpr double kFarPart = 0.05;

// Level: a mean over 32 values against one over 128. Spread: over 32 changes.
constexpr double kFastGain = 1.0 / 32;
constexpr double kSlowGain = 1.0 / 128;
constexpr double kChangeGain = 1.0 / 32;

// Surprise at which the score is kScoreThreshold, and how much an onset must exceed what is held.
constexpr double kSurpriseThreshold = 1.9;
constexpr double kOnsetMargin = 0.1;

// A counter has not fallen in its first kCounterRun values and has risen in half of them.
constexpr std::uint32_t kCounterRun = 64;
constexpr std::uint32_t kCounterRises = kCounterRun / 2;
constexpr double kRestartPart = 0.5;

constexpr double kValueMax = 1e30;
constexpr double kInverseLn10 = 0.43429448190325176;

double sign_of(double x) noexcept {
  return x < 0.0 ? -1.0 : 1.0;
}

}  // namespace

std::string_view name_of(SeriesMember member) noexcept {
  constexpr std::array<std::string_view, kSeriesMemberCount> kNames{
      "pattern", "relative_pattern", "bounded_pattern", "new_value", "time_of_day", "hour", "level",
      "spread"};
  return kNames[static_cast<std::size_t>(member)];
}

double SeriesAnomaly::Mean::step(double value, double gain) noexcept {
  if (count < UINT32_MAX) ++count;
  mean += std::max(gain, 1.0 / count) * (value - mean);
  return mean;
}

SeriesAnomaly::SeriesAnomaly(std::uint32_t members) noexcept
    : pattern_(kPatternMemory),
      relative_(kPatternMemory),
      bounded_(kBoundedMemory),
      members_(members & kAllMembers) {}

// Values that take their steps together.
struct SeriesAnomaly::Batch {
  static constexpr std::size_t kMax = LagDistance::kPassSteps;
  std::array<Prepared, kMax> values;
  std::size_t size = 0;
};

SeriesVerdict SeriesAnomaly::step(std::int64_t time_ns, double value) noexcept {
  const SeriesValue only{time_ns, value};
  return steps({&only, 1});
}

SeriesVerdict SeriesAnomaly::steps(std::span<const SeriesValue> values) noexcept {
  // With many series they are not in the caches; they come while the lags are compared.
  for (const TailHistogram& tail : tails_) __builtin_prefetch(&tail, 1);
  __builtin_prefetch(&surprise_tail_, 1);
  SeriesVerdict verdict;
  Batch batch;
  for (const SeriesValue& v : values) {
    const bool is_value = magnitude(v.value) <= kValueMax;
    if (is_value) {
      const double now = judged(v.value);
      // It began anew: what waits is forgotten with the rest.
      if (steps_ == 0) batch.size = 0;
      batch.values[batch.size++] = prepare(v.time_ns, now);
    }
    const bool last = &v == &values.back();
    if (batch.size == Batch::kMax || (last && batch.size > 0)) {
      verdict = judge(batch);
      batch.size = 0;
    }
    if (!is_value) verdict = {};
  }
  return verdict;
}

void SeriesAnomaly::begin_anew(Kind kind, double value) noexcept {
  *this = SeriesAnomaly(members_);
  kind_ = kind;
  last_raw_ = value;
}

double SeriesAnomaly::judged(double value) noexcept {
  const double before = last_raw_;
  last_raw_ = value;
  switch (kind_) {
    case Kind::kGauge:
      return value;
    case Kind::kCounter:
      if (value >= before) return value - before;
      if (value >= 0.0 && value < kRestartPart * before) return value;
      begin_anew(Kind::kGauge, value);
      return value;
    case Kind::kUndecided:
      break;
  }
  if (steps_ == 0) return value;
  if (value < before) {
    kind_ = Kind::kGauge;
    return value;
  }
  ++run_;
  if (value > before) ++rises_;
  if (run_ < kCounterRun) return value;
  if (rises_ < kCounterRises) {
    kind_ = Kind::kGauge;
    return value;
  }
  begin_anew(Kind::kCounter, value);
  return value - before;
}

SeriesAnomaly::Prepared SeriesAnomaly::prepare(std::int64_t time_ns, double value) noexcept {
  if (steps_ == 0) origin_ = value;
  // Differences are the same wherever zero is, and floats are finer near it.
  const double x = value - origin_;
  const double out = magnitude(x - center_.mean);
  double clipped = x;
  if (center_.count > kClipFrom) {
    const double reach = kClipDeviations * deviation_.mean + kTiny;
    clipped = std::clamp(x, center_.mean - reach, center_.mean + reach);
  }
  center_.step(clipped, kCenterGain);
  deviation_.step(magnitude(clipped - center_.mean), kCenterGain);
  size_.step(magnitude(value), kCenterGain);
  const double unit = deviation_.mean + kTiny;

  const double y = (x - center_.mean) / unit;
  const double bounded = y / (1.0 + magnitude(y) / kBound);
  const double relative =
      sign_of(value) *
      core::exact_log(1.0 + magnitude(value) / (kRelativePart * size_.mean + kTiny));
  return {
      time_ns, ++steps_, x, out, unit, static_cast<float>(relative), static_cast<float>(bounded)};
}

SeriesVerdict SeriesAnomaly::judge(const Batch& batch) noexcept {
  const std::size_t size = batch.size;
  using Nearest = std::array<LagDistance::Nearest, Batch::kMax>;
  const auto nearest_of = [&](LagDistance& lags, auto&& number_of) {
    std::array<float, Batch::kMax> numbers{};
    Nearest nearest;
    for (std::size_t i = 0; i < size; ++i) numbers[i] = number_of(batch.values[i]);
    lags.steps(std::span(numbers).first(size), std::span(nearest).first(size));
    return nearest;
  };
  const Nearest pattern =
      nearest_of(pattern_, [](const Prepared& p) { return static_cast<float>(p.x); });
  const Nearest relative = nearest_of(relative_, [](const Prepared& p) { return p.relative; });
  const Nearest bounded = nearest_of(bounded_, [](const Prepared& p) { return p.bounded; });
  SeriesVerdict verdict;
  for (std::size_t i = 0; i < size; ++i) {
    const Prepared& now = batch.values[i];
    verdict = combine(oddities(now, pattern[i], relative[i].stretch, bounded[i].stretch), now.step);
  }
  return verdict;
}

SeriesAnomaly::Oddities SeriesAnomaly::oddities(const Prepared& now,
                                                const LagDistance::Nearest& pattern, float relative,
                                                float bounded) noexcept {
  Oddities odd{};
  const auto at = [&odd](SeriesMember member) -> double& {
    return odd[static_cast<std::size_t>(member)];
  };
  at(SeriesMember::kPattern) = static_cast<double>(pattern.stretch);
  at(SeriesMember::kRelativePattern) = static_cast<double>(relative);
  at(SeriesMember::kBoundedPattern) = static_cast<double>(bounded);
  at(SeriesMember::kNewValue) =
      static_cast<double>(pattern.value) / (now.unit + kFarPart * now.out);
  at(SeriesMember::kTimeOfDay) = magnitude(season_.step(now.time_ns, now.x).value);
  at(SeriesMember::kHour) = hour_.step(now.time_ns, now.x);
  at(SeriesMember::kLevel) =
      magnitude(level_fast_.step(now.x, kFastGain) - level_slow_.step(now.x, kSlowGain));
  at(SeriesMember::kSpread) =
      change_.step(now.step == 1 ? 0.0 : magnitude(now.x - before_), kChangeGain);
  before_ = now.x;
  return odd;
}

static_assert(SeriesAnomaly::kMemberTail <= TailHistogram::kRare, "what is common adds nothing");

SeriesVerdict SeriesAnomaly::combine(const Oddities& odd, std::uint64_t step) noexcept {
  SeriesVerdict verdict;
  for (std::size_t i = 0; i < kSeriesMemberCount; ++i) {
    if ((members_ >> i & 1U) == 0) continue;
    const bool usual = step <= kWarmupSteps || tails_[i].common(odd[i]);
    const double tail = usual ? kMemberTail : tails_[i].middle(odd[i]);
    tails_[i].add(odd[i]);
    if (tail >= kMemberTail) continue;
    const double excess = kInverseLn10 * core::exact_log(kMemberTail / tail);
    verdict.surprise += excess;
    const double own = -kInverseLn10 * core::exact_log(tail);
    if (own > verdict.member_surprise) {
      verdict.member_surprise = own;
      verdict.member = static_cast<SeriesMember>(i);
    }
  }
  if (step <= kWarmupSteps) return verdict;
  verdict.tail_probability = surprise_tail_.conservative(verdict.surprise);
  surprise_tail_.add(verdict.surprise);
  if (verdict.surprise > held_ + kOnsetMargin) {
    verdict.anomaly_score = verdict.surprise / (verdict.surprise + kSurpriseThreshold);
  }
  held_ = std::max(held_ * (1.0 - 1.0 / kRestSteps), verdict.surprise);
  return verdict;
}

}  // namespace grace::models
