#include "duration_rule.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "error_rule.h"
#include "grace/core/evidence.h"
#include "grace/core/hash.h"
#include "grace/core/json_writer.h"
#include "grace/core/probability.h"
#include "grace/core/time.h"
#include "text.h"

namespace grace::log_analyzer {
namespace {

constexpr double kSpreadMin = 0.02;         // 2%: below it a difference is no news
constexpr double kSigmaPerSpread = 1.2533;  // of a normal distribution's mean absolute deviation
constexpr double kLevelDeviationMin = 3.0;
constexpr double kRecoveredDeviation = 1.5;
constexpr double kTrendZMin = 2.5;  // below it the slope is not worth computing
constexpr std::uint32_t kBaseBinsMax = 240;
constexpr double kPriorLogOdds = -4.6;   // one bin in a hundred ends a slowdown worth telling
constexpr std::uint32_t kLevelBins = 3;  // the present level: median of the last bins
constexpr double kDurationMsMin = 1e-3;

double median_of(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Mann-Kendall: how many pairs rise, less those that fall, in standard deviations.
double trend_z(const std::vector<double>& levels) {
  double score = 0.0;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    for (std::size_t j = i + 1; j < levels.size(); ++j) {
      score += levels[j] > levels[i] ? 1.0 : (levels[j] < levels[i] ? -1.0 : 0.0);
    }
  }
  const double n = static_cast<double>(levels.size());
  const double variance = n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
  return score > 0.0 ? (score - 1.0) / std::sqrt(variance) : 0.0;
}

// Theil-Sen: median slope of all pairs, in level per bin.
double trend_slope(const std::vector<double>& levels) {
  std::vector<double> slopes;
  slopes.reserve(levels.size() * levels.size() / 2);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    for (std::size_t j = i + 1; j < levels.size(); ++j) {
      slopes.push_back((levels[j] - levels[i]) / static_cast<double>(j - i));
    }
  }
  return median_of(slopes);
}

}  // namespace

DurationRule::DurationRule(const LogAnalyzerConfig& config)
    : bin_ns_(config.duration_bin.count() * core::kNsPerSecond),
      trend_bins_(config.duration_trend_bins),
      warmup_bins_(config.duration_warmup_bins),
      rise_min_(config.duration_rise_min) {}

void DurationRule::learn_baseline(DurationState& state, double level) const {
  const double sigma = kSigmaPerSpread * std::max(state.base_spread, kSpreadMin);
  double change = level - state.base_level;
  // Once the baseline is known, an outlier moves it no further than three deviations would.
  if (state.base_bins >= warmup_bins_) change = std::clamp(change, -3.0 * sigma, 3.0 * sigma);
  state.base_bins = std::min(state.base_bins + 1, kBaseBinsMax);
  const double gain = 1.0 / static_cast<double>(state.base_bins);
  state.base_level += gain * change;
  if (state.base_bins > 1) state.base_spread += gain * (std::fabs(change) - state.base_spread);
}

void DurationRule::close_bin(const DurationBin& bin, DurationState& state) const {
  const auto kept = std::min<std::size_t>(bin.count, kBinSamples);
  std::array<float, kBinSamples> sorted = bin.samples;
  std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(kept));
  const float median = (sorted[(kept - 1) / 2] + sorted[kept / 2]) / 2.0F;
  const double level = std::log(std::max(static_cast<double>(median), kDurationMsMin));
  if (state.level_count == trend_bins_) {
    learn_baseline(state, static_cast<double>(state.levels[state.head]));
  } else {
    ++state.level_count;
  }
  state.levels[state.head] = static_cast<float>(level);
  state.sequences[state.head] = state.first_sequence;
  state.head = (state.head + 1) % trend_bins_;
}

std::optional<core::Finding> DurationRule::begin_bin(DurationBin& bin, DurationState& state,
                                                     std::int64_t ts_ns, std::uint64_t sequence,
                                                     const ActionNames& names) const {
  std::optional<core::Finding> found;
  if (bin.count > 0) {
    close_bin(bin, state);
    found = judge(state, bin.end_ns, names);
  }
  bin.end_ns = (ts_ns / bin_ns_ + 1) * bin_ns_;
  bin.count = 0;
  state.first_sequence = sequence;
  return found;
}

