#include "grace/correlate/correlator.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grace/core/time.h"

namespace grace::correlate {
namespace {

using core::kNsPerMinute;
using core::kNsPerSecond;
using core::Source;
using core::TriggerType;

constexpr std::int64_t kStart = 1'736'950'000 * kNsPerSecond;

class CorrelatorTest : public ::testing::Test {
 protected:
  CorrelatorTest() {
    // web, shop -> api -> db -> disk; lonely on its own.
    topology.upsert({"web", "edge", {"api"}});
    topology.upsert({"shop", "edge", {"api"}});
    topology.upsert({"api", "core", {"db"}});
    topology.upsert({"db", "data", {"disk"}});
    topology.upsert({"disk", "data", {}});
    topology.upsert({"lonely", "other", {}});
  }

  // A trigger at a second after the start.
  core::Trigger trigger(TriggerType type, std::string service, double confidence,
                        std::int64_t second = 0, std::string what = "thing") {
    core::Trigger result;
    result.source = core::source_of(type);
    result.finding.type = type;
    result.finding.service = std::move(service);
    result.finding.diagnosis_code = "diagnosis";
    result.finding.what = std::move(what);
    result.finding.confidence = result.confidence = confidence;
    result.finding.ts_ns = result.created_ts_ns = kStart + second * kNsPerSecond;
    result.sequence = ++sequence;
    result.finding.evidence = {{sequence, result.created_ts_ns, "event"}};
    result.fingerprint = fingerprint_of(result.finding);
    result.trigger_id = trigger_id_of(result.finding, sequence, 0);
    return result;
  }
  core::Trigger weak(TriggerType type, std::string service, double confidence,
                     std::int64_t second = 0) {
    core::Trigger result = trigger(type, std::move(service), confidence, second, "weak thing");
    result.weak = true;
    return result;
  }
  // Adds and gives the incident, empty when it only waits.
  std::string add(core::Trigger trigger) {
    changes.clear();
    correlator->add(trigger, changes);
    return trigger.incident_id;
  }
  void tick(std::int64_t second) {
    changes.clear();
    correlator->on_tick(kStart + second * kNsPerSecond, changes);
  }
  void run(const std::string& incident_id, core::RunState state, bool diagnostic = false) {
    core::PlaybookRun run;
    run.run_id = "run_1";
    run.incident_id = incident_id;
    run.playbook = diagnostic ? "investigate_root_cause" : "restart_service";
    run.state = state;
    run.diagnostic = diagnostic;
    changes.clear();
    correlator->on_run(run, changes);
  }
  [[nodiscard]] const core::Incident& incident(const std::string& incident_id) const {
    const core::Incident* const found = correlator->find(incident_id);
    EXPECT_NE(found, nullptr);
    return *found;
  }
  [[nodiscard]] std::size_t ready_at(std::int64_t second) const {
    return correlator->ready(kStart + second * kNsPerSecond).size();
  }
  void configure(CorrelateConfig config) {
    correlator = std::make_unique<Correlator>(*validated(config), topology, learned);
  }

  std::uint64_t sequence = 100;
  core::Topology topology;
  core::LearnedState learned;
  std::unique_ptr<Correlator> correlator =
      std::make_unique<Correlator>(CorrelateConfig{}, topology, learned);
  std::vector<IncidentChange> changes;
};

TEST_F(CorrelatorTest, FingerprintKnowsTheProblemNotItsOccurrence) {
  core::Trigger first = trigger(TriggerType::kPatternDetected, "auth", 0.88, 0, "auth_validate");
  core::Trigger again = trigger(TriggerType::kPatternDetected, "auth", 0.95, 500, "auth_validate");
  again.finding.evidence = {{999, 1, "trace 7f3a"}, {1000, 2, "trace 9c1b"}};
  again.finding.metadata = {{"request_id", "\"b2c4\""}};
  again.finding.reasoning = {"12 times"};
  again.finding.upstream_id = "upstream_77";
  EXPECT_EQ(fingerprint_of(first.finding), fingerprint_of(again.finding));
  EXPECT_NE(first.trigger_id, again.trigger_id);
  for (const auto change : {0, 1, 2, 3}) {
    core::Finding other = first.finding;
    if (change == 0) other.service = "auth2";
    if (change == 1) other.diagnosis_code = "other";
    if (change == 2) other.what = "auth_login";
    if (change == 3) other.type = TriggerType::kHealthDegradation;  // another source
    EXPECT_NE(fingerprint_of(first.finding), fingerprint_of(other)) << change;
  }
}

TEST_F(CorrelatorTest, TriggerIdsComeFromContentAndNameTheType) {
  const core::Trigger said = trigger(TriggerType::kAnomalyForecast, "api", 0.87);
  EXPECT_EQ(said.trigger_id.substr(0, 12), "ml_forecast_");
  EXPECT_EQ(said.trigger_id.size(), 12u + 16u);
  EXPECT_EQ(trigger_id_of(said.finding, said.sequence, 0), said.trigger_id);
  EXPECT_NE(trigger_id_of(said.finding, said.sequence + 1, 0), said.trigger_id);
  EXPECT_NE(trigger_id_of(said.finding, said.sequence, 1), said.trigger_id);
}

TEST_F(CorrelatorTest, AgreeingSourcesShareAnIncidentAndRaiseIt) {
  const std::string opened = add(trigger(TriggerType::kPatternDetected, "auth", 0.88, 0));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].event, IncidentEvent::kOpened);
  EXPECT_EQ(add(trigger(TriggerType::kHealthDegradation, "auth", 0.85, 20)), opened);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].event, IncidentEvent::kUpdated);
  EXPECT_NEAR(incident(opened).confidence, 0.9173, 0.0001);
  EXPECT_EQ(incident(opened).trigger_ids.size(), 2u);
  EXPECT_FALSE(incident(opened).proactive_only);
}

