// What the engine may do, and what stops it: modes, the red button, approvals, the conditions of
// automatic action, and what telemetry can never do to a command.
#include "modes_fixture.h"

namespace grace::testing {
namespace {

// ---------------------------------------------------------------------------------------------
// Modes

TEST_F(Modes, AutoHealsByItselfAndInTheOrderOfTheLedger) {
  know();
  falls_ill();
  pass(3 * kNsPerMinute);
  run(schedule::Mode::kAuto);
  ASSERT_EQ(executor_.commands.size(), 1U) << ledger_text();
  EXPECT_EQ(executor_.commands[0].argv,
            (std::vector<std::string>{kProgram, "restart", "api", "why=health_degradation"}));
  EXPECT_EQ(states(), (std::vector<std::string>{"proposed", "approved", "executing", "verifying",
                                                "succeeded"}));
}

TEST_F(Modes, SuggestProposesAndExecutesNothingApprovedOrNot) {
  know();
  falls_ill();
  pass(2 * kNsPerMinute);
  approve();
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kSuggest);
  EXPECT_TRUE(reached("awaiting_approval"));
  EXPECT_FALSE(reached("executing"));
  EXPECT_EQ(states().back(), "denied");
  EXPECT_TRUE(executor_.commands.empty());
}

TEST_F(Modes, ObserveProposesNothing) {
  know();
  falls_ill();
  pass(2 * kNsPerMinute);
  approve();
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kObserve);
  EXPECT_TRUE(states().empty());
  EXPECT_TRUE(executor_.commands.empty());
  EXPECT_EQ(of_action(entries_, "intelligent_trigger").size(), 1U) << "it still records";
  const auto proposals = of_action(entries_, "decision_proposal");
  ASSERT_EQ(proposals.size(), 1U);
  EXPECT_EQ(proposals[0].at("result"), "not_proposed");
  EXPECT_EQ(proposals[0].payload()["rule"].as_string(), "mode");
}

// ---------------------------------------------------------------------------------------------
// The red button

TEST_F(Modes, PauseStopsNewRunsUntilResume) {
  know();
  stream_.control("pause");
  pass(kNsPerMinute);
  falls_ill();
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kAuto);
  EXPECT_TRUE(paused_);
  EXPECT_TRUE(executor_.commands.empty());
  EXPECT_TRUE(states().empty()) << ledger_text();
}

TEST_F(Modes, PauseIsStickyAcrossARestart) {
  know();
  stream_.control("pause");
  pass(kNsPerMinute);
  run(schedule::Mode::kAuto);
  EXPECT_TRUE(paused_);

  paused_ = false;
  know();
  falls_ill();
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kAuto);
  EXPECT_TRUE(paused_) << "the second process";
  EXPECT_TRUE(executor_.commands.empty());

  know();
  stream_.control("resume");
  falls_ill();
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kAuto);
  EXPECT_FALSE(paused_);
  EXPECT_EQ(executor_.commands.size(), 1U) << ledger_text();
}

TEST_F(Modes, WhatWasApprovedWhilePausedBeginsOnResumeOnly) {
  know();
  falls_ill();
  pass(kNsPerMinute);
  stream_.control("pause");
  approve();
  pass(2 * kNsPerMinute);
  run(schedule::Mode::kAuto, {}, schedule::Risk::kMedium);
  EXPECT_TRUE(executor_.commands.empty());
  EXPECT_EQ(states().back(), "approved");
}

// ---------------------------------------------------------------------------------------------
// Approval

TEST_F(Modes, AnApprovalInTimeExecutesOnce) {
  know();
  falls_ill();
  pass(2 * kNsPerMinute);
  approve();
  approve();
  pass(2 * kNsPerMinute);
  run(schedule::Mode::kAuto, {}, schedule::Risk::kMedium);
  ASSERT_EQ(executor_.commands.size(), 1U) << ledger_text();
  EXPECT_TRUE(reached("succeeded"));
  const auto runs = of_action(entries_, "playbook_run");
  EXPECT_EQ(runs.back().payload()["approved_by"].as_string(), "alice");
}

TEST_F(Modes, AnExpiredApprovalDoesNotExecute) {
  const auto five_minutes = [](tools::AppConfig& config) {
    config.engine.schedule.approval_expiry = std::chrono::minutes(5);
  };
  know();
  falls_ill();
  pass(8 * kNsPerMinute);
  approve();
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kAuto, five_minutes, schedule::Risk::kMedium);
  EXPECT_TRUE(reached("expired"));
  EXPECT_FALSE(reached("approved"));
  EXPECT_TRUE(executor_.commands.empty()) << ledger_text();
}

