#include "grace/schedule/trust_core.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "grace/core/time.h"

namespace grace::schedule {
namespace {

constexpr std::array<std::string_view, 3> kModeNames{"observe", "suggest", "auto"};
constexpr std::array<std::string_view, 3> kVerdictNames{"allow", "deny", "require_approval"};
constexpr std::int64_t kNsPerDay = 24 * core::kNsPerHour;
constexpr std::int64_t kMinutesPerDay = 24 * 60;

bool is_probability(double value) {
  return value >= 0.0 && value <= 1.0;
}

std::string number(double value) {
  char digits[32];
  const auto [end, error] =
      std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, 2);
  static_cast<void>(error);  // a probability has few digits
  return std::string(digits, end);
}

bool name_matches(const std::string& glob, const std::string& text) {
  return glob.empty() || glob_matches(glob, text);
}

bool matches(const Policy& policy, const TrustQuery& query) {
  if (!name_matches(policy.service, query.service)) return false;
  if (!name_matches(policy.domain, query.domain)) return false;
  if (!name_matches(policy.playbook, query.playbook)) return false;
  if (!policy.source.empty() &&
      std::none_of(query.sources.begin(), query.sources.end(), [&](core::Source source) {
        return glob_matches(policy.source, core::to_string(source));
      })) {
    return false;
  }
  if (policy.impact && *policy.impact != query.impact) return false;
  if (policy.confidence_min && query.confidence < *policy.confidence_min) return false;
  if (policy.confidence_max && query.confidence > *policy.confidence_max) return false;
  // An unknown blast radius is larger than any limit: over every minimum, under no maximum.
  if (policy.blast_radius_min && query.blast_radius_known &&
      query.blast_radius < *policy.blast_radius_min) {
    return false;
  }
  if (policy.blast_radius_max &&
      (!query.blast_radius_known || query.blast_radius > *policy.blast_radius_max)) {
    return false;
  }
  return policy.windows.empty() ||
         std::any_of(policy.windows.begin(), policy.windows.end(),
                     [&](const TimeWindow& window) { return contains(window, query.now_ns); });
}

// The auto-approval conditions, each with a sentence that says what was compared with what.
class Conditions {
 public:
  explicit Conditions(TrustDecision& decision) : decision_(decision) {}
  void require(bool holds, std::string_view name, const std::string& sentence) {
    decision_.reasoning.push_back((holds ? "met: " : "not met: ") + sentence);
    if (!holds && first_unmet_.empty()) first_unmet_ = name;
  }
  [[nodiscard]] std::string_view first_unmet() const { return first_unmet_; }

 private:
  TrustDecision& decision_;
  std::string_view first_unmet_;
};

core::Result<void> check_windows(const std::vector<TimeWindow>& windows, const std::string& where) {
  for (const auto& window : windows) {
    if (window.begin_minute >= kMinutesPerDay || window.end_minute > kMinutesPerDay ||
        window.days == 0 || window.days > 0x7f) {
      return core::make_error(core::ErrorCode::kConfig,
                              where + ": days or hours outside a week and a day");
    }
  }
  return {};
}

}  // namespace

std::string_view to_string(Mode mode) noexcept {
  return kModeNames[static_cast<std::size_t>(mode)];
}
std::optional<Mode> mode_from(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kModeNames.size(); ++i) {
    if (kModeNames[i] == text) return static_cast<Mode>(i);
  }
  return std::nullopt;
}
std::string_view to_string(Verdict verdict) noexcept {
  return kVerdictNames[static_cast<std::size_t>(verdict)];
}
std::optional<Verdict> verdict_from(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kVerdictNames.size(); ++i) {
    if (kVerdictNames[i] == text) return static_cast<Verdict>(i);
  }
  return std::nullopt;
}

bool contains(const TimeWindow& window, std::int64_t ts_ns) noexcept {
  // Floor division, so that times before 1970 fall on the right day too.
  const std::int64_t day = ts_ns / kNsPerDay - (ts_ns % kNsPerDay < 0 ? 1 : 0);
  const std::int64_t minute = (ts_ns - day * kNsPerDay) / core::kNsPerMinute;
  // 1970-01-01 was a Thursday: bit 3.
  const std::int64_t weekday = ((day + 3) % 7 + 7) % 7;
  const std::int64_t yesterday = (weekday + 6) % 7;
  const bool today_listed = ((window.days >> weekday) & 1) != 0;
  const bool yesterday_listed = ((window.days >> yesterday) & 1) != 0;
  if (window.begin_minute < window.end_minute) {
    return today_listed && minute >= window.begin_minute && minute < window.end_minute;
  }
  return (today_listed && minute >= window.begin_minute) ||
         (yesterday_listed && minute < window.end_minute);
}