void DurationRule::add(DurationBin& bin, double duration_ms) noexcept {
  // Reservoir sampling. The dice are the pattern's own bin and count: what other patterns do, and
  // where the event stands in the input, does not matter.
  ++bin.count;
  const std::uint64_t at =
      bin.count <= kBinSamples
          ? bin.count - 1
          : core::mix(static_cast<std::uint64_t>(bin.end_ns) + bin.count) % bin.count;
  if (at < kBinSamples) bin.samples[static_cast<std::size_t>(at)] = static_cast<float>(duration_ms);
}

std::optional<core::Finding> DurationRule::judge(DurationState& state, std::int64_t now_ns,
                                                 const ActionNames& names) const {
  if (state.base_bins < warmup_bins_ || state.level_count < trend_bins_) return std::nullopt;
  const double sigma = kSigmaPerSpread * std::max(state.base_spread, kSpreadMin);
  std::array<double, kLevelBins> recent{};
  for (std::uint32_t i = 0; i < kLevelBins; ++i) {
    recent[i] = static_cast<double>(state.levels[(state.head + trend_bins_ - 1 - i) % trend_bins_]);
  }
  std::sort(recent.begin(), recent.end());
  const double level = recent[kLevelBins / 2];
  const double deviation = (level - state.base_level) / sigma;
  if (state.reported && deviation < kRecoveredDeviation) state.reported = false;
  if (deviation < kLevelDeviationMin) return std::nullopt;
  if (state.reported && level < state.reported_level + std::log(2.0)) return std::nullopt;

  std::vector<double> levels(trend_bins_);
  for (std::uint32_t i = 0; i < trend_bins_; ++i) {
    levels[i] = static_cast<double>(state.levels[(state.head + i) % trend_bins_]);
  }
  const double z = trend_z(levels);
  if (z < kTrendZMin) return std::nullopt;
  const double rise = std::expm1(trend_slope(levels) * static_cast<double>(trend_bins_ - 1));
  if (rise < rise_min_) return std::nullopt;
  const double p = core::upper_tail_of_normal(z);
  core::Finding finding;
  finding.confidence = core::logistic(kPriorLogOdds + core::log_bayes_from_p(p));
  if (finding.confidence < core::kFindingFloor) return std::nullopt;
  state.reported = true;
  state.reported_level = level;

  finding.type = core::TriggerType::kPatternDetected;
  finding.service = names.service();
  finding.domain = names.domain;
  finding.diagnosis_code = "slow_action";
  finding.what = names.action;
  const bool grave = rise >= 1.0 || names_critical(names);
  finding.impact = grave ? core::Impact::kHigh : core::Impact::kMedium;
  finding.suggested_playbooks = {"investigate_root_cause", "scale_up_instances"};
  finding.ts_ns = now_ns;
  const std::string span = core::format_duration(bin_ns_ * static_cast<std::int64_t>(trend_bins_));
  finding.reasoning = {"Pattern: " + std::string(names.action) + " slowdown",
                       "Duration trend increasing " + percent(rise) + " over " + span,
                       "Level: " + decimal(std::exp(level), 1) + " ms, usually " +
                           decimal(std::exp(state.base_level), 1) + " ms (" +
                           decimal(deviation, 1) + " deviations)",
                       "Resources: " + std::string(names.service())};
  finding.metadata = {{"pattern", core::json_quoted("performance_degradation")},
                      {"actor", core::json_quoted(names.actor)},
                      {"action", core::json_quoted(names.action)},
                      {"duration_ms", decimal(std::exp(level), 3)},
                      {"baseline_ms", decimal(std::exp(state.base_level), 3)},
                      {"rise", decimal(rise, 4)},
                      {"trend_z", decimal(z, 3)}};
  for (std::uint32_t i = 0; i < std::min<std::size_t>(trend_bins_, core::kEvidenceMax); ++i) {
    const std::uint32_t at = (state.head + trend_bins_ - 1 - i) % trend_bins_;
    finding.evidence.push_back(
        {state.sequences[at], now_ns - bin_ns_ * (std::int64_t{i} + 1),
         "bin median " + decimal(std::exp(static_cast<double>(state.levels[at])), 1) + " ms"});
  }
  std::reverse(finding.evidence.begin(), finding.evidence.end());
  return finding;
}

}  // namespace grace::log_analyzer