// Given in time, but nothing could begin until it was too old.
TEST_F(Modes, AnApprovalThatExpiresWhileItWaitsDoesNotExecute) {
  const auto five_minutes = [](tools::AppConfig& config) {
    config.engine.schedule.approval_expiry = std::chrono::minutes(5);
  };
  know();
  falls_ill();
  pass(2 * kNsPerMinute);
  stream_.control("pause");
  approve();
  pass(6 * kNsPerMinute);
  stream_.control("resume");
  pass(2 * kNsPerMinute);
  run(schedule::Mode::kAuto, five_minutes, schedule::Risk::kMedium);
  EXPECT_TRUE(reached("approved"));
  EXPECT_TRUE(reached("expired"));
  EXPECT_TRUE(executor_.commands.empty()) << ledger_text();
}

TEST_F(Modes, ARejectedRunDoesNotExecute) {
  know();
  falls_ill();
  pass(2 * kNsPerMinute);
  stream_.control("reject", {{"service", R"("api")"}, {"playbook", R"("restart_api")"}});
  approve();
  pass(2 * kNsPerMinute);
  run(schedule::Mode::kAuto, {}, schedule::Risk::kMedium);
  EXPECT_TRUE(reached("denied"));
  EXPECT_TRUE(executor_.commands.empty());
}

TEST_F(Modes, AnApprovalFromASourceWithoutOperatorsIsRejected) {
  know();
  falls_ill();
  pass(2 * kNsPerMinute);
  approve();
  pass(2 * kNsPerMinute);
  const std::string text = stream_.text();
  RunOptions options;
  options.ledger = directory_ / "ledger";
  options.executor = &executor_;
  options.adjust = [](tools::AppConfig& config) { add_playbook(config, schedule::Risk::kMedium); };
  options.make_source = [&] {
    ingest::SourceTraits traits = ingest::MemorySource::default_traits();
    traits.operator_allowed = false;
    return std::make_unique<ingest::MemorySource>(text, traits);
  };
  const tools::Summary summary = run_stream("", options);
  EXPECT_EQ(
      summary.counts.rejected[static_cast<std::size_t>(parse::RejectReason::kControlForbidden)],
      1U);
  entries_ = read_ledger(options.ledger);
  EXPECT_TRUE(reached("awaiting_approval"));
  EXPECT_TRUE(executor_.commands.empty());
}

// ---------------------------------------------------------------------------------------------
// Automatic action needs every condition

struct Obstacle {
  const char* name;
  const char* rule;  // what the trust core's record names
  schedule::Risk risk = schedule::Risk::kLow;
  int dependents = 0;
  bool known = true;
  bool forecast = false;
  double confidence = 0.93;
  std::function<void(tools::AppConfig&)> adjust = {};
};

void add_policy(tools::AppConfig& config, schedule::Verdict verdict) {
  schedule::Policy policy;
  policy.name = "the_rule";
  policy.service = "a*";
  policy.verdict = verdict;
  config.engine.schedule.trust.policies.push_back(policy);
}

std::vector<Obstacle> obstacles() {
  std::vector<Obstacle> all;
  all.push_back({"risk", "auto_approval.risk", schedule::Risk::kMedium});
  all.push_back({"blast_radius", "auto_approval.blast_radius", schedule::Risk::kLow, 3});
  all.push_back({"unknown_topology", "auto_approval.blast_radius", schedule::Risk::kLow, 0, false});
  all.push_back(
      {"confidence", "auto_approval.confidence", schedule::Risk::kLow, 0, true, false, 0.93,
       [](tools::AppConfig& config) { config.engine.schedule.trust.confidence_min = 0.99; }});
  all.push_back(
      {"forecast_alone", "auto_approval.confidence", schedule::Risk::kLow, 0, true, true, 0.75});
  all.push_back({"change_window", "auto_approval.change_window", schedule::Risk::kLow, 0, true,
                 false, 0.93, [](tools::AppConfig& config) {
                   config.engine.schedule.trust.change_windows.push_back({0x7f, 0, 60});
                 }});
  all.push_back(
      {"policy_requires", "the_rule", schedule::Risk::kLow, 0, true, false, 0.93,
       [](tools::AppConfig& config) { add_policy(config, schedule::Verdict::kRequireApproval); }});
  all.push_back({"policy_denies", "the_rule", schedule::Risk::kLow, 0, true, false, 0.93,
                 [](tools::AppConfig& config) { add_policy(config, schedule::Verdict::kDeny); }});
  return all;
}