TEST_F(CorrelatorTest, ADependencyThatIsDeclaredLaterJoinsFromThenOn) {
  const std::string opened = add(trigger(TriggerType::kHealthDegradation, "web", 0.85));
  const std::string unknown = add(trigger(TriggerType::kHealthDegradation, "new", 0.85, 1));
  EXPECT_NE(add(trigger(TriggerType::kPatternDetected, "lonely", 0.85, 2)), opened);
  topology.upsert({"lonely", "other", {"new"}});
  topology.upsert({"new", "other", {"nobody"}});
  topology.upsert({"nobody", "other", {}});
  EXPECT_EQ(add(trigger(TriggerType::kPatternDetected, "nobody", 0.85, 3)), unknown);
  topology.upsert({"web", "edge", {"fresh"}});  // and no longer api
  topology.upsert({"fresh", "edge", {}});
  EXPECT_EQ(add(trigger(TriggerType::kPatternDetected, "fresh", 0.85, 4)), opened);
  EXPECT_NE(add(trigger(TriggerType::kPatternDetected, "db", 0.85, 5)), opened);
}

TEST_F(CorrelatorTest, JoinsOverTwoHopsOfOneDependencyPathAndNoMore) {
  const std::string opened = add(trigger(TriggerType::kHealthDegradation, "web", 0.85));
  EXPECT_EQ(add(trigger(TriggerType::kPatternDetected, "db", 0.85)), opened) << "two hops";
  EXPECT_NE(add(trigger(TriggerType::kPatternDetected, "lonely", 0.85)), opened);
  const std::string disk = add(trigger(TriggerType::kAnomalySequence, "disk", 0.85));
  EXPECT_EQ(disk, opened) << "one hop from db, which has joined";
  configure({});
  const std::string fresh = add(trigger(TriggerType::kHealthDegradation, "web", 0.85));
  EXPECT_NE(add(trigger(TriggerType::kPatternDetected, "disk", 0.85)), fresh) << "three hops";
}

// A day without incidents, then one at web.
class LikenessTest : public CorrelatorTest {
 protected:
  static constexpr std::int64_t kDay = 86'400;
  LikenessTest() {
    tick(0);
    tick(kDay);
  }
  core::Trigger refused(std::string service, std::string node, std::int64_t second) {
    return trigger(TriggerType::kPatternDetected, std::move(service), 0.9, second,
                   "refused_by_node_41" + node);
  }
};

TEST_F(LikenessTest, RelatedServicesThatSayTheSameShareAnIncident) {
  const std::string opened = add(refused("web", "17", kDay));
  EXPECT_EQ(add(refused("shop", "23", kDay + 60)), opened) << "both depend on api";
  EXPECT_NE(changes.at(0).reason.find("a related service says the same"), std::string::npos);
  EXPECT_EQ(incident(opened).services, (std::vector<std::string>{"shop", "web"}));
  EXPECT_EQ(correlator->counters().joined_by_likeness, 1u);
  EXPECT_EQ(correlator->opened_count(), 1u);
}

