#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/topology.h"
#include "grace/core/trigger.h"
#include "grace/schedule/playbook.h"

namespace grace::schedule {

enum class Mode : std::uint8_t {
  kObserve = 0,  // detect and record only: nothing is proposed
  kSuggest,      // propose, never execute, not even what a person approves
  kAuto,         // execute what the trust core or a person allows
};
[[nodiscard]] std::string_view to_string(Mode mode) noexcept;
[[nodiscard]] std::optional<Mode> mode_from(std::string_view text) noexcept;

enum class Verdict : std::uint8_t { kAllow = 0, kDeny, kRequireApproval };
[[nodiscard]] std::string_view to_string(Verdict verdict) noexcept;
[[nodiscard]] std::optional<Verdict> verdict_from(std::string_view text) noexcept;

// Weekly hours of event time, UTC. Minutes count from midnight; an end at or before the begin means
// the next day, so {22:00, 06:00} spans midnight and belongs to the day on which it begins.
struct TimeWindow {
  std::uint8_t days = 0x7f;  // bit 0 Monday ... bit 6 Sunday
  std::uint16_t begin_minute = 0;
  std::uint16_t end_minute = 24 * 60;
};
[[nodiscard]] bool contains(const TimeWindow& window, std::int64_t ts_ns) noexcept;

// One rule. Every condition that is given must hold; empty or absent means any. Globs allowed.
struct Policy {
  SourcePlace place;
  std::string name;
  std::string service, domain, playbook;
  std::string source;  // matches when any source of the incident does
  std::optional<core::Impact> impact;
  std::optional<double> confidence_min;           // inclusive
  std::optional<double> confidence_max;           // inclusive
  std::optional<std::uint32_t> blast_radius_min;  // inclusive; an unknown one is over any limit
  std::optional<std::uint32_t> blast_radius_max;
  std::vector<TimeWindow> windows;  // any of them
  Verdict verdict = Verdict::kRequireApproval;
};

// What the trust core is asked.
struct TrustQuery {
  std::string service, domain, playbook;
  std::vector<core::Source> sources;
  core::Impact impact = core::Impact::kMedium;
  double confidence = 0.0;
  Risk risk = Risk::kMedium;
  bool blast_radius_known = false;
  std::uint32_t blast_radius = 0;
  bool proactive_only = false;
  std::int64_t now_ns = 0;
  std::vector<std::string> open_breakers;  // that concern this run
};

// A policy test in the configuration: what the policies (alone) say about `given`.
struct PolicyTest {
  SourcePlace place;
  std::string name;
  TrustQuery given;
  Verdict expect = Verdict::kRequireApproval;
  std::string expect_rule;  // also compared when not empty
};

struct TrustConfig {
  // suggest: the first days with a new engine should cost nothing but attention.
  Mode mode = Mode::kSuggest;
  // A run on a service with more dependents waits for a person.
  std::uint32_t blast_radius_max = 2;
  double confidence_min = 0.70;
  double proactive_confidence_min = 0.80;  // forecasts with no other source's support
  std::vector<TimeWindow> change_windows;  // empty: always
  // First match wins. With at least one policy, no match means require_approval. With none at all,
  // the built-in rule "default_allow" stands in their place, which objects to nothing: then the
  // auto-approval conditions alone decide.
  std::vector<Policy> policies;
};
[[nodiscard]] core::Result<TrustConfig> validated(TrustConfig config);

struct TrustDecision {
  Verdict verdict = Verdict::kRequireApproval;
  std::string rule;                    // policy name, or "auto_approval", or "no_match" ...
  std::vector<std::string> reasoning;  // every condition, met or not, as a sentence
};

// The governance check. A pure function of its configuration and the query.
//
// verdict = deny              when the matching policy denies
//           allow             when mode is auto and every auto-approval condition holds and the
//                             matching policy allows; `allow` lifts no condition
//           require_approval  otherwise
class TrustCore {
 public:
  explicit TrustCore(TrustConfig config) : config_(std::move(config)) {}
  [[nodiscard]] TrustDecision decide(const TrustQuery& query) const;
  // Policies alone, without the auto-approval conditions.
  [[nodiscard]] TrustDecision match_policies(const TrustQuery& query) const;
  [[nodiscard]] const TrustConfig& config() const noexcept { return config_; }

 private:
  TrustConfig config_;
};

// One line for each test that fails: "FILE:LINE: policy test 'x': expected deny, got allow (rule
// y)".
[[nodiscard]] std::vector<std::string> run_policy_tests(const TrustCore& core,
                                                        const std::vector<PolicyTest>& tests);
// kConfig when a policy's playbook is neither a glob nor known.
[[nodiscard]] core::Result<void> check_policy_names(const TrustConfig& config,
                                                    const PlaybookSet& playbooks);

}  // namespace grace::schedule