class AutoApproval : public Modes, public ::testing::WithParamInterface<Obstacle> {};

TEST_P(AutoApproval, IsWithheldWhenOneConditionFails) {
  const Obstacle& obstacle = GetParam();
  if (obstacle.known) know(obstacle.dependents);
  stream_.mesh(
      obstacle.forecast ? "proactive.anomaly_forecast" : "agentic_spine.health_degradation", "api",
      problem("illness", obstacle.confidence));
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kAuto, obstacle.adjust, obstacle.risk);
  EXPECT_TRUE(reached("proposed")) << ledger_text();
  EXPECT_FALSE(reached("executing"));
  EXPECT_TRUE(executor_.commands.empty());
  const auto decisions = of_action(entries_, "decision_approval");
  ASSERT_GE(decisions.size(), 1U);
  EXPECT_EQ(decisions[0].payload()["rule"].as_string(), obstacle.rule);
  EXPECT_FALSE(decisions[0].payload()["reasoning"].array().empty());
}

INSTANTIATE_TEST_SUITE_P(Conditions, AutoApproval, ::testing::ValuesIn(obstacles()),
                         [](const auto& param) { return std::string(param.param.name); });

TEST_F(Modes, AnOpenBreakerStopsAutomaticRunsUntilItIsAcknowledged) {
  const auto one_an_hour = [](tools::AppConfig& config) {
    config.engine.schedule.breakers.attempts_per_hour_max = 1;
  };
  know();
  stream_.topology("billing", "money");
  falls_ill();
  pass(3 * kNsPerMinute);
  stream_.mesh("agentic_spine.health_degradation", "billing", problem("illness"));
  pass(3 * kNsPerMinute);
  run(schedule::Mode::kAuto, one_an_hour);
  ASSERT_EQ(executor_.commands.size(), 1U) << ledger_text();
  EXPECT_EQ(states().back(), "awaiting_approval");
  const auto decisions = of_action(entries_, "decision_approval");
  EXPECT_EQ(decisions.back().payload()["rule"].as_string(), "auto_approval.breaker");
}

// ---------------------------------------------------------------------------------------------
// What telemetry says never becomes a command

constexpr std::string_view kAttack = "x; rm -rf $HOME `id` && echo $(cat /etc/passwd) | sh > '\"";

TEST_F(Modes, ShellCharactersInAnAlertAreRefusedByDefault) {
  know();
  falls_ill(kAttack);
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kAuto);
  EXPECT_TRUE(executor_.commands.empty());
  EXPECT_TRUE(states().empty()) << "not even proposed";
  EXPECT_EQ(of_action(entries_, "decision_proposal").size(), 1U) << ledger_text();
}

TEST_F(Modes, ShellCharactersThatAPatternAllowsStayOneArgument) {
  know();
  falls_ill(kAttack);
  pass(5 * kNsPerMinute);
  run(schedule::Mode::kAuto, {}, schedule::Risk::kLow, ".*");
  ASSERT_EQ(executor_.commands.size(), 1U) << ledger_text();
  EXPECT_EQ(executor_.commands[0].kind, core::StepKind::kExec);
  EXPECT_EQ(executor_.commands[0].argv,
            (std::vector<std::string>{kProgram, "restart", "api", "why=" + std::string(kAttack)}));
}

TEST_F(Modes, AnAlertCannotAddOptionsOrControlCharacters) {
  for (const std::string_view value : {"-rf", "--help", "a\nb", "a\tb", "\u00e9"}) {
    know();
    falls_ill(value);
    pass(5 * kNsPerMinute);
    stream_.pass(kNsPerHour);  // the next one is an incident of its own
  }
  run(
      schedule::Mode::kAuto,
      [](tools::AppConfig& config) {
        // The value stands alone as an argument: the place where an option would be one.
        config.playbooks.back().steps[0].action.argv = {kProgram, "{diagnosis}"};
      },
      schedule::Risk::kLow, ".*");
  EXPECT_TRUE(executor_.commands.empty()) << ledger_text();
  EXPECT_EQ(of_action(entries_, "decision_proposal").size(), 5U) << "each was refused";
}

}  // namespace
}  // namespace grace::testing
