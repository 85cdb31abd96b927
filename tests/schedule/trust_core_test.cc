#include "grace/schedule/trust_core.h"

#include <gtest/gtest.h>

#include "schedule_fixture.h"

namespace grace::schedule {
namespace {

constexpr std::int64_t kHourNs = core::kNsPerHour;
constexpr std::int64_t kWednesdayNs = 1'736'899'200LL * kNsPerSecond;  // 2025-01-15T00:00:00Z

TrustQuery fine() {
  TrustQuery query;
  query.service = "api_service";
  query.domain = "core";
  query.playbook = "scale_up_instances";
  query.sources = {core::Source::kProactiveMl};
  query.impact = core::Impact::kHigh;
  query.confidence = 0.87;
  query.risk = Risk::kLow;
  query.blast_radius_known = true;
  query.blast_radius = 1;
  query.now_ns = kWednesdayNs + 14 * kHourNs;
  return query;
}

TrustConfig automatic() {
  TrustConfig config;
  config.mode = Mode::kAuto;
  return config;
}

Policy policy(std::string name, Verdict verdict) {
  Policy rule;
  rule.place = {"grace.toml", 30};
  rule.name = std::move(name);
  rule.verdict = verdict;
  return rule;
}

TEST(TrustCore, AllowsWhenEveryConditionHolds) {
  const auto decision = TrustCore(automatic()).decide(fine());
  EXPECT_EQ(decision.verdict, Verdict::kAllow);
  EXPECT_EQ(decision.rule, "auto_approval");
  for (const auto& sentence : decision.reasoning) {
    EXPECT_EQ(sentence.find("not met"), std::string::npos) << sentence;
  }
}

// Each row breaks one condition, and one is enough.
TEST(TrustCore, AsksAPersonWhenAnyConditionFails) {
  struct Row {
    const char* rule;
    std::function<void(TrustConfig&, TrustQuery&)> breaks;
  };
  const std::vector<Row> rows{
      {"auto_approval.mode", [](auto& c, auto&) { c.mode = Mode::kSuggest; }},
      {"auto_approval.risk", [](auto&, auto& q) { q.risk = Risk::kMedium; }},
      {"auto_approval.blast_radius", [](auto&, auto& q) { q.blast_radius = 3; }},
      {"auto_approval.blast_radius", [](auto&, auto& q) { q.blast_radius_known = false; }},
      {"auto_approval.confidence", [](auto&, auto& q) { q.confidence = 0.69; }},
      {"auto_approval.confidence",
       [](auto&, auto& q) {
         q.proactive_only = true;
         q.confidence = 0.79;
       }},
      {"auto_approval.change_window",
       [](auto& c, auto&) {
         c.change_windows = {{0x7f, 0, 60}};
       }},
      {"auto_approval.breaker", [](auto&, auto& q) { q.open_breakers = {"fleet"}; }},
  };
  for (const auto& row : rows) {
    TrustConfig config = automatic();
    TrustQuery query = fine();
    row.breaks(config, query);
    const auto decision = TrustCore(config).decide(query);
    EXPECT_EQ(decision.verdict, Verdict::kRequireApproval) << row.rule;
    EXPECT_EQ(decision.rule, row.rule);
  }
}

TEST(TrustCore, TakesTheBoundsThemselves) {
  TrustQuery query = fine();
  query.blast_radius = 2;
  query.confidence = 0.70;
  EXPECT_EQ(TrustCore(automatic()).decide(query).verdict, Verdict::kAllow);
  query.proactive_only = true;
  query.confidence = 0.80;
  EXPECT_EQ(TrustCore(automatic()).decide(query).verdict, Verdict::kAllow);
}

TEST(TrustCore, JudgesTheActionNotTheImpact) {
  TrustQuery query = fine();
  query.impact = core::Impact::kCritical;
  EXPECT_EQ(TrustCore(automatic()).decide(query).verdict, Verdict::kAllow);
}

TEST(TrustCore, TakesTheFirstPolicyThatMatches) {
  TrustConfig config = automatic();
  config.policies = {policy("other", Verdict::kDeny), policy("mine", Verdict::kAllow),
                     policy("late", Verdict::kDeny)};
  config.policies[0].service = "web_*";
  config.policies[1].service = "api_*";
  const auto decision = TrustCore(config).decide(fine());
  EXPECT_EQ(decision.verdict, Verdict::kAllow);
  EXPECT_EQ(decision.rule, "mine");
}

TEST(TrustCore, AsksAPersonWhenNoPolicyMatches) {
  TrustConfig config = automatic();
  config.policies = {policy("other", Verdict::kAllow)};
  config.policies[0].playbook = "warm_cache";
  const auto decision = TrustCore(config).decide(fine());
  EXPECT_EQ(decision.verdict, Verdict::kRequireApproval);
  EXPECT_EQ(decision.rule, "no_match");
}

TEST(TrustCore, DeniesByPolicyWhateverElseHolds) {
  TrustConfig config = automatic();
  config.policies = {policy("freeze", Verdict::kDeny)};
  const auto decision = TrustCore(config).decide(fine());
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  EXPECT_EQ(decision.rule, "freeze");
}

TEST(TrustCore, LiftsNoConditionByAnAllowPolicy) {
  TrustConfig config = automatic();
  config.policies = {policy("all", Verdict::kAllow)};
  TrustQuery query = fine();
  query.risk = Risk::kHigh;
  const auto decision = TrustCore(config).decide(query);
  EXPECT_EQ(decision.verdict, Verdict::kRequireApproval);
  EXPECT_EQ(decision.rule, "auto_approval.risk");
}

TEST(Policy, MatchesEveryFieldItGives) {
  struct Row {
    const char* name;
    std::function<void(Policy&)> set;
    bool expected;
  };
  const std::vector<Row> rows{
      {"domain", [](auto& p) { p.domain = "core"; }, true},
      {"other domain", [](auto& p) { p.domain = "edge"; }, false},
      {"source", [](auto& p) { p.source = "proactive_ml"; }, true},
      {"other source", [](auto& p) { p.source = "meta_loop"; }, false},
      {"impact", [](auto& p) { p.impact = core::Impact::kHigh; }, true},
      {"other impact", [](auto& p) { p.impact = core::Impact::kLow; }, false},
      {"confidence from", [](auto& p) { p.confidence_min = 0.87; }, true},
      {"confidence over", [](auto& p) { p.confidence_min = 0.88; }, false},
      {"confidence up to", [](auto& p) { p.confidence_max = 0.86; }, false},
      {"radius from", [](auto& p) { p.blast_radius_min = 1; }, true},
      {"radius over", [](auto& p) { p.blast_radius_min = 2; }, false},
      {"radius up to", [](auto& p) { p.blast_radius_max = 0; }, false},
      {"hours",
       [](auto& p) {
         p.windows = {{0x7f, 14 * 60, 15 * 60}};
       },
       true},
      {"other hours",
       [](auto& p) {
         p.windows = {{0x7f, 15 * 60, 16 * 60}};
       },
       false},
  };
  for (const auto& row : rows) {
    TrustConfig config = automatic();
    config.policies = {policy("rule", Verdict::kDeny)};
    row.set(config.policies[0]);
    const auto decision = TrustCore(config).match_policies(fine());
    EXPECT_EQ(decision.rule, row.expected ? "rule" : "no_match") << row.name;
  }
}

TEST(Policy, TakesAnUnknownBlastRadiusForLargerThanAnyLimit) {
  TrustQuery query = fine();
  query.blast_radius_known = false;
  query.blast_radius = 0;
  TrustConfig config = automatic();
  config.policies = {policy("large", Verdict::kDeny)};
  config.policies[0].blast_radius_min = 1'000'000;
  EXPECT_EQ(TrustCore(config).match_policies(query).rule, "large");
  config.policies[0].blast_radius_min.reset();
  config.policies[0].blast_radius_max = 1'000'000;
  EXPECT_EQ(TrustCore(config).match_policies(query).rule, "no_match");
}

TEST(TimeWindow, KnowsWeekdaysAndMidnight) {
  constexpr std::uint8_t kWednesday = 1 << 2;
  const TimeWindow office{kWednesday, 9 * 60, 17 * 60};
  EXPECT_TRUE(contains(office, kWednesdayNs + 9 * kHourNs));
  EXPECT_FALSE(contains(office, kWednesdayNs + 17 * kHourNs));
  EXPECT_FALSE(contains(office, kWednesdayNs + (24 + 10) * kHourNs));
  const TimeWindow night{kWednesday, 22 * 60, 6 * 60};
  EXPECT_TRUE(contains(night, kWednesdayNs + 23 * kHourNs));
  EXPECT_TRUE(contains(night, kWednesdayNs + (24 + 5) * kHourNs));  // Thursday morning
  EXPECT_FALSE(contains(night, kWednesdayNs + 5 * kHourNs));        // Wednesday morning
  EXPECT_TRUE(contains(TimeWindow{}, kWednesdayNs));
  EXPECT_TRUE(contains(TimeWindow{1 << 2, 0, 24 * 60}, -kHourNs));  // 1969-12-31, a Wednesday
}

PolicyTest policy_test(std::uint32_t line, std::string name, Verdict expect, std::string rule) {
  PolicyTest test;
  test.place.file = "grace.toml";
  test.place.line = line;
  test.name = std::move(name);
  test.given = fine();
  test.expect = expect;
  test.expect_rule = std::move(rule);
  return test;
}

TEST(PolicyTests, NameFileLineAndWhatCameInstead) {
  TrustConfig config = automatic();
  config.policies = {policy("freeze", Verdict::kDeny)};
  const TrustCore core(config);
  const PolicyTest right = policy_test(50, "frozen", Verdict::kDeny, "freeze");
  const PolicyTest wrong = policy_test(55, "free", Verdict::kAllow, "");
  const PolicyTest other_rule = policy_test(60, "rule", Verdict::kDeny, "thaw");
  EXPECT_EQ(run_policy_tests(core, {right, wrong, other_rule}),
            (Names{"grace.toml:55: policy test 'free': expected allow, got deny by rule freeze",
                   "grace.toml:60: policy test 'rule': expected deny by rule thaw, got deny by "
                   "rule freeze"}));
}

TEST(PolicyNames, MustExist) {
  const auto playbooks = PlaybookSet::build({}, {});
  TrustConfig config;
  config.policies = {policy("rule", Verdict::kDeny)};
  config.policies[0].playbook = "investigate_*";
  EXPECT_TRUE(check_policy_names(config, *playbooks).has_value());
  config.policies[0].playbook = "investigate";
  const auto unknown = check_policy_names(config, *playbooks);
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().message,
            "grace.toml:30: field playbook: unknown playbook 'investigate'");
  config.policies[0].playbook.clear();
  config.policies[0].source = "crystal_ball";
  EXPECT_FALSE(check_policy_names(config, *playbooks).has_value());
}

TEST(TrustConfig, RefusesValuesOutsideTheirRange) {
  TrustConfig config;
  config.confidence_min = 1.1;
  EXPECT_FALSE(validated(config).has_value());
  config = {};
  config.policies = {policy("a", Verdict::kAllow), policy("a", Verdict::kDeny)};
  const auto twice = validated(config);
  ASSERT_FALSE(twice.has_value());
  EXPECT_NE(twice.error().message.find("grace.toml:30: policy 'a': field name"), std::string::npos);
  config.policies = {policy("a", Verdict::kAllow)};
  config.policies[0].confidence_min = 0.9;
  config.policies[0].confidence_max = 0.8;
  EXPECT_FALSE(validated(config).has_value());
}

}  // namespace
}  // namespace grace::schedule
