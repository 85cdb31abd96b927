#include "error_rule.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "grace/core/evidence.h"
#include "grace/core/json_writer.h"
#include "grace/core/probability.h"
#include "grace/core/time.h"
#include "text.h"

namespace grace::log_analyzer {
namespace {

constexpr double kBaseWindowsMax = 288.0;  // two days of ten minutes; then halved
// Prior odds that a pattern that reached the threshold is ill. Never watched before: the rule
// decides, 9 to 1. In one watched for E windows, at most about one window in E can have been ill.
constexpr double kPriorOddsUnwatched = 9.0;
constexpr double kPriorOddsPerWindow = 12.0;
constexpr double kPriorOddsMin = 1e-3;
constexpr double kRiseErrorsMin = 10.0;  // errors in a window that a broken pattern typically shows

}  // namespace

void PatternWindow::to_base(const Bucket& bucket) noexcept {
  base_actions += bucket.actions;
  base_errors += bucket.errors;
  base_windows += 1.0 / static_cast<double>(kWindowBuckets);
  if (base_windows < kBaseWindowsMax) return;
  base_actions *= 0.5;
  base_errors *= 0.5;
  base_windows *= 0.5;
}

void PatternWindow::roll(std::int64_t ts_ns, std::int64_t bucket_ns) noexcept {
  if (bucket_end_ns == 0) {
    bucket_end_ns = (ts_ns / bucket_ns + 1) * bucket_ns;
    return;
  }
  if (ts_ns < bucket_end_ns) return;
  const std::int64_t steps = (ts_ns - bucket_end_ns) / bucket_ns + 1;
  const auto emptied = static_cast<std::int64_t>(kWindowBuckets);
  for (std::int64_t i = 0; i < std::min(steps, emptied); ++i) {
    if (filled == past.size()) {
      to_base(past[head]);
    } else {
      ++filled;
    }
    past[head] = {actions, errors};
    head = static_cast<std::uint8_t>((head + 1U) % past.size());
    actions = errors = 0;
  }
  // Time in which nothing happened is exposure too.
  if (steps > emptied) {
    base_windows = std::min(kBaseWindowsMax, base_windows + static_cast<double>(steps - emptied) /
                                                                static_cast<double>(emptied));
  }
  bucket_end_ns += steps * bucket_ns;
}

std::uint64_t PatternWindow::window_actions() const noexcept {
  std::uint64_t sum = actions;
  for (const Bucket& bucket : past) sum += bucket.actions;
  return sum;
}

std::uint64_t PatternWindow::window_errors() const noexcept {
  std::uint64_t sum = errors;
  for (const Bucket& bucket : past) sum += bucket.errors;
  return sum;
}

void ErrorState::add(const Seen& seen) noexcept {
  ring[static_cast<std::size_t>(seen_count % kErrorsRemembered)] = seen;
  ++seen_count;
  newest_ts_ns = std::max(newest_ts_ns, seen.ts_ns);
}

ErrorRule::ErrorRule(const LogAnalyzerConfig& config)
    : bucket_ns_(config.error_window.count() * core::kNsPerSecond /
                 static_cast<std::int64_t>(kWindowBuckets)),
      window_ns_(config.error_window.count() * core::kNsPerSecond),
      settle_ns_(config.error_settle.count() * core::kNsPerSecond),
      settle_max_ns_(config.error_settle_max.count() * core::kNsPerSecond),
      quiet_ns_(config.error_quiet.count() * core::kNsPerSecond),
      count_min_(config.error_count_min),
      storm_count_(std::uint64_t{config.error_count_min} * config.error_storm_factor),
      growth_factor_(config.error_growth_factor),
      prior_actions_(config.prior_actions),
      prior_windows_(config.prior_windows) {}

// Exact while all of the window's errors are remembered, else to a bucket.
std::uint64_t ErrorRule::count_in_window(const ErrorState& state,
                                         const PatternWindow& window) const noexcept {
  std::uint64_t exact = 0;
  for (std::size_t i = 0; i < state.remembered(); ++i) {
    if (state.newest(i).ts_ns > state.newest_ts_ns - window_ns_) ++exact;
  }
  return exact < kErrorsRemembered ? exact : std::max(exact, window.window_errors());
}

bool ErrorRule::on_error(ErrorState& state, const PatternWindow& window,
                         const ErrorState::Seen& seen) const {
  const bool recurs = state.seen_count > 0 && seen.ts_ns - state.newest_ts_ns > quiet_ns_;
  state.add(seen);
  if (recurs) state.judged_count = 0;
  if (state.pending) return false;
  const std::uint64_t count = count_in_window(state, window);
  const double wanted = std::max(static_cast<double>(count_min_),
                                 growth_factor_ * static_cast<double>(state.judged_count));
  if (static_cast<double>(count) < wanted) return false;
  state.pending = true;
  state.reached_ts_ns = seen.ts_ns;
  return true;
}

bool ErrorRule::settled(const ErrorState& state, const PatternWindow& window,
                        std::int64_t now_ns) const {
  return now_ns - state.newest_ts_ns >= settle_ns_ ||
         now_ns - state.reached_ts_ns >= settle_max_ns_ ||
         (state.judged_count == 0 && count_in_window(state, window) >= storm_count_);
}

double ErrorRule::log_odds(const PatternWindow& window, double errors, double actions) const {
  const double prior = std::max(
      kPriorOddsMin, kPriorOddsUnwatched / (1.0 + kPriorOddsPerWindow * window.base_windows));
  const core::RateBelief rate{0.5 + window.base_errors, prior_windows_ + window.base_windows};
  double bayes = core::log_bayes_rate_rise(rate, errors, 1.0, kRiseErrorsMin);
  // More errors because there is more of everything is no illness. A pattern that is logged only
  // when it fails has no share to speak of.
  const bool errors_only =
      window.base_errors >= 10.0 && window.base_errors > 0.5 * window.base_actions;
  if (!errors_only) {
    const core::ShareBelief share{0.5 + window.base_errors,
                                  prior_actions_ - 0.5 + window.base_actions - window.base_errors};
    bayes = std::min(bayes, core::log_bayes_share_rise(share, errors, actions));
  }
  return std::log(prior) + bayes;
}

namespace {

struct Burst {
  std::uint64_t errors = 0;
  std::uint64_t actions = 0;      // in the window
  std::uint64_t since_first = 0;  // actions from its first remembered error on
  std::uint64_t errors_since_first = 0;
  std::int64_t span_ns = 0;
  double share = 0.0;
};

core::Impact impact_of(const Burst& burst, const ActionNames& names) {
  int score = 0;
  if (burst.errors >= 5) ++score;
  if (burst.errors >= 20) ++score;
  if (burst.share >= 0.3) ++score;
  if (names_critical(names)) ++score;
  if (score == 0) return core::Impact::kLow;
  if (score == 1) return core::Impact::kMedium;
  return score <= 3 ? core::Impact::kHigh : core::Impact::kCritical;
}

void describe(core::Finding& finding, const Burst& burst, const PatternWindow& window,
              const ActionNames& names, std::int64_t window_ns) {
  const double base = window.base_actions > 0.0 ? window.base_errors / window.base_actions : 0.0;
  const double base_rate =
      window.base_windows > 0.0 ? window.base_errors / window.base_windows : 0.0;
  finding.reasoning = {
      "Pattern: " + std::string(names.action) + " errors",
      "Occurrences: " + std::to_string(burst.errors) + " times in " +
          core::format_duration(window_ns),
      "Timespan: " + format_span(burst.span_ns),
      "Resources: " + std::string(names.service()),
      "Error share " + percent(burst.share) + " (" + std::to_string(burst.errors_since_first) +
          " of " + std::to_string(burst.since_first) + "), baseline " +
          (window.base_actions > 0.0 ? percent(base) : std::string("unknown")),
  };
  finding.metadata = {{"pattern", core::json_quoted("recurring_error")},
                      {"actor", core::json_quoted(names.actor)},
                      {"action", core::json_quoted(names.action)},
                      {"occurrences", std::to_string(burst.errors)},
                      {"window_seconds", std::to_string(window_ns / core::kNsPerSecond)},
                      {"actions", std::to_string(burst.actions)},
                      {"error_share", decimal(burst.share, 4)},
                      {"baseline_per_window", decimal(base_rate, 4)}};
}

}  // namespace

std::optional<core::Finding> ErrorRule::judge(ErrorState& state, const PatternWindow& window,
                                              const ActionNames& names, std::uint32_t actions_total,
                                              std::int64_t now_ns) const {
  state.pending = false;
  Burst burst;
  burst.errors = count_in_window(state, window);
  burst.actions = std::max(window.window_actions(), burst.errors);
  state.judged_count = burst.errors;
  const double errors = static_cast<double>(burst.errors);
  const double odds = log_odds(window, errors, static_cast<double>(burst.actions));
  core::Finding finding;
  finding.confidence = core::logistic(odds) * core::confirmed(errors);
  if (finding.confidence < core::kFindingFloor) return std::nullopt;

  std::int64_t first_ts_ns = state.newest_ts_ns;
  for (std::size_t i = state.remembered(); i-- > 0;) {
    const ErrorState::Seen& seen = state.newest(i);
    if (seen.ts_ns <= state.newest_ts_ns - window_ns_) continue;
    if (burst.since_first == 0) burst.since_first = actions_total - seen.ordinal + 1;
    ++burst.errors_since_first;
    first_ts_ns = std::min(first_ts_ns, seen.ts_ns);
    finding.evidence.push_back(
        {seen.sequence, seen.ts_ns,
         std::string(names.action) + ":error on " + std::string(names.service())});
  }
  burst.span_ns = state.newest_ts_ns - first_ts_ns;
  burst.share = static_cast<double>(burst.errors_since_first) /
                static_cast<double>(std::max<std::uint64_t>(1, burst.since_first));
  finding.type = core::TriggerType::kPatternDetected;
  finding.service = names.service();
  finding.domain = names.domain;
  finding.diagnosis_code = "recurring_error";
  finding.what = names.action;
  finding.impact = impact_of(burst, names);
  finding.suggested_playbooks = {"investigate_root_cause", "rollback_flag"};
  finding.ts_ns = now_ns;
  describe(finding, burst, window, names, window_ns_);
  finding.metadata.emplace_back("log_odds", decimal(odds, 2));
  return finding;
}

bool names_critical(const ActionNames& names) noexcept {
  constexpr std::string_view kWords[] = {"auth",     "login",  "pay",      "billing", "checkout",
                                         "database", "ledger", "security", "trust",   "core"};
  for (const std::string_view text : {names.resource, names.action, names.subsystem}) {
    for (const std::string_view word : kWords) {
      if (text.find(word) != std::string_view::npos) return true;
    }
  }
  return false;
}

}  // namespace grace::log_analyzer
