// A restart at every record: whatever the ledger holds, nothing is done twice and nothing hangs.
#include "schedule_fixture.h"

namespace grace::schedule {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class RecoveryTest : public ScheduleTest {
 protected:
  RecoveryTest() {
    Playbook& playbook = playbooks[0];
    playbook.steps.clear();
    for (const char* name : {"a", "b"}) {
      StepSpec step;
      step.name = name;
      step.action = exec_of({"/usr/bin/act", name, "{service}"});
      step.rollback = exec_of({"/usr/bin/undo", name});
      playbook.steps.push_back(step);
    }
  }
  [[nodiscard]] std::size_t count_until(std::string_view action, std::string_view result,
                                        std::size_t nth = 1) const {
    for (std::size_t i = 0; i < log.records.size(); ++i) {
      if (log.records[i].action == action && log.records[i].result == result && --nth == 0) {
        return i + 1;
      }
    }
    ADD_FAILURE() << "no record " << action << " " << result;
    return 0;
  }
  [[nodiscard]] std::size_t commands_with(std::string_view program, std::string_view name) const {
    return static_cast<std::size_t>(
        std::count_if(executor.commands.begin(), executor.commands.end(), [&](const auto& command) {
          return command.argv[0] == program && command.argv[1] == name;
        }));
  }
};

TEST_F(RecoveryTest, FailsARunThatDiedInsideAStepAndUndoesIt) {
  start();
  ready(incident("incident_1"));
  restart_after(count_until("playbook_step", "started", 2));  // inside b
  EXPECT_EQ(states(), (Names{"failed", "rolling_back", "rolled_back"}));
  EXPECT_EQ(listener.changes[0].reason, "the engine restarted during b");
  EXPECT_TRUE(listener.changes[0].settles);
  EXPECT_EQ(commands_with("/usr/bin/act", "a"), 0u);
  EXPECT_EQ(commands_with("/usr/bin/act", "b"), 0u);
  EXPECT_EQ(executor.commands[0].argv[1], "b");  // it may have had its effect
  EXPECT_EQ(executor.commands[1].argv[1], "a");
}

TEST_F(RecoveryTest, RepeatsAStepThatSaysItMayBeRepeated) {
  playbooks[0].steps[1].idempotent = true;
  start();
  ready(incident("incident_1"));
  restart_after(count_until("playbook_step", "started", 2));
  ASSERT_EQ(executed_count(), 1u);
  EXPECT_EQ(executor.commands[0].argv, (Names{"/usr/bin/act", "b", "api_service"}));
  heal();
  EXPECT_EQ(last().state, RunState::kSucceeded);
}

TEST_F(RecoveryTest, GoesOnBetweenTwoSteps) {
  start();
  ready(incident("incident_1"));
  restart_after(count_until("playbook_step", "succeeded", 1));
  ASSERT_EQ(executed_count(), 1u);
  EXPECT_EQ(executor.commands[0].argv[1], "b");
}

TEST_F(RecoveryTest, StartsAnApprovedRunThatHadNotBegun) {
  start();
  ready(incident("incident_1"));
  restart_after(count_until("playbook_run", "approved"));
  EXPECT_EQ(executed_count(), 0u);
  pass(seconds{1});
  EXPECT_EQ(executed_count(), 2u);
}

TEST_F(RecoveryTest, KeepsARequestAndItsExpiry) {
  start();
  ready(incident("incident_1", "auth_service"));
  const auto run_id = last().run_id;
  restart_after(log.records.size());
  ASSERT_NE(scheduler->find(run_id), nullptr);
  EXPECT_EQ(scheduler->find(run_id)->blast_radius, 3u);
  pass(minutes{29});
  EXPECT_TRUE(scheduler->approve(run_id, "alice", "", next()));
  EXPECT_EQ(commands_with("/usr/bin/act", "a"), 1u);
  EXPECT_EQ(executor.commands[0].argv[2], "auth_service");
}

TEST_F(RecoveryTest, ExpiresARequestWhoseTimePassedWhileTheEngineWasDown) {
  start();
  ready(incident("incident_1", "auth_service"));
  const auto run_id = last().run_id;
  now_ns += 31 * kNsPerMinute;
  restart_after(log.records.size());
  EXPECT_FALSE(scheduler->approve(run_id, "alice", "", next()));
  EXPECT_EQ(executed_count(), 0u);
}

TEST_F(RecoveryTest, DeniesARunThatNobodyHadDecidedOn) {
  start();
  ready(incident("incident_1"));
  restart_after(count_until("playbook_run", "proposed"));
  EXPECT_EQ(last().state, RunState::kDenied);
  pass(minutes{1});
  EXPECT_EQ(executed_count(), 0u);
}

TEST_F(RecoveryTest, DoesNotContinueAcrossAChangeOfThePlaybook) {
  start();
  ready(incident("incident_1"));
  playbooks[0].steps[1].action.argv.push_back("--other");
  restart_after(count_until("playbook_step", "succeeded", 1));
  EXPECT_EQ(states(), (Names{"failed"}));
  EXPECT_EQ(executed_count(), 0u);
}

TEST_F(RecoveryTest, FinishesARollbackWithoutRepeatingIt) {
  executor.exit_codes[1] = 1;
  start();
  ready(incident("incident_1"));
  EXPECT_EQ(last().state, RunState::kRolledBack);
  restart_after(count_until("playbook_run", "failed"));
  EXPECT_EQ(states(), (Names{"rolling_back", "rolled_back"}));
  EXPECT_EQ(commands_with("/usr/bin/undo", "a"), 1u);
  restart_after(count_until("playbook_step", "started", 3));  // inside the undoing of a
  EXPECT_EQ(last().state, RunState::kFailed);
  EXPECT_NE(last().reason.find("the engine restarted during rollback of a"), std::string::npos);
  EXPECT_FALSE(last().settles);
  EXPECT_EQ(executed_count(), 0u);
}

TEST_F(RecoveryTest, VerifiesAgainstTheDeadlineItHad) {
  start();
  ready(incident("incident_1"));
  now_ns += 300 * kNsPerSecond;
  restart_after(log.records.size());
  EXPECT_EQ(scheduler->executing_count(), 1u);
  pass(seconds{299});
  EXPECT_EQ(scheduler->executing_count(), 1u);
  pass(seconds{1});
  EXPECT_EQ(last().state, RunState::kRolledBack);
}

TEST_F(RecoveryTest, StaysPaused) {
  start();
  scheduler->pause("alice", "", next());
  restart_after(log.records.size());
  EXPECT_TRUE(scheduler->paused());
  ready(incident("incident_1"));
  EXPECT_EQ(executed_count(), 0u);
  scheduler->resume("alice", "", next());
  restart_after(log.records.size());
  EXPECT_FALSE(scheduler->paused());
}

TEST_F(RecoveryTest, KeepsBreakersBackoffCooldownAndHourlyCount) {
  for (const char* name : {"s1", "s2", "s3", "s4"}) {
    topology.upsert({name, "core", {}, 1, core::Criticality::kLow});
  }
  executor.exit_codes[0] = 1;
  start();
  for (const char* name : {"s1", "s2", "s3"}) ready(incident(std::string("i_") + name, name));
  ASSERT_EQ(scheduler->open_breakers().size(), 1u);
  restart_after(log.records.size());
  EXPECT_EQ(scheduler->open_breakers(), (Names{"playbook:scale_up_instances"}));
  ready(incident("again", "s1"));
  EXPECT_NE(records_of("decision_proposal").back()->payload.find("\"rule\":\"backoff\""),
            std::string::npos);
  auto other = incident("other", "s1");
  other.diagnosis_code = "another";
  ready(other);
  EXPECT_NE(records_of("decision_proposal").back()->payload.find("cools down"), std::string::npos);
}

// The strongest promise: crash after any record, and no step that may have begun is begun again.
TEST_F(RecoveryTest, NeverStartsAStepTwiceWhereverItCrashes) {
  executor.exit_codes[1] = 1;  // a succeeds, b fails, a is undone: every kind of record
  start();
  ready(incident("incident_1"));
  const auto whole = log.records;
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    log.records = whole;
    std::map<std::string, int> started;
    for (std::size_t i = 0; i < cut; ++i) {
      if (whole[i].action != "playbook_step" || whole[i].result != "started") continue;
      const auto at = whole[i].payload.find("\"step\":");
      ++started[whole[i].payload.substr(at, whole[i].payload.find(',', at) - at)];
    }
    restart_after(cut);
    pass(minutes{1});
    for (const auto& command : executor.commands) {
      ++started["\"step\":" + std::to_string(command.step_index)];
    }
    for (const auto& [step, count] : started) EXPECT_LE(count, 1) << step << " cut at " << cut;
    for (const auto& run : scheduler->runs()) {
      EXPECT_TRUE(run.ended) << "cut at " << cut << ": " << core::to_string(run.state);
    }
  }
}

TEST_F(RecoveryTest, IgnoresRecordsOfOthersAndDamage) {
  start();
  scheduler->recover({1, "x", "playbook_run", "s", "other", "executing", "{}"});
  scheduler->recover({1, "x", "playbook_run", "s", "self_heal", "executing", "{\"run_id\":"});
  scheduler->recover({1, "x", "playbook_run", "s", "self_heal", "exploded", "{\"run_id\":\"r\"}"});
  scheduler->recover({1, "x", "playbook_step", "s", "self_heal", "started", "[]"});
  scheduler->recovered(now());
  EXPECT_TRUE(scheduler->runs().empty());
}

}  // namespace
}  // namespace grace::schedule
