#include "service_health.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "grace/core/probability.h"
#include "grace/core/time.h"
#include "text.h"

namespace grace::agentic_spine {
namespace {

constexpr double kBaseActionsMax = 100'000.0;  // then halved
constexpr double kPriorErrors = 0.5;           // an action fails once in 400 when nothing is known
constexpr double kPriorActions = 200.0;
constexpr double kShareShrink = 4.0;  // actions of the learned share that are mixed into a window
constexpr double kEpisodeLearning = 0.1;  // a lasting illness becomes the baseline, slowly
constexpr std::uint32_t kMinutesWarm = 30;
constexpr std::uint32_t kMinutesMax = 240;
constexpr double kUsualFallMin = 0.01;
constexpr double kBadBinsMax = 3.0;       // bins of one metric are hardly independent
constexpr double kFurtherBin = 0.5;       // what each after the first is worth
constexpr double kSureConfidence = 0.95;  // no need to wait for more
constexpr double kGoodConfidence = 0.75;  // enough to report when settled
constexpr std::int64_t kPatience = 5;     // times settle_max, for evidence that stays weak
constexpr double kPriorDays = 1.0;
constexpr double kPriorEpisodes = 0.5;

double badness_of(const core::Observation& observation) {
  switch (observation.role) {
    case core::MetricRole::kLatency:
    case core::MetricRole::kErrors:
    case core::MetricRole::kSaturation:
      return observation.deviation;
    case core::MetricRole::kHealth:
      return -observation.deviation;
    case core::MetricRole::kOther:
    case core::MetricRole::kDemand:
    case core::MetricRole::kCapacity:
      break;  // no direction is bad in itself
  }
  return 0.0;
}

// Share of health that a signal leaves over.
double left_by(const Signal& signal, const AgenticSpineConfig& config) {
  const double excess = signal.badness - config.deviation_min;
  if (excess <= 0.0) return 1.0;
  double left = config.deviation_half / (config.deviation_half + excess);
  // A health metric says itself how much is left.
  if (signal.role == core::MetricRole::kHealth && signal.baseline > 0.0) {
    left = std::min(left, std::clamp(signal.value / signal.baseline, 0.0, 1.0));
  }
  return left;
}

}  // namespace

HealthRules::HealthRules(const AgenticSpineConfig& from)
    : config(from),
      share_window_ns(from.share_window.count() * core::kNsPerSecond),
      signal_expiry_ns(from.signal_expiry.count() * core::kNsPerSecond),
      recovery_ns(from.recovery_time.count() * core::kNsPerSecond),
      settle_ns(from.settle.count() * core::kNsPerSecond),
      settle_max_ns(from.settle_max.count() * core::kNsPerSecond),
      fall_tau_s(static_cast<double>(from.smoothing_fall.count())),
      rise_tau_s(static_cast<double>(from.smoothing_rise.count())) {}

core::ShareBelief ServiceHealth::belief() const noexcept {
  return {kPriorErrors + base_.errors, kPriorActions - kPriorErrors + base_.actions - base_.errors};
}

double ServiceHealth::learned_share() const noexcept {
  return (kPriorErrors + base_.errors) / (kPriorActions + base_.actions);
}

void ServiceHealth::learn(const Period& period) noexcept {
  const double weight = state_ == EpisodeState::kHealthy ? 1.0 : kEpisodeLearning;
  base_.errors += weight * period.counts.errors;
  base_.actions += weight * period.counts.actions;
  if (base_.actions < kBaseActionsMax) return;
  base_.errors *= 0.5;
  base_.actions *= 0.5;
}

void ServiceHealth::expire(std::int64_t now_ns, const HealthRules& rules) {
  std::size_t gone = 0;
  while (gone < periods_.size() && periods_[gone].ts_ns <= now_ns - rules.share_window_ns) {
    learn(periods_[gone++]);
  }
  periods_.erase(periods_.begin(), periods_.begin() + static_cast<std::ptrdiff_t>(gone));
}

void ServiceHealth::add_evidence(std::uint64_t sequence, std::int64_t ts_ns, std::string note) {
  if (evidence_.size() == core::kEvidenceMax) evidence_.erase(evidence_.begin());
  evidence_.push_back({sequence, ts_ns, std::move(note)});
}

void ServiceHealth::on_actions(const core::Observation& observation, const HealthRules& rules) {
  advance(observation.ts_ns, rules);
  if (periods_.empty() || periods_.back().ts_ns != observation.ts_ns) {
    if (periods_.size() == kPeriodsMax) {
      learn(periods_.front());
      periods_.erase(periods_.begin());
    }
    periods_.push_back({observation.ts_ns, {}, 0});
  }
  Period& period = periods_.back();
  period.counts.errors += observation.value;
  period.counts.actions += observation.count;
  if (state_ != EpisodeState::kHealthy) {
    count_in_episode({observation.value, static_cast<double>(observation.count)});
  }
  if (observation.value > 0.0) {
    if (period.bad_since_ns == 0 || observation.first_error_ts_ns < period.bad_since_ns) {
      period.bad_since_ns = observation.first_error_ts_ns;
    }
    const std::string note = decimal(observation.value, 0) + " of " +
                             std::to_string(observation.count) + " actions failed, first " +
                             std::string(observation.action) + ":" +
                             std::string(observation.result_text);
    add_evidence(observation.first_error_sequence, observation.first_error_ts_ns, note);
    if (observation.last_error_sequence != observation.first_error_sequence) {
      add_evidence(observation.last_error_sequence, observation.ts_ns, "last of them");
    }
    worsened_ns_ = observation.ts_ns;
  }
  raw_ = raw_health(observation.ts_ns, rules);
}

bool ServiceHealth::on_bin(const core::Observation& observation, std::uint64_t sequence,
                           const HealthRules& rules) {
  const double badness = observation.warm ? badness_of(observation) : 0.0;
  auto at = std::find_if(signals_.begin(), signals_.end(), [&](const Signal& signal) {
    return signal.name == observation.name && signal.role == observation.role;
  });
  if (at == signals_.end()) {
    if (badness == 0.0) return true;  // says nothing: not worth a place
    if (signals_.size() >= rules.config.signals_max) return false;
    Signal signal;
    signal.name = observation.name;
    signal.role = observation.role;
    at = signals_.insert(signals_.end(), std::move(signal));
  }
  advance(observation.ts_ns, rules);
  at->ts_ns = observation.ts_ns;
  at->value = observation.value;
  at->baseline = observation.baseline;
  at->badness = badness;
  if (badness >= rules.config.deviation_min) {
    ++at->bad_bins;
    worsened_ns_ = observation.ts_ns;
    add_evidence(sequence, observation.ts_ns,
                 at->name + "=" + decimal(at->value, 2) + ", usually " + decimal(at->baseline, 2));
  } else {
    at->bad_bins = 0;
  }
  raw_ = raw_health(observation.ts_ns, rules);
  return true;
}

ActionCounts ServiceHealth::window_counts() const noexcept {
  ActionCounts sum;
  for (const Period& period : periods_) {
    sum.errors += period.counts.errors;
    sum.actions += period.counts.actions;
  }
  return sum;
}

ActionCounts ServiceHealth::counts() const noexcept {
  return state_ == EpisodeState::kHealthy ? window_counts() : episode_;
}

double ServiceHealth::raw_health(std::int64_t now_ns, const HealthRules& rules) const {
  // The worst of each role; failing actions and error metrics tell of the same thing.
  std::array<double, 8> left;
  left.fill(1.0);
  const double usual = learned_share();
  const ActionCounts now = window_counts();
  const double share = (now.errors + kShareShrink * usual) / (now.actions + kShareShrink);
  const double excess = std::max(0.0, share - usual);
  const double half = rules.config.error_share_half;
  left[static_cast<std::size_t>(core::MetricRole::kErrors)] = half / (half + excess);
  for (const Signal& signal : signals_) {
    if (now_ns - signal.ts_ns > rules.signal_expiry_ns) continue;
    double& role = left[static_cast<std::size_t>(signal.role)];
    role = std::min(role, left_by(signal, rules.config));
  }
  double product = 1.0;
  for (const double part : left) product *= part;
  return product;
}

void ServiceHealth::learn_fall(std::int64_t now_ns) noexcept {
  if (minute_ns_ == 0) {
    minute_ns_ = now_ns;
    minute_health_ = health_;
  }
  if (now_ns - minute_ns_ < core::kNsPerMinute) return;
  if (state_ == EpisodeState::kHealthy) {
    const double fall = std::fabs(minute_health_ - health_);
    minutes_ = std::min(minutes_ + 1, kMinutesMax);
    usual_fall_ += (fall - usual_fall_) / static_cast<double>(minutes_);
  }
  minute_ns_ = now_ns;
  minute_health_ = health_;
}

bool ServiceHealth::falls_unusually(const HealthRules& rules) const noexcept {
  const double fall = minute_health_ - health_;
  return minutes_ >= kMinutesWarm && fall >= rules.config.fall_min &&
         fall >= rules.config.fall_deviation * std::max(usual_fall_, kUsualFallMin);
}

void ServiceHealth::advance(std::int64_t now_ns, const HealthRules& rules) {
  if (now_ns <= updated_ns_) return;
  const double elapsed_s =
      static_cast<double>(now_ns - updated_ns_) / static_cast<double>(core::kNsPerSecond);
  const double tau_s = raw_ < health_ ? rules.fall_tau_s : rules.rise_tau_s;
  health_ += (raw_ - health_) * -std::expm1(-elapsed_s / tau_s);
  updated_ns_ = now_ns;
  expire(now_ns, rules);
  raw_ = raw_health(now_ns, rules);
  step_episode(now_ns, rules);
  learn_fall(now_ns);
}

void ServiceHealth::count_in_episode(const ActionCounts& counts) noexcept {
  ActionCounts& into = counts.errors > 0.0 ? episode_ : tail_;
  if (counts.errors > 0.0) {
    episode_.errors += tail_.errors;
    episode_.actions += tail_.actions;
    tail_ = {};
  }
  into.errors += counts.errors;
  into.actions += counts.actions;
}

void ServiceHealth::begin_episode(std::int64_t now_ns) {
  state_ = EpisodeState::kPending;
  crossed_ns_ = now_ns;
  well_since_ns_ = 0;
  lowest_ = health_;
  reported_health_ = 1.0;
  reported_confidence_ = 0.0;
  ++episode_count_;
  // It began with the first bad news that is still in sight.
  onset_ns_ = now_ns;
  episode_ = tail_ = {};
  bool bad = false;
  for (const Period& period : periods_) {
    if (period.bad_since_ns != 0) {
      if (!bad) onset_ns_ = std::min(onset_ns_, period.bad_since_ns);
      bad = true;
    }
    if (bad) count_in_episode(period.counts);
  }
  for (const Signal& signal : signals_) {
    if (signal.bad_bins > 0) onset_ns_ = std::min(onset_ns_, signal.ts_ns);
  }
}

void ServiceHealth::end_episode() {
  state_ = EpisodeState::kHealthy;
  by_rate_ = false;
  episode_ = tail_ = {};
  evidence_.clear();
}

void ServiceHealth::step_episode(std::int64_t now_ns, const HealthRules& rules) {
  const double bound = rules.config.health_bound;
  if (state_ == EpisodeState::kHealthy) {
    const bool below = health_ < bound;
    if (below || falls_unusually(rules)) {
      by_rate_ = !below;
      begin_episode(now_ns);
    } else if (health_ > 0.995) {
      evidence_.clear();
    }
    return;
  }
  if (health_ < bound) by_rate_ = false;
  lowest_ = std::min(lowest_, health_);
  if (health_ < std::min(1.0, bound + rules.config.recovery_margin)) {
    well_since_ns_ = 0;
    return;
  }
  if (well_since_ns_ == 0) well_since_ns_ = now_ns;
  if (now_ns - well_since_ns_ >= rules.recovery_ns) end_episode();
}

Verdict ServiceHealth::verdict(const HealthRules& rules) const {
  Verdict verdict;
  verdict.log_odds = std::log(rules.config.incident_prior);
  const ActionCounts now = counts();
  const double usual = learned_share();
  double below_bound = 1.0;
  const double excess = now.errors - usual * now.actions;
  if (now.actions > 0.0 && excess > 0.0) {
    verdict.log_odds += core::log_bayes_share_rise(belief(), now.errors, now.actions);
    verdict.confirmations += excess;
    // That the share is really so high as to halve health, and not by the luck of few draws.
    const double half = std::min(0.95, usual + rules.config.error_share_half);
    below_bound = 1.0 - core::beta_cdf(half, 0.5 + now.errors, 0.5 + now.actions - now.errors);
  }
  bool metrics = false;
  for (const Signal& signal : signals_) {
    if (signal.badness < rules.config.deviation_min || signal.bad_bins == 0 ||
        updated_ns_ - signal.ts_ns > rules.signal_expiry_ns) {
      continue;
    }
    metrics = true;
    const double bins = std::min(kBadBinsMax, static_cast<double>(signal.bad_bins));
    const double bayes = core::log_bayes_from_p(core::upper_tail_of_deviation(signal.badness));
    verdict.log_odds += bayes * (1.0 + kFurtherBin * (bins - 1.0));
    verdict.confirmations += bins;
  }
  if (metrics || by_rate_) below_bound = 1.0;  // actions are not all there is to it
  verdict.confidence =
      core::logistic(verdict.log_odds) * core::confirmed(verdict.confirmations) * below_bound;
  return verdict;
}

bool ServiceHealth::may_be_due(std::int64_t now_ns, const HealthRules& rules) const noexcept {
  if (state_ != EpisodeState::kReported) return state_ == EpisodeState::kPending;
  const bool much_further = health_ < reported_health_ - rules.config.further_fall;
  return (much_further || reported_confidence_ < kGoodConfidence) &&
         now_ns - worsened_ns_ >= rules.settle_ns;
}

bool ServiceHealth::due(const Verdict& verdict, std::int64_t now_ns,
                        const HealthRules& rules) const noexcept {
  if (!may_be_due(now_ns, rules) || verdict.confidence < core::kFindingFloor) return false;
  if (state_ == EpisodeState::kReported) {
    const bool much_further = health_ < reported_health_ - rules.config.further_fall;
    return much_further || verdict.confidence >= kGoodConfidence;
  }
  if (verdict.confidence >= kSureConfidence) return true;
  const std::int64_t waited_ns = now_ns - crossed_ns_;
  if (verdict.confidence < kGoodConfidence) return waited_ns >= kPatience * rules.settle_max_ns;
  return now_ns - worsened_ns_ > rules.settle_ns || waited_ns >= rules.settle_max_ns;
}

void ServiceHealth::mark_reported(const Verdict& verdict) noexcept {
  state_ = EpisodeState::kReported;
  reported_health_ = health_;
  reported_confidence_ = verdict.confidence;
}

double ServiceHealth::chance_within(std::int64_t span_ns) const noexcept {
  const double days = static_cast<double>(updated_ns_ - seen_since_ns_) /
                      static_cast<double>(24 * core::kNsPerHour);
  // This episode is what is to be explained: it does not count.
  const double before = episode_count_ == 0 ? 0.0 : static_cast<double>(episode_count_ - 1);
  const double per_day = (kPriorEpisodes + before) / (kPriorDays + days);
  const double span_days =
      static_cast<double>(span_ns) / static_cast<double>(24 * core::kNsPerHour);
  return -std::expm1(-per_day * span_days);
}

}  // namespace grace::agentic_spine