TEST_F(LikenessTest, RelatedServicesThatSaySomethingElseStayApart) {
  const std::string opened = add(refused("web", "17", kDay));
  EXPECT_NE(add(trigger(TriggerType::kPatternDetected, "shop", 0.9, kDay + 60, "slow_disk")),
            opened);
  core::Trigger other = refused("shop", "23", kDay + 60);
  other.finding.diagnosis_code = "another";
  EXPECT_NE(add(other), opened);
  EXPECT_EQ(correlator->counters().joined_by_likeness, 0u);
}

TEST_F(LikenessTest, ServicesThatNothingJoinsStayApartWhateverTheySay) {
  const std::string opened = add(refused("web", "17", kDay));
  EXPECT_NE(add(refused("lonely", "23", kDay + 60)), opened);
  EXPECT_NE(add(refused("disk", "23", kDay + 60)), opened) << "three edges";
  EXPECT_NE(add(refused("undeclared", "23", kDay + 60)), opened);
}

TEST_F(LikenessTest, TheWindowsHoldForLikenessToo) {
  const std::string opened = add(refused("web", "17", kDay));
  EXPECT_NE(add(refused("shop", "23", kDay + 601)), opened);
}

TEST_F(LikenessTest, WhatComesAnyhowIsNoLikeness) {
  // Every five minutes of that day, seen and silenced.
  for (std::int64_t second = 0; second < kDay; second += 300) {
    EXPECT_EQ(correlator->plan(refused("shop", "23", kDay + second)), "");
  }
  const std::string opened = add(refused("web", "17", 2 * kDay));
  EXPECT_NE(add(refused("shop", "23", 2 * kDay + 60)), opened);
}

TEST_F(LikenessTest, ADependencyPathComesBeforeLikeness) {
  const std::string alike = add(refused("web", "17", kDay));
  const std::string disk = add(trigger(TriggerType::kHealthDegradation, "disk", 0.9, kDay + 5));
  ASSERT_NE(disk, alike);
  EXPECT_EQ(add(trigger(TriggerType::kHealthDegradation, "db", 0.9, kDay + 10)), disk);
  EXPECT_EQ(add(refused("shop", "23", kDay + 20)), disk) << "db is two hops away";
}

TEST_F(LikenessTest, OfEquallyNearIncidentsTheOneThatSaysTheSameIsJoined) {
  topology.upsert({"till", "edge", {"web", "shop"}});
  const std::string web = add(refused("web", "17", kDay));
  const std::string shop =
      add(trigger(TriggerType::kPatternDetected, "shop", 0.9, kDay + 60, "slow_disk"));
  ASSERT_NE(web, shop);
  EXPECT_EQ(add(refused("till", "55", kDay + 70)), web) << "though shop's is newer";
}

TEST_F(CorrelatorTest, PrefersItsOwnServiceOverANearerInTime) {
  const std::string api = add(trigger(TriggerType::kHealthDegradation, "api", 0.85, 0));
  CorrelateConfig apart;
  apart.topology_hops_max = 0;
  configure(apart);
  const std::string own = add(trigger(TriggerType::kHealthDegradation, "api", 0.85, 0));
  const std::string other = add(trigger(TriggerType::kHealthDegradation, "db", 0.85, 60));
  EXPECT_NE(own, other);
  EXPECT_EQ(add(trigger(TriggerType::kPatternDetected, "api", 0.9, 70)), own);
}

TEST_F(CorrelatorTest, JoinsAtTenMinutesAndNotLater) {
  const std::string opened = add(trigger(TriggerType::kHealthDegradation, "api", 0.85, 0));
  EXPECT_EQ(add(trigger(TriggerType::kPatternDetected, "api", 0.85, 600)), opened);
  EXPECT_NE(add(trigger(TriggerType::kAnomalySequence, "api", 0.85, 1201)), opened);
}

TEST_F(CorrelatorTest, QuietIncidentResolvesAfterThirtyMinutesAndFreesItsFingerprint) {
  const core::Trigger first = trigger(TriggerType::kHealthDegradation, "api", 0.85, 0);
  const std::string opened = add(first);
  EXPECT_TRUE(correlator->find_duplicate(first.fingerprint).has_value());
  tick(1799);
  EXPECT_TRUE(changes.empty());
  tick(1800);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].event, IncidentEvent::kResolved);
  EXPECT_EQ(changes[0].incident.state, core::IncidentState::kResolved);
  EXPECT_EQ(changes[0].incident.incident_id, opened);
  EXPECT_EQ(changes[0].incident.resolved_ts_ns, kStart + 1800 * kNsPerSecond);
  EXPECT_EQ(correlator->find(opened), nullptr);
  EXPECT_FALSE(correlator->find_duplicate(first.fingerprint).has_value());
}

