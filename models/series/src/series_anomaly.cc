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

SeriesVerdict SeriesAnomaly::step(std::int64_t time_ns, double value) noexcept {
  if (!(magnitude(value) <= kValueMax)) return {};
  // With many series they are not in the caches; they come while the lags are compared.
  for (const TailHistogram& tail : tails_) __builtin_prefetch(&tail, 1);
  __builtin_prefetch(&surprise_tail_, 1);
  const double now = judged(value);
  if (steps_ == 0) origin_ = now;
  const Oddities odd = oddities(time_ns, now);
  ++steps_;
  return combine(odd);
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

SeriesAnomaly::Oddities SeriesAnomaly::oddities(std::int64_t time_ns, double value) noexcept {
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
  const LagDistance::Nearest nearest = pattern_.step(static_cast<float>(x));

  Oddities odd{};
  const auto at = [&odd](SeriesMember member) -> double& {
    return odd[static_cast<std::size_t>(member)];
  };
  at(SeriesMember::kPattern) = static_cast<double>(nearest.stretch);
  at(SeriesMember::kRelativePattern) =
      static_cast<double>(relative_.step(static_cast<float>(relative)).stretch);
  at(SeriesMember::kBoundedPattern) =
      static_cast<double>(bounded_.step(static_cast<float>(bounded)).stretch);
  at(SeriesMember::kNewValue) = static_cast<double>(nearest.value) / (unit + kFarPart * out);
  at(SeriesMember::kTimeOfDay) = magnitude(season_.step(time_ns, x).value);
  at(SeriesMember::kHour) = hour_.step(time_ns, x);
  at(SeriesMember::kLevel) =
      magnitude(level_fast_.step(x, kFastGain) - level_slow_.step(x, kSlowGain));
  at(SeriesMember::kSpread) = change_.step(steps_ == 0 ? 0.0 : magnitude(x - before_), kChangeGain);
  before_ = x;
  return odd;
}

static_assert(SeriesAnomaly::kMemberTail <= TailHistogram::kRare, "what is common adds nothing");

SeriesVerdict SeriesAnomaly::combine(const Oddities& odd) noexcept {
  SeriesVerdict verdict;
  for (std::size_t i = 0; i < kSeriesMemberCount; ++i) {
    if ((members_ >> i & 1U) == 0) continue;
    const bool usual = steps_ <= kWarmupSteps || tails_[i].common(odd[i]);
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
  if (steps_ <= kWarmupSteps) return verdict;
  verdict.tail_probability = surprise_tail_.conservative(verdict.surprise);
  surprise_tail_.add(verdict.surprise);
  if (verdict.surprise > held_ + kOnsetMargin) {
    verdict.anomaly_score = verdict.surprise / (verdict.surprise + kSurpriseThreshold);
  }
  held_ = std::max(held_ * (1.0 - 1.0 / kRestSteps), verdict.surprise);
  return verdict;
}

}  // namespace grace::models
