// From incident to outcome: what is proposed, executed, verified and undone, and when not.
#include "schedule_fixture.h"

namespace grace::schedule {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TEST_F(ScheduleTest, HealsALowRiskIncidentByItself) {
  start();
  ready(incident("incident_1"));
  EXPECT_EQ(executed_count(), 1u);
  EXPECT_EQ(executor.commands[0].argv, (Names{"/usr/bin/act", "api_service"}));
  heal();
  EXPECT_EQ(states(), (Names{"proposed", "approved", "executing", "verifying", "succeeded"}));
  EXPECT_EQ(last().approved_by, "auto_approval");
  EXPECT_EQ(last().blast_radius, 1u);
  EXPECT_TRUE(last().settles);
  EXPECT_TRUE(last().ended);
}

TEST_F(ScheduleTest, RecordsEachChangeBeforeItsEffect) {
  start();
  std::string newest_at_command;
  executor.on_command = [&](const core::StepCommand&) {
    newest_at_command = log.records.back().action + " " + log.records.back().result;
    const auto runs = records_of("playbook_run");
    EXPECT_EQ(runs.back()->result, "executing");
  };
  listener.on_change = [&](const core::PlaybookRun& run, const Moment&) {
    const auto runs = records_of("playbook_run");
    const bool recorded = std::any_of(runs.begin(), runs.end(), [&](const KeptRecord* record) {
      return record->result == core::to_string(run.state);
    });
    EXPECT_TRUE(recorded) << core::to_string(run.state);
  };
  ready(incident("incident_1"));
  EXPECT_EQ(newest_at_command, "playbook_step started");
  heal();
  EXPECT_EQ(listener.changes.size(), records_of("playbook_run").size());
}

TEST_F(ScheduleTest, WritesRunAndDecisionRecordsThatOthersRelyOn) {
  start();
  ready(incident("incident_1"));
  const auto* run = records_of("playbook_run")[0];
  EXPECT_EQ(run->result, "proposed");
  EXPECT_EQ(run->resource, "api_service");
  for (const char* field :
       {"\"run_id\":\"run_", "\"incident_id\":\"incident_1\"",
        "\"playbook\":\"scale_up_instances\"", "\"service\":\"api_service\"", "\"blast_radius\":1",
        "\"risk\":\"low\"", "\"requested_by\":\"intelligent_triggers\"", "\"reason\":"}) {
    EXPECT_NE(run->payload.find(field), std::string::npos) << field << " in " << run->payload;
  }
  const auto decisions = records_of("decision_approval");
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_EQ(decisions[0]->actor, "trust_core");
  EXPECT_EQ(decisions[0]->result, "allow");
  for (const char* field : {"\"decision_type\":\"approval\"", "\"rule\":\"auto_approval\"",
                            "\"reasoning\":[", "\"confidence\":0.9"}) {
    EXPECT_NE(decisions[0]->payload.find(field), std::string::npos) << field;
  }
}

TEST_F(ScheduleTest, ProposesOneRunForAnIncidentInProgress) {
  start();
  ready(incident("incident_1"));
  auto changed = incident("incident_1");
  changed.suggested_playbooks = {"warm_cache", "scale_up_instances"};
  scheduler->on_incident_update(changed, next());
  pass(seconds{30});
  EXPECT_EQ(records_of("decision_approval").size(), 1u);
  EXPECT_EQ(executed_count(), 1u);
}

TEST_F(ScheduleTest, LetsAnotherIncidentOfTheServiceWait) {
  start();
  ready(incident("incident_1"));
  ready(incident("incident_2"));
  EXPECT_EQ(executed_count(), 1u);
  ASSERT_EQ(records_of("decision_proposal").size(), 1u);
  EXPECT_NE(records_of("decision_proposal")[0]->payload.find("service_busy"), std::string::npos);
}

TEST_F(ScheduleTest, ProposesAtMostThreeAnHourForAService) {
  for (auto& playbook : playbooks) playbook.cooldown = seconds{0};
  start();
  for (int i = 0; i < 5; ++i) {
    auto one = incident("incident_" + std::to_string(i));
    one.diagnosis_code = "code_" + std::to_string(i);  // so that no backoff hides the limit
    ready(one);
    heal();
    one.state = core::IncidentState::kHealed;
    if (i < 3) scheduler->on_incident_update(one, next());
  }
  EXPECT_EQ(executed_count(), 3u);
  EXPECT_NE(records_of("decision_proposal")[0]->payload.find("proposals_per_hour"),
            std::string::npos);
  // The fourth has its turn when the first proposal leaves the hour, and not a minute before.
  pass(minutes{54});
  EXPECT_EQ(executed_count(), 3u);
  pass(minutes{2});
  EXPECT_EQ(executed_count(), 4u);
}

TEST_F(ScheduleTest, BacksOffAfterFailuresAndComesBack) {
  for (auto& playbook : playbooks) playbook.cooldown = seconds{0};
  config.breakers.consecutive_failures_max = 0;
  config.proposals_per_hour_max = 100;
  executor.exit_codes[0] = 3;
  start();
  ready(incident("incident_1"));
  EXPECT_EQ(states(), (Names{"proposed", "approved", "executing", "failed"}));
  // 5 minutes, less up to a tenth by hash; then twice that.
  pass(minutes{4} + seconds{29});
  EXPECT_EQ(executed_count(), 1u);
  pass(seconds{31});
  EXPECT_EQ(executed_count(), 2u);
  pass(minutes{8} + seconds{59});
  EXPECT_EQ(executed_count(), 2u);
  pass(seconds{61});
  EXPECT_EQ(executed_count(), 3u);
}

TEST_F(ScheduleTest, ForgetsTheBackoffAfterAVerifiedSuccess) {
  for (auto& playbook : playbooks) playbook.cooldown = seconds{0};
  config.proposals_per_hour_max = 100;
  start();
  executor.exit_codes[0] = 1;
  ready(incident("incident_1"));
  pass(minutes{5});
  EXPECT_EQ(executed_count(), 2u);  // failed again: the next backoff is twice as long
  executor.exit_codes.clear();
  pass(minutes{10});
  heal();
  EXPECT_EQ(last().state, RunState::kSucceeded);
  executor.exit_codes[0] = 1;
  ready(incident("incident_2"));
  EXPECT_EQ(executed_count(), 4u);
  pass(minutes{5});
  EXPECT_EQ(executed_count(), 5u);  // one failure in a row, not four
}

// Keyed on what repeats: a cooldown on incident or run ids would never hold anybody back.
TEST_F(ScheduleTest, CoolsDownByPlaybookAndServiceNotByIncident) {
  topology.upsert({"other", "core", {}, 1, core::Criticality::kLow});
  start();
  ready(incident("incident_1"));
  heal();
  EXPECT_EQ(last().state, RunState::kSucceeded);
  ready(incident("incident_2"));
  EXPECT_EQ(executed_count(), 1u);
  EXPECT_NE(records_of("decision_proposal")[0]->payload.find("cools down"), std::string::npos);
  ready(incident("incident_3", "other"));
  EXPECT_EQ(executed_count(), 2u);
  heal("other");
  pass(seconds{540});
  EXPECT_EQ(executed_count(), 3u);
}

TEST_F(ScheduleTest, TakesTheNextSuggestionWhenTheFirstCannotBeUsed) {
  start();
  auto one = incident("incident_1");
  one.suggested_playbooks = {"unheard_of", "warm_cache", "scale_up_instances"};
  ready(one);
  EXPECT_EQ(last().playbook, "warm_cache");
}

TEST_F(ScheduleTest, SaysWhyNoPlaybookCanBeUsed) {
  start();
  auto one = incident("incident_1");
  one.suggested_playbooks = {"unheard_of"};
  ready(one);
  pass(minutes{5});
  ASSERT_EQ(records_of("decision_proposal").size(), 1u) << "recorded once, not at each tick";
  const auto& payload = records_of("decision_proposal")[0]->payload;
  EXPECT_NE(payload.find("\"rule\":\"no_playbook\""), std::string::npos);
  EXPECT_NE(payload.find("unheard_of is not configured"), std::string::npos);
}

TEST_F(ScheduleTest, TriesAnotherPlaybookBeforeTheOneThatFailed) {
  config.proposals_per_hour_max = 100;
  start();
  executor.exit_codes[0] = 1;
  auto one = incident("incident_1");
  one.suggested_playbooks = {"scale_up_instances", "warm_cache"};
  ready(one);
  EXPECT_EQ(last().playbook, "scale_up_instances");
  pass(minutes{5});
  EXPECT_EQ(last().playbook, "warm_cache");
}

TEST_F(ScheduleTest, NeverLetsAHostileServiceNameReachACommand) {
  start();
  for (const char* evil : {"; rm -rf /", "$(reboot)", "a\nb", "-x"}) {
    ready(incident(std::string("incident_") + evil, evil));
  }
  EXPECT_EQ(executed_count(), 0u);
  EXPECT_EQ(records_of("playbook_run").size(), 0u);
  ASSERT_EQ(records_of("decision_proposal").size(), 4u);
  for (const auto* record : records_of("decision_proposal")) {
    EXPECT_NE(record->payload.find("does not match"), std::string::npos) << record->payload;
  }
}

TEST_F(ScheduleTest, FailsWhenTheStreamDoesNotHeal) {
  start();
  ready(incident("incident_1"));
  for (int i = 0; i < 9; ++i) {
    pass(seconds{60});
    observe("api_service", 6.0);
  }
  EXPECT_EQ(last().state, RunState::kVerifying);
  pass(seconds{60});
  EXPECT_EQ(last().state, RunState::kFailed);
  EXPECT_NE(last().reason.find("latency_ms=120 violates in_range 3"), std::string::npos)
      << last().reason;
  EXPECT_TRUE(last().settles);
}

TEST_F(ScheduleTest, FailsWhenTheStreamIsSilent) {
  start();
  ready(incident("incident_1"));
  pass(seconds{600});
  EXPECT_EQ(last().state, RunState::kFailed);
  EXPECT_NE(last().reason.find("no data to verify"), std::string::npos);
}

class RollbackTest : public ScheduleTest {
 protected:
  RollbackTest() {
    Playbook& playbook = playbooks[0];
    playbook.steps.clear();
    for (const char* name : {"a", "b", "c"}) {
      StepSpec step;
      step.name = name;
      step.action = exec_of({"/usr/bin/act", name});
      if (std::string(name) != "b") step.rollback = exec_of({"/usr/bin/undo", name});
      playbook.steps.push_back(step);
    }
  }
  [[nodiscard]] Names commands() const {
    Names names;
    for (const auto& command : executor.commands) {
      names.push_back((command.argv[0] == "/usr/bin/undo" ? "undo " : "") + command.argv[1]);
    }
    return names;
  }
};

TEST_F(RollbackTest, UndoesDoneStepsInReverseAfterAFailedStep) {
  executor.exit_codes[2] = 9;
  start();
  ready(incident("incident_1"));
  // c failed, so it is not undone; b has nothing to undo.
  EXPECT_EQ(commands(), (Names{"a", "b", "c", "undo a"}));
  EXPECT_EQ(states(),
            (Names{"proposed", "approved", "executing", "failed", "rolling_back", "rolled_back"}));
  int settled = 0;
  for (const auto& change : listener.changes) settled += change.settles ? 1 : 0;
  EXPECT_EQ(settled, 1);
  EXPECT_FALSE(listener.changes[3].ended);
  EXPECT_TRUE(last().ended);
}

TEST_F(RollbackTest, UndoesEverythingAfterAFailedVerification) {
  start();
  ready(incident("incident_1"));
  pass(seconds{600});
  EXPECT_EQ(commands(), (Names{"a", "b", "c", "undo c", "undo a"}));
  EXPECT_EQ(last().state, RunState::kRolledBack);
}

TEST_F(RollbackTest, UndoesAStepThatWasKilledInItsMiddle) {
  executor.timed_out[2] = true;
  start();
  ready(incident("incident_1"));
  EXPECT_EQ(commands(), (Names{"a", "b", "c", "undo c", "undo a"}));
}

TEST_F(RollbackTest, GoesOnUndoingAndSaysWhatItCouldNotUndo) {
  executor.exit_codes[core::kRollbackStepBase + 2] = 1;
  start();
  ready(incident("incident_1"));
  pass(seconds{600});
  EXPECT_EQ(commands(), (Names{"a", "b", "c", "undo c", "undo a"}));
  EXPECT_EQ(last().state, RunState::kFailed);
  EXPECT_NE(last().reason.find("rollback of c exit code 1"), std::string::npos) << last().reason;
  int settled = 0;
  for (const auto& change : listener.changes) settled += change.settles ? 1 : 0;
  EXPECT_EQ(settled, 1);
}

TEST_F(ScheduleTest, DoesOneStepAtATimeAndIgnoresRepeatedResults) {
  StepSpec second = playbooks[0].steps[0];
  second.action.argv.push_back("second");
  playbooks[0].steps.push_back(second);
  executor.held = true;
  start();
  ready(incident("incident_1"));
  pass(seconds{5});
  ASSERT_EQ(executed_count(), 1u);
  const auto first = executor.result_of(executor.commands[0]);
  scheduler->on_step_result(first, next());
  ASSERT_EQ(executed_count(), 2u);
  scheduler->on_step_result(first, next());  // the same once more
  auto unknown = first;
  unknown.run_id = "run_unknown";
  scheduler->on_step_result(unknown, next());
  EXPECT_EQ(executed_count(), 2u);
  EXPECT_EQ(last().state, RunState::kExecuting);
  EXPECT_EQ(scheduler->ignored_result_count(), 2u);
  answer_last_step(true);
  EXPECT_EQ(last().state, RunState::kVerifying);
}

TEST_F(ScheduleTest, FailsAStepWhoseResultNeverComes) {
  executor.held = true;
  start();
  ready(incident("incident_1"));
  pass(minutes{10} + seconds{29});  // 30 s of its own and 10 minutes of grace
  EXPECT_EQ(last().state, RunState::kExecuting);
  pass(seconds{1});
  EXPECT_EQ(last().state, RunState::kFailed);
  answer_last_step(true);
  EXPECT_EQ(last().state, RunState::kFailed);
  EXPECT_EQ(scheduler->ignored_result_count(), 1u);
}

TEST_F(ScheduleTest, FailsARunWhoseStepTheExecutorRefuses) {
  executor.held = true;
  executor.refuse = true;
  start();
  ready(incident("incident_1"));
  EXPECT_EQ(last().state, RunState::kFailed);
  EXPECT_NE(last().reason.find("did not accept"), std::string::npos);
}

TEST_F(ScheduleTest, ProbesUntilTheProbeSucceeds) {
  playbooks[0].verification->checks.clear();
  playbooks[0].verification->probe = exec_of({"/usr/bin/act", "probe"});
  executor.exit_codes[core::kProbeStepIndex] = 1;
  start();
  ready(incident("incident_1"));
  EXPECT_EQ(executed_count(), 2u);
  pass(seconds{30});
  EXPECT_EQ(executed_count(), 3u);
  EXPECT_EQ(last().state, RunState::kVerifying);
  executor.exit_codes.clear();
  pass(seconds{29});
  EXPECT_EQ(executed_count(), 3u);
  pass(seconds{1});
  EXPECT_EQ(last().state, RunState::kSucceeded);
}

TEST_F(ScheduleTest, ReportsADiagnosisAndThenHeals) {
  start();
  auto one = incident("incident_1", "auth_service");  // three dependents: over the limit
  one.suggested_playbooks = {"investigate_root_cause", "warm_cache"};
  ready(one);
  EXPECT_EQ(last().state, RunState::kSucceeded);
  EXPECT_TRUE(last().diagnostic);
  EXPECT_EQ(last().blast_radius, 0u);
  const auto& payload = records_of("playbook_step").back()->payload;
  for (const char* part :
       {"\"probable_root_cause\":\"auth_service\"", "\"dependents\":[\"one\",\"three\",\"two\"]",
        "\"source\":\"proactive_ml\"", "\"log_odds\":2.2"}) {
    EXPECT_NE(payload.find(part), std::string::npos) << part << " in " << payload;
  }
  pass(seconds{1});
  EXPECT_EQ(last().playbook, "warm_cache");
  EXPECT_EQ(last().state, RunState::kAwaitingApproval);
}

TEST_F(ScheduleTest, HandsThresholdsAndEventsToThePipeline) {
  StepSpec emit;
  emit.action.kind = core::StepKind::kEmit;
  emit.action.event_type = "meta_loop.directive";
  playbooks[0].steps.push_back(emit);
  start();
  auto one = incident("incident_1");
  one.suggested_playbooks = {"adjust_threshold"};
  ready(one);
  EXPECT_EQ(builtins.adjusted.size(), 1u);
  EXPECT_EQ(last().state, RunState::kSucceeded);
  ready(incident("incident_2"));
  EXPECT_EQ(builtins.emitted, (Names{"meta_loop.directive"}));
  EXPECT_EQ(last().state, RunState::kVerifying);
}

TEST_F(ScheduleTest, GivesTheWorstIncidentTheFirstTurn) {
  for (const char* name : {"mild", "grave"}) {
    topology.upsert({name, "core", {}, 1, core::Criticality::kLow});
  }
  start();
  scheduler->pause("alice", "", next());
  auto mild = incident("incident_1", "mild");
  mild.impact = core::Impact::kLow;
  auto grave = incident("incident_2", "grave");
  grave.impact = core::Impact::kCritical;
  ready(mild);
  ready(grave);
  scheduler->resume("alice", "", next());
  pass(seconds{1});
  ASSERT_GE(executed_count(), 1u);
  EXPECT_EQ(executor.commands[0].argv[1], "grave");
}

TEST_F(ScheduleTest, LetsAListenerCallBackIn) {
  start();
  listener.on_change = [&](const core::PlaybookRun& run, const Moment& moment) {
    if (run.state != RunState::kSucceeded) return;
    auto healed = incident(run.incident_id);
    healed.state = core::IncidentState::kHealed;
    scheduler->on_incident_update(healed, moment);
    scheduler->on_incident_ready(incident("incident_2"), moment);
  };
  ready(incident("incident_1"));
  heal();
  EXPECT_EQ(scheduler->runs().size(), 1u);
  EXPECT_EQ(records_of("decision_proposal").size(), 1u);  // incident_2: cooling down
}

TEST_F(ScheduleTest, IsAFunctionOfItsInput) {
  const auto day = [&] {
    log.records.clear();
    executor.commands.clear();
    listener.changes.clear();
    sequence = 100;
    now_ns = kStartNs;
    start();
    for (int i = 0; i < 40; ++i) {
      executor.exit_codes[0] = i % 3 == 0 ? 1 : 0;
      ready(incident("incident_" + std::to_string(i), i % 2 == 0 ? "api_service" : "one"));
      pass(seconds{97});
      observe(i % 2 == 0 ? "api_service" : "one", i % 5 == 0 ? 9.0 : 0.1);
      if (i % 7 == 0) scheduler->acknowledge("*", "alice", next());
    }
    std::string all;
    for (const auto& record : log.records) {
      all += record.action + record.result + record.payload + std::to_string(record.ts_ns) + "\n";
    }
    return all;
  };
  const std::string first = day();
  EXPECT_GT(records_of("playbook_run").size(), 20u);
  EXPECT_EQ(first, day());
}

TEST_F(ScheduleTest, KeepsItsTablesWithinTheirBounds) {
  config.incidents_max = 5;
  config.history_max = 3;
  for (int i = 0; i < 20; ++i) {
    topology.upsert({"s" + std::to_string(i), "core", {}, 1, core::Criticality::kLow});
  }
  config.breakers.attempts_per_hour_max = 0;
  start();
  for (int i = 0; i < 20; ++i) {
    const std::string service = "s" + std::to_string(i);
    ready(incident("incident_" + service, service));
    heal(service);
    if (i % 4 != 0) continue;
    auto healed = incident("incident_" + service, service);
    healed.state = core::IncidentState::kHealed;
    scheduler->on_incident_update(healed, next());
  }
  EXPECT_GT(scheduler->refused_count(), 0u);
  EXPECT_LE(scheduler->runs().size(), 3u);
}

}  // namespace
}  // namespace grace::schedule