TEST_F(CorrelatorTest, ARunAtWorkKeepsItsIncidentOpen) {
  const std::string opened = add(trigger(TriggerType::kHealthDegradation, "api", 0.85, 0));
  run(opened, core::RunState::kVerifying);
  tick(4000);
  EXPECT_TRUE(changes.empty());
  run(opened, core::RunState::kFailed);
  tick(4001);
  EXPECT_EQ(changes.size(), 1u);
}

TEST_F(CorrelatorTest, AVerifiedRunHealsAndADiagnosticOneDoesNot) {
  const std::string opened = add(trigger(TriggerType::kHealthDegradation, "api", 0.85, 0));
  run(opened, core::RunState::kSucceeded, /*diagnostic=*/true);
  EXPECT_TRUE(changes.empty());
  run(opened, core::RunState::kFailed);
  EXPECT_TRUE(changes.empty());
  run(opened, core::RunState::kSucceeded);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].incident.state, core::IncidentState::kHealed);
  run(opened, core::RunState::kSucceeded);
  EXPECT_TRUE(changes.empty()) << "once";
}

TEST_F(CorrelatorTest, DuplicateRaisesTheCountAndOnlyASurerOneTheConfidence) {
  const core::Trigger first = trigger(TriggerType::kPatternDetected, "api", 0.85, 0);
  const std::string opened = add(first);
  core::Trigger again = trigger(TriggerType::kPatternDetected, "api", 0.84, 60);
  ASSERT_EQ(correlator->find_duplicate(again.fingerprint)->trigger_id, first.trigger_id);
  EXPECT_FALSE(correlator->merge_duplicate(again, true).has_value());
  again.confidence = 0.93;
  EXPECT_FALSE(correlator->merge_duplicate(again, false).has_value()) << "silenced";
  EXPECT_EQ(incident(opened).confidence, 0.85);
  EXPECT_TRUE(correlator->merge_duplicate(again, true).has_value());
  EXPECT_EQ(incident(opened).confidence, 0.93);
  EXPECT_EQ(incident(opened).trigger_ids, std::vector<std::string>{first.trigger_id});
  EXPECT_EQ(incident(opened).updated_ts_ns, kStart + 60 * kNsPerSecond) << "still reported";
}

TEST_F(CorrelatorTest, WeakEvidenceOpensNothingButRaisesWhatComes) {
  EXPECT_EQ(add(weak(TriggerType::kAnomalyForecast, "api", 0.69, 0)), "");
  EXPECT_EQ(add(weak(TriggerType::kHealthDegradation, "api", 0.74, 1)), "");
  EXPECT_TRUE(correlator->open_incidents().empty()) << "weak ones among themselves do not act";
  EXPECT_EQ(correlator->weak_count(), 2u);
  const std::string opened = add(trigger(TriggerType::kPatternDetected, "api", 0.80, 60));
  EXPECT_EQ(correlator->weak_count(), 0u);
  EXPECT_EQ(incident(opened).trigger_ids.size(), 3u);
  EXPECT_GT(incident(opened).confidence, 0.82);
}

TEST_F(CorrelatorTest, WeakEvidenceIsForgottenAfterTheWindow) {
  add(weak(TriggerType::kHealthDegradation, "api", 0.74, 0));
  tick(601);
  EXPECT_EQ(correlator->weak_count(), 0u);
  EXPECT_EQ(correlator->counters().weak_expired, 1u);
  const std::string opened = add(trigger(TriggerType::kPatternDetected, "api", 0.80, 602));
  EXPECT_EQ(incident(opened).confidence, 0.80);
}

TEST_F(CorrelatorTest, WeakEvidenceNeitherSuggestsNorPullsOthersIn) {
  core::Trigger hint = weak(TriggerType::kHealthDegradation, "db", 0.74, 0);
  hint.finding.suggested_playbooks = {"drop_database"};
  hint.finding.impact = core::Impact::kCritical;
  add(hint);
  core::Trigger real = trigger(TriggerType::kPatternDetected, "web", 0.85, 1);
  real.finding.suggested_playbooks = {"restart_service"};
  const std::string opened = add(real);
  EXPECT_EQ(incident(opened).suggested_playbooks, std::vector<std::string>{"restart_service"});
  EXPECT_EQ(incident(opened).impact, core::Impact::kMedium);
  EXPECT_EQ(incident(opened).root_cause, "web");
  EXPECT_NE(add(trigger(TriggerType::kAnomalySequence, "disk", 0.85, 2)), opened)
      << "disk is near db only, and db is weak";
}