core::Result<TrustConfig> validated(TrustConfig config) {
  const auto bad = [](const std::string& message) {
    return core::make_error(core::ErrorCode::kConfig, message);
  };
  if (!is_probability(config.confidence_min)) {
    return bad("trust.confidence_min: " + number(config.confidence_min) + " is outside [0, 1]");
  }
  if (!is_probability(config.proactive_confidence_min)) {
    return bad("trust.proactive_confidence_min: " + number(config.proactive_confidence_min) +
               " is outside [0, 1]");
  }
  if (auto r = check_windows(config.change_windows, "trust.change_windows"); !r) {
    return tl::unexpected(r.error());
  }
  std::vector<std::string_view> names;
  for (const auto& policy : config.policies) {
    const std::string where = to_string(policy.place) + ": policy '" + policy.name + "'";
    if (policy.name.empty()) return bad(where + ": field name: missing");
    if (std::find(names.begin(), names.end(), policy.name) != names.end()) {
      return bad(where + ": field name: already used by an earlier policy");
    }
    names.push_back(policy.name);
    const double low = policy.confidence_min.value_or(0.0);
    const double high = policy.confidence_max.value_or(1.0);
    if (!is_probability(low) || !is_probability(high) || low > high) {
      return bad(where + ": field confidence: " + number(low) + " to " + number(high) +
                 " is not a range within [0, 1]");
    }
    if (policy.blast_radius_min && policy.blast_radius_max &&
        *policy.blast_radius_min > *policy.blast_radius_max) {
      return bad(where + ": field blast_radius: minimum over maximum");
    }
    if (auto r = check_windows(policy.windows, where + ": field time"); !r) {
      return tl::unexpected(r.error());
    }
  }
  return config;
}

TrustDecision TrustCore::match_policies(const TrustQuery& query) const {
  TrustDecision decision;
  if (config_.policies.empty()) {
    decision.verdict = Verdict::kAllow;
    decision.rule = "default_allow";
    decision.reasoning.emplace_back("no policies are configured");
    return decision;
  }
  for (const auto& policy : config_.policies) {
    if (!matches(policy, query)) continue;
    decision.verdict = policy.verdict;
    decision.rule = policy.name;
    // By name and line, without the file: where a configuration lies must not change what is
    // recorded, nor the decision digest.
    decision.reasoning.push_back("policy '" + policy.name + "' (line " +
                                 std::to_string(policy.place.line) + ") says " +
                                 std::string(to_string(policy.verdict)));
    return decision;
  }
  decision.verdict = Verdict::kRequireApproval;
  decision.rule = "no_match";
  decision.reasoning.emplace_back("no policy matches");
  return decision;
}

TrustDecision TrustCore::decide(const TrustQuery& query) const {
  TrustDecision decision = match_policies(query);
  if (decision.verdict == Verdict::kDeny) return decision;
  Conditions conditions(decision);
  conditions.require(config_.mode == Mode::kAuto, "mode",
                     "mode is " + std::string(to_string(config_.mode)) + ", needs auto");
  conditions.require(query.risk == Risk::kLow, "risk",
                     "risk is " + std::string(to_string(query.risk)) + ", needs low");
  const std::string radius =
      query.blast_radius_known ? std::to_string(query.blast_radius) : std::string("unknown");
  conditions.require(
      query.blast_radius_known && query.blast_radius <= config_.blast_radius_max, "blast_radius",
      "blast radius is " + radius + ", at most " + std::to_string(config_.blast_radius_max));
  const double least =
      query.proactive_only ? config_.proactive_confidence_min : config_.confidence_min;
  conditions.require(query.confidence >= least, "confidence",
                     "confidence is " + number(query.confidence) + ", at least " + number(least) +
                         (query.proactive_only ? " for forecasts alone" : ""));
  const bool in_window =
      config_.change_windows.empty() ||
      std::any_of(config_.change_windows.begin(), config_.change_windows.end(),
                  [&](const TimeWindow& window) { return contains(window, query.now_ns); });
  conditions.require(in_window, "change_window", "time is inside the change window");
  std::string open = "no breaker is open";
  for (const auto& breaker : query.open_breakers) open += " (open: " + breaker + ")";
  conditions.require(query.open_breakers.empty(), "breaker", open);
  if (decision.verdict == Verdict::kRequireApproval) return decision;  // the policy's rule stands
  if (!conditions.first_unmet().empty()) {
    decision.verdict = Verdict::kRequireApproval;
    decision.rule = "auto_approval." + std::string(conditions.first_unmet());
  } else if (config_.policies.empty()) {
    decision.rule = "auto_approval";
  }
  return decision;
}

std::vector<std::string> run_policy_tests(const TrustCore& core,
                                          const std::vector<PolicyTest>& tests) {
  std::vector<std::string> failures;
  for (const auto& test : tests) {
    const TrustDecision got = core.match_policies(test.given);
    const bool rule_ok = test.expect_rule.empty() || test.expect_rule == got.rule;
    if (got.verdict == test.expect && rule_ok) continue;
    std::string line = to_string(test.place) + ": policy test '" + test.name + "': expected " +
                       std::string(to_string(test.expect));
    if (!test.expect_rule.empty()) line += " by rule " + test.expect_rule;
    line += ", got " + std::string(to_string(got.verdict)) + " by rule " + got.rule;
    failures.push_back(std::move(line));
  }
  return failures;
}

core::Result<void> check_policy_names(const TrustConfig& config, const PlaybookSet& playbooks) {
  for (const auto& policy : config.policies) {
    const bool glob = policy.playbook.find_first_of("*?") != std::string::npos;
    if (!glob && !policy.playbook.empty()) {
      if (auto r = playbooks.require(policy.playbook, policy.place, "playbook"); !r) return r;
    }
    const bool source_glob = policy.source.find_first_of("*?") != std::string::npos;
    if (!source_glob && !policy.source.empty() && !core::source_from(policy.source)) {
      return core::make_error(core::ErrorCode::kConfig,
                              to_string(policy.place) + ": policy '" + policy.name +
                                  "': field source: unknown source '" + policy.source + "'");
    }
  }
  return {};
}

}  // namespace grace::schedule
