// What must not happen: the wrong thing executed, the right thing executed too late or twice.
#include "schedule_fixture.h"

namespace grace::schedule {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// An incident of auth_service has three dependents: it always waits for a person.
class ApprovalTest : public ScheduleTest {
 protected:
  std::string await_approval() {
    ready(incident("incident_1", "auth_service"));
    EXPECT_EQ(last().state, RunState::kAwaitingApproval);
    return last().run_id;
  }
};

TEST_F(ApprovalTest, WaitsForAPersonWhenTheBlastRadiusIsLarge) {
  start();
  const auto run_id = await_approval();
  EXPECT_EQ(executed_count(), 0u);
  EXPECT_EQ(last().blast_radius, 3u);
  EXPECT_EQ(last().reason, "needs a person: auto_approval.blast_radius");
  pass(minutes{2});
  EXPECT_TRUE(scheduler->approve(run_id, "alice", "looks right", next()));
  EXPECT_EQ(executed_count(), 1u);
  EXPECT_EQ(last().approved_by, "alice");
  heal("auth_service");
  EXPECT_EQ(last().state, RunState::kSucceeded);
  const auto decisions = records_of("decision_approval");
  EXPECT_EQ(decisions.back()->actor, "alice");
  EXPECT_EQ(decisions.back()->result, "approved");
}

TEST_F(ApprovalTest, NeverExecutesAfterExpiry) {
  start();
  const auto run_id = await_approval();
  pass(minutes{30});
  EXPECT_EQ(last().state, RunState::kExpired);
  EXPECT_FALSE(scheduler->approve(run_id, "alice", "", next()));
  EXPECT_EQ(executed_count(), 0u);
  EXPECT_EQ(records_of("decision_approval").back()->result, "ignored");
}

// The approval is itself the first thing to bring the time: no tick came before it.
TEST_F(ApprovalTest, NeverExecutesAtTheVeryMomentOfExpiry) {
  start();
  const auto run_id = await_approval();
  now_ns += 30 * kNsPerMinute;
  EXPECT_FALSE(scheduler->approve(run_id, "alice", "", next()));
  EXPECT_EQ(last().state, RunState::kExpired);
  EXPECT_EQ(executed_count(), 0u);
}

TEST_F(ApprovalTest, ExecutesJustBeforeExpiry) {
  start();
  const auto run_id = await_approval();
  now_ns += 30 * kNsPerMinute - 1;
  EXPECT_TRUE(scheduler->approve(run_id, "alice", "", next()));
  EXPECT_EQ(executed_count(), 1u);
}

TEST_F(ApprovalTest, ExecutesOnceWhenApprovedTwice) {
  start();
  const auto run_id = await_approval();
  EXPECT_TRUE(scheduler->approve(run_id, "alice", "", next()));
  EXPECT_FALSE(scheduler->approve(run_id, "bob", "", next()));
  EXPECT_EQ(executed_count(), 1u);
  EXPECT_EQ(last().approved_by, "alice");
}

TEST_F(ApprovalTest, IgnoresApprovalOfAnUnknownRunButRecordsIt) {
  start();
  EXPECT_FALSE(scheduler->approve("run_nowhere", "mallory", std::string(5000, 'x'), next()));
  ASSERT_EQ(records_of("decision_approval").size(), 1u);
  EXPECT_EQ(records_of("decision_approval")[0]->actor, "mallory");
  EXPECT_LT(records_of("decision_approval")[0]->payload.size(), 1000u);
}

TEST_F(ApprovalTest, DoesNotProposeARejectedPlaybookAgain) {
  start();
  const auto run_id = await_approval();
  EXPECT_TRUE(scheduler->reject(run_id, "alice", "not now", next()));
  EXPECT_EQ(last().state, RunState::kDenied);
  EXPECT_EQ(last().reason, "rejected by alice: not now");
  EXPECT_FALSE(scheduler->approve(run_id, "alice", "", next()));
  pass(minutes{60});
  EXPECT_EQ(scheduler->runs().size(), 1u);
  EXPECT_EQ(executed_count(), 0u);
}

TEST_F(ApprovalTest, WithdrawsTheRequestWhenTheIncidentIsOver) {
  start();
  const auto run_id = await_approval();
  auto over = incident("incident_1", "auth_service");
  over.state = core::IncidentState::kResolved;
  scheduler->on_incident_update(over, next());
  EXPECT_EQ(last().state, RunState::kExpired);
  EXPECT_FALSE(scheduler->approve(run_id, "alice", "", next()));
  EXPECT_EQ(executed_count(), 0u);
}

TEST_F(ApprovalTest, BlocksWhenTheBlastRadiusGrewSinceTheApproval) {
  start();
  const auto run_id = await_approval();
  scheduler->pause("alice", "", next());
  EXPECT_TRUE(scheduler->approve(run_id, "alice", "", next()));
  EXPECT_EQ(last().state, RunState::kApproved);
  topology.upsert({"four", "apps", {"auth_service"}, 1, core::Criticality::kLow});
  scheduler->resume("alice", "", next());
  pass(seconds{1});
  EXPECT_EQ(last().state, RunState::kDenied);
  EXPECT_EQ(last().reason, "the blast radius was 3 when approved and is 4");
  EXPECT_EQ(executed_count(), 0u);
}

TEST_F(ApprovalTest, ExpiresAnApprovalThatCouldNotBeUsedInTime) {
  start();
  const auto run_id = await_approval();
  scheduler->pause("alice", "", next());
  EXPECT_TRUE(scheduler->approve(run_id, "alice", "", next()));
  pass(minutes{31});
  scheduler->resume("alice", "", next());
  pass(seconds{1});
  EXPECT_EQ(last().state, RunState::kExpired);
  EXPECT_EQ(executed_count(), 0u);
}

// The topology changes while an automatically approved run waits for its turn.
TEST_F(ScheduleTest, RecomputesTheBlastRadiusJustBeforeExecution) {
  config.executing_max = 1;
  topology.upsert({"other", "core", {}, 1, core::Criticality::kLow});
  start();
  ready(incident("incident_1", "other"));
  ready(incident("incident_2"));
  EXPECT_EQ(last().state, RunState::kApproved);
  EXPECT_EQ(executed_count(), 1u);
  for (const char* name : {"x", "y"}) {
    topology.upsert({name, "apps", {"api_service"}, 1, core::Criticality::kLow});
  }
  heal("other");
  pass(seconds{1});
  EXPECT_EQ(last().state, RunState::kDenied);
  EXPECT_EQ(last().blast_radius, 3u);
  EXPECT_NE(last().reason.find("auto_approval.blast_radius"), std::string::npos);
  EXPECT_EQ(executed_count(), 1u);
}

TEST_F(ScheduleTest, TakesAServiceOutsideTheTopologyForTooLarge) {
  start();
  ready(incident("incident_1", "stranger"));
  EXPECT_EQ(last().state, RunState::kAwaitingApproval);
  EXPECT_FALSE(last().blast_radius_known);
  EXPECT_NE(records_of("playbook_run")[0]->payload.find("\"blast_radius\":null"),
            std::string::npos);
  EXPECT_EQ(executed_count(), 0u);
}

TEST_F(ScheduleTest, ProposesNothingInObserveMode) {
  config.trust.mode = Mode::kObserve;
  start();
  ready(incident("incident_1"));
  pass(minutes{60});
  EXPECT_EQ(records_of("playbook_run").size(), 0u);
  EXPECT_EQ(executed_count(), 0u);
  ASSERT_EQ(records_of("decision_proposal").size(), 1u);
}

TEST_F(ScheduleTest, ExecutesNothingInSuggestModeNotEvenWhatIsApproved) {
  config.trust.mode = Mode::kSuggest;
  start();
  auto one = incident("incident_1");
  one.suggested_playbooks = {"investigate_root_cause", "scale_up_instances", "adjust_threshold"};
  ready(one);
  EXPECT_EQ(last().state, RunState::kAwaitingApproval);
  EXPECT_TRUE(scheduler->approve(last().run_id, "alice", "go", next()));
  EXPECT_EQ(states(), (Names{"proposed", "awaiting_approval", "approved", "denied"}));
  EXPECT_EQ(last().reason, "mode is suggest: nothing is executed, approved or not");
  EXPECT_EQ(executed_count(), 0u);
  EXPECT_EQ(builtins.adjusted.size(), 0u);
  EXPECT_EQ(records_of("playbook_step").size(), 0u);
}

TEST_F(ScheduleTest, StartsNothingWhilePaused) {
  start();
  scheduler->pause("alice", "release", next());
  EXPECT_TRUE(scheduler->paused());
  ready(incident("incident_1"));
  pass(minutes{5});
  EXPECT_EQ(executed_count(), 0u);
  EXPECT_EQ(records_of("playbook_run").size(), 0u);
  scheduler->resume("alice", "", next());
  pass(seconds{1});
  EXPECT_EQ(executed_count(), 1u);
  const auto pauses = records_of("decision_pause");
  ASSERT_EQ(pauses.size(), 2u);
  EXPECT_EQ(pauses[0]->result, "paused");
  EXPECT_EQ(pauses[0]->actor, "alice");
}

TEST_F(ScheduleTest, FinishesWhatRunsWhenPaused) {
  start();
  ready(incident("incident_1"));
  scheduler->pause("alice", "", next());
  heal();
  EXPECT_EQ(last().state, RunState::kSucceeded);
}

TEST_F(ScheduleTest, OpensABreakerAfterConsecutiveFailures) {
  for (auto& playbook : playbooks) playbook.cooldown = seconds{0};
  config.proposals_per_hour_max = 100;
  for (const char* name : {"s1", "s2", "s3", "s4"}) {
    topology.upsert({name, "core", {}, 1, core::Criticality::kLow});
  }
  executor.exit_codes[0] = 1;
  start();
  for (const char* name : {"s1", "s2", "s3"}) ready(incident(std::string("i_") + name, name));
  EXPECT_EQ(scheduler->open_breakers(), (Names{"playbook:scale_up_instances"}));
  executor.exit_codes.clear();
  ready(incident("i_s4", "s4"));
  EXPECT_EQ(last().state, RunState::kAwaitingApproval);
  EXPECT_EQ(last().reason, "needs a person: auto_approval.breaker");
  EXPECT_EQ(executed_count(), 3u);
  // Time does not close it; a person does.
  pass(minutes{120});
  EXPECT_EQ(scheduler->open_breakers().size(), 1u);
  EXPECT_TRUE(scheduler->acknowledge("playbook:scale_up_instances", "alice", next()));
  EXPECT_FALSE(scheduler->acknowledge("playbook:scale_up_instances", "alice", next()));
  ready(incident("i_s4b", "s4"));
  EXPECT_EQ(executor.commands.back().argv[1], "s4");
}

TEST_F(ScheduleTest, OpensABreakerWhenRunsStartTooOften) {
  config.breakers.attempts_per_hour_max = 2;
  for (const char* name : {"s1", "s2", "s3"}) {
    topology.upsert({name, "core", {}, 1, core::Criticality::kLow});
  }
  start();
  for (const char* name : {"s1", "s2", "s3"}) {
    ready(incident(std::string("i_") + name, name));
    heal(name);
  }
  EXPECT_EQ(executed_count(), 2u);
  EXPECT_EQ(scheduler->open_breakers(), (Names{"attempts"}));
  EXPECT_EQ(records_of("decision_breaker").size(), 1u);
}

TEST_F(ScheduleTest, OpensABreakerWhenTooMuchOfTheFleetIsInRemediation) {
  config.breakers.fleet_fraction_max = 0.2;  // of 9 services: 1, but not under 2
  for (auto& playbook : playbooks) playbook.concurrency_max = 9;
  for (const char* name : {"s1", "s2", "s3"}) {
    topology.upsert({name, "core", {}, 1, core::Criticality::kLow});
  }
  start();
  for (const char* name : {"s1", "s2", "s3"}) ready(incident(std::string("i_") + name, name));
  EXPECT_EQ(executed_count(), 2u);
  EXPECT_EQ(scheduler->open_breakers(), (Names{"fleet"}));
}

TEST_F(ScheduleTest, HoldsConcurrencyOfAPlaybook) {
  for (const char* name : {"s1", "s2"}) {
    topology.upsert({name, "core", {}, 1, core::Criticality::kLow});
  }
  start();
  ready(incident("i_s1", "s1"));
  ready(incident("i_s2", "s2"));
  EXPECT_EQ(executed_count(), 1u);
  EXPECT_EQ(scheduler->executing_count(), 1u);
  heal("s1");
  pass(seconds{1});
  EXPECT_EQ(executed_count(), 2u);
}

TEST_F(ScheduleTest, AsksAPersonWhenPoliciesAreGivenAndNoneMatches) {
  Policy policy;
  policy.place = {"grace.toml", 3};
  policy.name = "web_only";
  policy.service = "web_*";
  policy.verdict = Verdict::kAllow;
  config.trust.policies = {policy};
  start();
  ready(incident("incident_1"));
  EXPECT_EQ(last().state, RunState::kAwaitingApproval);
  EXPECT_EQ(last().reason, "needs a person: no_match");
}

TEST_F(ScheduleTest, DeniesByPolicyAndNamesTheRule) {
  Policy policy;
  policy.place = {"grace.toml", 3};
  policy.name = "freeze";
  policy.verdict = Verdict::kDeny;
  config.trust.policies = {policy};
  start();
  ready(incident("incident_1"));
  EXPECT_EQ(states(), (Names{"proposed", "denied"}));
  EXPECT_EQ(last().reason, "denied by freeze");
  EXPECT_EQ(executed_count(), 0u);
}

TEST(ScheduleConfig, NamesTheFieldThatIsOutsideItsRange) {
  ScheduleConfig config;
  EXPECT_TRUE(validated(config).has_value());
  config.executing_max = 100;
  const auto bad = validated(config);
  ASSERT_FALSE(bad.has_value());
  EXPECT_NE(bad.error().message.find("schedule.executing_max: 100"), std::string::npos);
  config = {};
  config.backoff_first = minutes{200};
  EXPECT_FALSE(validated(config).has_value());
  config = {};
  config.limits.exec_allowed = {"bin/act"};
  EXPECT_FALSE(validated(config).has_value());
}

}  // namespace
}  // namespace grace::schedule