TEST_F(CorrelatorTest, WeakEvidenceThatGrowsIsNewsNotADuplicate) {
  const std::string opened = add(trigger(TriggerType::kPatternDetected, "api", 0.85, 0));
  core::Trigger hint = weak(TriggerType::kHealthDegradation, "api", 0.70, 1);
  add(hint);
  EXPECT_FALSE(correlator->find_duplicate(hint.fingerprint).has_value());
  core::Trigger grown = hint;
  grown.weak = false;
  grown.confidence = 0.9;
  grown.trigger_id = "health_grown";
  EXPECT_EQ(add(grown), opened);
  EXPECT_EQ(incident(opened).trigger_ids.size(), 2u) << "in place of the weak one";
  EXPECT_TRUE(correlator->find_duplicate(grown.fingerprint).has_value());
}

TEST_F(CorrelatorTest, GroupWaitLetsSourcesAgreeAndCriticalActsAtOnce) {
  const std::string opened = add(trigger(TriggerType::kHealthDegradation, "api", 0.85, 0));
  EXPECT_EQ(ready_at(29), 0u);
  EXPECT_EQ(ready_at(30), 1u);
  correlator->mark_announced(opened);
  EXPECT_EQ(ready_at(31), 0u) << "announced once";
  core::Trigger critical = trigger(TriggerType::kAnomalySequence, "lonely", 0.85, 40);
  critical.finding.impact = core::Impact::kCritical;
  add(critical);
  EXPECT_EQ(ready_at(40), 1u);
}

TEST_F(CorrelatorTest, AnnouncedAgainOnlyWhenItRoseAndNoRunIsUnderWay) {
  const std::string opened = add(trigger(TriggerType::kHealthDegradation, "api", 0.85, 0));
  correlator->mark_announced(opened);
  add(trigger(TriggerType::kPatternDetected, "api", 0.88, 40));
  EXPECT_EQ(ready_at(41), 1u) << "0.85 to 0.917";
  run(opened, core::RunState::kAwaitingApproval);
  EXPECT_EQ(ready_at(41), 0u);
  run(opened, core::RunState::kExpired);
  EXPECT_EQ(ready_at(42), 1u);
  correlator->mark_announced(opened);
  add(trigger(TriggerType::kPatternDetected, "api", 0.80, 50, "another"));
  EXPECT_EQ(ready_at(51), 0u) << "no rise";
}

TEST_F(CorrelatorTest, PlaybookThatBothSourcesSuggestWinsAndDiagnosticsComeLast) {
  core::Trigger log = trigger(TriggerType::kPatternDetected, "auth", 0.88, 0);
  log.finding.suggested_playbooks = {"investigate_root_cause", "rollback_flag"};
  core::Trigger spine = trigger(TriggerType::kHealthDegradation, "auth", 0.85, 1);
  spine.finding.suggested_playbooks = {"restart_service", "rollback_flag"};
  const std::string opened = add(log);
  EXPECT_EQ(incident(opened).suggested_playbooks.front(), "rollback_flag");
  add(spine);
  EXPECT_EQ(
      incident(opened).suggested_playbooks,
      (std::vector<std::string>{"rollback_flag", "restart_service", "investigate_root_cause"}));
}

TEST_F(CorrelatorTest, TiesGoByOrderOfSuggestionAndOneSourceVotesOnce) {
  core::Trigger ml = trigger(TriggerType::kAnomalyForecast, "api", 0.87, 0);
  ml.finding.suggested_playbooks = {"scale_up_instances", "warm_cache"};
  const std::string opened = add(ml);
  EXPECT_EQ(incident(opened).suggested_playbooks,
            (std::vector<std::string>{"scale_up_instances", "warm_cache"}));
  EXPECT_TRUE(incident(opened).proactive_only);
  for (int i = 0; i < 3; ++i) {  // three more of the same source: still one vote
    core::Trigger more =
        trigger(TriggerType::kDriftDetected, "api", 0.80, 1 + i, "m" + std::to_string(i));
    more.finding.suggested_playbooks = {"warm_cache"};
    add(more);
  }
  EXPECT_EQ(incident(opened).suggested_playbooks.front(), "scale_up_instances");
}

TEST_F(CorrelatorTest, RootCauseFollowsDependencyBeforeOnset) {
  core::Trigger symptom = trigger(TriggerType::kHealthDegradation, "web", 0.95, 0);
  symptom.finding.suggested_playbooks = {"restart_web"};
  core::Trigger cause = trigger(TriggerType::kPatternDetected, "db", 0.85, 30);
  cause.finding.suggested_playbooks = {"restart_db"};
  const std::string opened = add(symptom);
  EXPECT_EQ(incident(opened).root_cause, "web");
  add(cause);
  EXPECT_EQ(incident(opened).root_cause, "db");
  EXPECT_EQ(incident(opened).service, "db");
  EXPECT_EQ(incident(opened).suggested_playbooks.front(), "restart_db")
      << "what was suggested for the cause, though the symptom is surer";
  EXPECT_EQ(incident(opened).services, (std::vector<std::string>{"db", "web"}));
}

TEST_F(CorrelatorTest, WithoutDirectionTheEarliestOnsetIsTheRoot) {
  topology.upsert({"left", "d", {"right"}});
  topology.upsert({"right", "d", {"left"}});  // a cycle says nothing
  core::Trigger later = trigger(TriggerType::kHealthDegradation, "left", 0.95, 20);
  core::Trigger earlier = trigger(TriggerType::kPatternDetected, "right", 0.85, 30);
  earlier.finding.evidence = {{5, kStart - 60 * kNsPerSecond, "first error"}};
  const std::string opened = add(later);
  ASSERT_EQ(add(earlier), opened);
  EXPECT_EQ(incident(opened).root_cause, "right");
}

TEST_F(CorrelatorTest, DirectivesStandAlone) {
  const std::string opened = add(trigger(TriggerType::kHealthDegradation, "api", 0.85, 0));
  const std::string directive = add(trigger(TriggerType::kDirective, "api", 0.9, 1));
  EXPECT_NE(directive, opened);
  EXPECT_EQ(add(trigger(TriggerType::kPatternDetected, "api", 0.85, 2)), opened);
  EXPECT_EQ(incident(directive).confidence, 0.9);
}

TEST_F(CorrelatorTest, IncidentsAreBoundedAndTheQuietestMakesRoom) {
  CorrelateConfig small;
  small.incidents_max = 2;
  configure(small);
  const std::string first = add(trigger(TriggerType::kHealthDegradation, "a", 0.85, 0));
  const std::string second = add(trigger(TriggerType::kHealthDegradation, "b", 0.85, 1));
  add(trigger(TriggerType::kPatternDetected, "a", 0.85, 2));  // a is no longer the quietest
  const std::string third = add(trigger(TriggerType::kHealthDegradation, "c", 0.85, 3));
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].event, IncidentEvent::kResolved);
  EXPECT_EQ(changes[0].incident.incident_id, second);
  EXPECT_EQ(changes[1].incident.incident_id, third);
  EXPECT_NE(correlator->find(first), nullptr);
  EXPECT_EQ(correlator->counters().incidents_evicted, 1u);
}

TEST_F(CorrelatorTest, AnIncidentIsBoundedAndWeakEvidenceLeavesRoom) {
  CorrelateConfig small;
  small.triggers_per_incident_max = 4;
  small.weak_max = 2;
  configure(small);
  for (int i = 0; i < 3; ++i) {
    core::Trigger hint = weak(TriggerType::kHealthDegradation, "api", 0.7, i);
    hint.fingerprint += static_cast<std::uint64_t>(i);
    add(hint);
  }
  EXPECT_EQ(correlator->weak_count(), 2u);
  EXPECT_EQ(correlator->counters().weak_evicted, 1u);
  std::string opened;
  for (int i = 0; i < 5; ++i) {
    opened = add(trigger(TriggerType::kPatternDetected, "api", 0.85, 3, "p" + std::to_string(i)));
  }
  EXPECT_EQ(incident(opened).trigger_ids.size(), 4u);
  EXPECT_GT(correlator->counters().triggers_over_bound, 0u);
}

TEST_F(CorrelatorTest, ValidatorNamesTheFieldAtFault) {
  CorrelateConfig config;
  config.quiet_resolve = std::chrono::seconds(599);
  const auto refused = validated(config);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("quiet_resolve"), std::string::npos);
  EXPECT_TRUE(validated(CorrelateConfig{}).has_value());
  EXPECT_TRUE(validated(OutcomeConfig{}).has_value());
}

}  // namespace
}  // namespace grace::correlate
