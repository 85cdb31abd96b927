#include "grace/pipeline/trigger_manager.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grace/core/time.h"

namespace grace::pipeline {
namespace {

using core::kNsPerMinute;
using core::kNsPerSecond;
using core::Source;
using core::TriggerType;

constexpr std::int64_t kStart = 1'736'950'000 * kNsPerSecond;

struct Written {
  std::int64_t ts_ns = 0;
  std::string actor, action, resource, subsystem, result, payload;
  [[nodiscard]] bool has(std::string_view text) const {
    return payload.find(text) != std::string::npos;
  }
};

class Records final : public core::RecordSink {
 public:
  void append(const core::Record& record) override {
    written.push_back({record.ts_ns, std::string(record.actor), std::string(record.action),
                       std::string(record.resource), std::string(record.subsystem),
                       std::string(record.result), std::string(record.payload)});
  }
  [[nodiscard]] std::vector<std::string> actions() const {
    std::vector<std::string> names;
    for (const Written& record : written) names.push_back(record.action + " " + record.result);
    return names;
  }
  std::vector<Written> written;
};

class Listener final : public TriggerListener {
 public:
  void on_trigger(const core::Trigger& trigger) override { triggers.push_back(trigger); }
  void on_incident_ready(const core::Incident& incident) override {
    ready.push_back(incident);
    if (when_ready) when_ready(incident);
  }
  void on_incident_update(const core::Incident& incident) override { updates.push_back(incident); }
  void on_outcome(const core::Outcome& outcome) override { outcomes.push_back(outcome); }
  std::vector<core::Trigger> triggers;
  std::vector<core::Incident> ready;
  std::vector<core::Incident> updates;
  std::vector<core::Outcome> outcomes;
  std::function<void(const core::Incident&)> when_ready;
};

class TriggerManagerTest : public ::testing::Test {
 protected:
  static core::Finding finding(TriggerType type, std::string service, double confidence,
                               std::int64_t second = 0, std::string what = "thing") {
    core::Finding result;
    result.type = type;
    result.service = std::move(service);
    result.domain = "core";
    result.diagnosis_code = "diagnosis";
    result.what = std::move(what);
    result.confidence = confidence;
    result.impact = core::Impact::kHigh;
    result.ts_ns = kStart + second * kNsPerSecond;
    result.reasoning = {"because"};
    result.suggested_playbooks = {"restart_service"};
    return result;
  }
  Gate offer(core::Finding said) {
    said.evidence = {{sequence, said.ts_ns, "event"}};
    return manager->offer(std::move(said), sequence++, 0);
  }
  void tick(std::int64_t second) { manager->on_tick(kStart + second * kNsPerSecond); }
  void configure(TriggerManagerConfig config) {
    learned = core::LearnedState();
    manager = std::make_unique<TriggerManager>(
        *validated(std::move(config)),
        TriggerManager::Wiring{topology, learned, records, listener});
  }
  void silence(std::string service, std::int64_t from_second, std::int64_t to_second) {
    limit::Silence quiet;
    quiet.service = std::move(service);
    quiet.start_ts_ns = kStart + from_second * kNsPerSecond;
    quiet.end_ts_ns = kStart + to_second * kNsPerSecond;
    quiet.created_by = "alice";
    ASSERT_TRUE(manager->add_silence(quiet, kStart).has_value());
  }
  [[nodiscard]] std::uint64_t suppressed(Gate gate) const {
    return manager->stats().suppressed[static_cast<std::size_t>(gate)];
  }

  std::uint64_t sequence = 1000;
  core::Topology topology;
  core::LearnedState learned;
  Records records;
  Listener listener;
  std::unique_ptr<TriggerManager> manager = std::make_unique<TriggerManager>(
      TriggerManagerConfig{}, TriggerManager::Wiring{topology, learned, records, listener});
};

TEST_F(TriggerManagerTest, EmittedTriggerIsRecordedAsTheDocumentSays) {
  ASSERT_EQ(offer(finding(TriggerType::kAnomalyForecast, "api", 0.87)), Gate::kPassed);
  EXPECT_EQ(records.actions(),
            (std::vector<std::string>{"intelligent_trigger emitted", "self_heal.prediction emitted",
                                      "incident opened"}));
  const Written& trigger = records.written[0];
  EXPECT_EQ(trigger.actor, "proactive_ml");
  EXPECT_EQ(trigger.resource, "api");
  EXPECT_EQ(trigger.subsystem, "intelligent_triggers");
  EXPECT_EQ(trigger.ts_ns, kStart);
  for (const char* key :
       {"\"trigger_id\":\"ml_forecast_", "\"source\":\"proactive_ml\"",
        "\"trigger_type\":\"ml_anomaly_forecast\"", "\"service\":\"api\"", "\"confidence\":0.87",
        "\"impact\":\"high\"", "\"reasoning\":[\"because\"]", "\"suggested_playbooks\":[",
        "\"metadata\":{", "\"evidence\":[{\"sequence\":1000", "\"diagnosis_code\":"}) {
    EXPECT_TRUE(trigger.has(key)) << key << " in " << trigger.payload;
  }
  const Written& prediction = records.written[1];
  EXPECT_EQ(prediction.actor, "intelligent_triggers");
  for (const char* key :
       {"\"code\":\"diagnosis\"", "\"title\":\"ML Anomaly Forecast\"", "\"likelihood\":0.87",
        "\"impact\":\"high\"", "\"suggested_playbooks\":[\"restart_service\"]",
        "\"reasons\":[\"because\"]", "\"source\":\"proactive_ml\"",
        "\"incident_id\":\"incident_"}) {
    EXPECT_TRUE(prediction.has(key)) << key << " in " << prediction.payload;
  }
  for (const char* key : {"\"incident_id\":", "\"confidence\":0.87", "\"services\":[\"api\"]",
                          "\"trigger_ids\":[\"ml_forecast_", "\"sources\":[\"proactive_ml\"]",
                          "\"root_cause\":\"api\""}) {
    EXPECT_TRUE(records.written[2].has(key)) << key;
  }
}

TEST_F(TriggerManagerTest, GatesStopInTheOrderOfTheSpecification) {
  // One finding that every gate would stop; taking the reasons away one by one, in order.
  TriggerManagerConfig config;
  config.limit.log_pattern = {false, 0.80, 1};
  configure(config);
  const auto low = finding(TriggerType::kPatternDetected, "api", 0.70);
  const auto high = finding(TriggerType::kPatternDetected, "api", 0.90);
  EXPECT_EQ(offer(low), Gate::kDisabled);

  config.limit.log_pattern.enabled = true;
  configure(config);
  ASSERT_EQ(offer(high), Gate::kPassed);  // takes the hour, opens, and is the first
  silence("api", 0, 600);
  EXPECT_EQ(offer(low), Gate::kMinConfidence) << "before duplicate, silence and hour";
  EXPECT_EQ(offer(high), Gate::kDuplicate) << "before silence and hour";
  auto other = high;
  other.what = "another";
  EXPECT_EQ(offer(other), Gate::kSilence) << "before the hour";
  other.service = "db";
  EXPECT_EQ(offer(other), Gate::kHourlyLimit);
  other.ts_ns += 60 * kNsPerMinute;
  EXPECT_EQ(offer(other), Gate::kPassed);
  std::vector<std::string> results;
  for (const Written& record : records.written) {
    if (record.action == "intelligent_trigger") results.push_back(record.result);
  }
  EXPECT_EQ(results,
            (std::vector<std::string>{"suppressed:disabled", "emitted", "suppressed:min_confidence",
                                      "suppressed:duplicate", "suppressed:silence",
                                      "suppressed:hourly_limit", "emitted"}));
}

TEST_F(TriggerManagerTest, DuplicateNamesTheFirstAndRaisesItsCount) {
  offer(finding(TriggerType::kPatternDetected, "auth", 0.85));
  const std::string first = listener.triggers[0].trigger_id;
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(offer(finding(TriggerType::kPatternDetected, "auth", 0.85, i)), Gate::kDuplicate);
  }
  EXPECT_EQ(manager->find_trigger(first)->duplicate_count, 3u);
  EXPECT_TRUE(records.written.back().has("\"duplicate_of\":\"" + first));
  EXPECT_EQ(listener.triggers.size(), 1u);
  EXPECT_EQ(records.actions().size(), 6u) << "no prediction and no incident update for them";
}

TEST_F(TriggerManagerTest, DuplicateAfterTheIncidentClosedIsNews) {
  offer(finding(TriggerType::kPatternDetected, "auth", 0.85));
  tick(1800);
  EXPECT_EQ(records.written.back().result, "resolved");
  EXPECT_EQ(offer(finding(TriggerType::kPatternDetected, "auth", 0.85, 1801)), Gate::kPassed);
}

TEST_F(TriggerManagerTest, TwoSourcesFuseToTheDocumentsConfidence) {
  offer(finding(TriggerType::kPatternDetected, "auth", 0.88, 0));
  offer(finding(TriggerType::kHealthDegradation, "auth", 0.85, 5));
  tick(29);
  EXPECT_TRUE(listener.ready.empty());
  tick(30);
  ASSERT_EQ(listener.ready.size(), 1u);
  EXPECT_NEAR(listener.ready[0].confidence, 0.9173, 0.0001);
  tick(31);
  EXPECT_EQ(listener.ready.size(), 1u);
}

TEST_F(TriggerManagerTest, WeakEvidenceRaisesButNeverActs) {
  EXPECT_EQ(offer(finding(TriggerType::kHealthDegradation, "auth", 0.70)), Gate::kMinConfidence);
  EXPECT_EQ(offer(finding(TriggerType::kAnomalyForecast, "auth", 0.69)), Gate::kMinConfidence);
  tick(300);
  EXPECT_TRUE(listener.ready.empty());
  EXPECT_TRUE(listener.updates.empty());
  ASSERT_EQ(listener.triggers.size(), 2u);
  EXPECT_TRUE(listener.triggers[0].weak);
  offer(finding(TriggerType::kPatternDetected, "auth", 0.80, 301));
  tick(331);
  ASSERT_EQ(listener.ready.size(), 1u);
  EXPECT_GT(listener.ready[0].confidence, 0.805);
  EXPECT_EQ(manager->stats().total_triggers, 1u);
}

TEST_F(TriggerManagerTest, SilencedLeavesNothingButItsRecord) {
  offer(finding(TriggerType::kPatternDetected, "auth", 0.88));
  silence("auth", 0, 100);
  EXPECT_EQ(offer(finding(TriggerType::kHealthDegradation, "auth", 0.85, 5)), Gate::kSilence);
  EXPECT_EQ(offer(finding(TriggerType::kAnomalyForecast, "auth", 0.60, 6)), Gate::kMinConfidence);
  const core::Incident open = manager->correlator().open_incidents().at(0);
  EXPECT_EQ(open.confidence, 0.88) << "neither of them raised it";
  EXPECT_EQ(open.trigger_ids.size(), 1u);
  EXPECT_EQ(offer(finding(TriggerType::kHealthDegradation, "auth", 0.85, 101)), Gate::kPassed)
      << "after the silence the same is no duplicate";
  EXPECT_NEAR(manager->correlator().open_incidents().at(0).confidence, 0.9173, 0.0001);
}

TEST_F(TriggerManagerTest, ASilenceHoldsAnIncidentThatWasAboutToAct) {
  offer(finding(TriggerType::kPatternDetected, "auth", 0.88));
  silence("auth", 10, 100);
  tick(30);
  EXPECT_TRUE(listener.ready.empty());
  tick(99);
  EXPECT_TRUE(listener.ready.empty());
  tick(100);
  EXPECT_EQ(listener.ready.size(), 1u);
}

TEST_F(TriggerManagerTest, ASilencedDuplicateDoesNotRaise) {
  offer(finding(TriggerType::kPatternDetected, "auth", 0.85));
  silence("auth", 0, 100);
  EXPECT_EQ(offer(finding(TriggerType::kPatternDetected, "auth", 0.99, 5)), Gate::kDuplicate);
  EXPECT_EQ(manager->correlator().open_incidents().at(0).confidence, 0.85);
  EXPECT_EQ(offer(finding(TriggerType::kPatternDetected, "auth", 0.99, 101)), Gate::kDuplicate);
  EXPECT_EQ(manager->correlator().open_incidents().at(0).confidence, 0.99);
}

TEST_F(TriggerManagerTest, ARateLimitedTriggerRaisesNoIncident) {
  TriggerManagerConfig config;
  config.limit.agentic.per_hour_max = 1;
  configure(config);
  offer(finding(TriggerType::kHealthDegradation, "db", 0.85));
  offer(finding(TriggerType::kPatternDetected, "auth", 0.88));
  EXPECT_EQ(offer(finding(TriggerType::kHealthDegradation, "auth", 0.85, 5)), Gate::kHourlyLimit);
  EXPECT_EQ(offer(finding(TriggerType::kCrossDomainAlert, "auth", 0.70, 6)), Gate::kMinConfidence);
  for (const core::Incident& open : manager->correlator().open_incidents()) {
    EXPECT_EQ(open.trigger_ids.size(), 1u) << open.service;
  }
  EXPECT_EQ(manager->correlator().weak_count(), 0u) << "nor may weak evidence get round the limit";
}

TEST_F(TriggerManagerTest, StatsHaveTheDocumentsShape) {
  offer(finding(TriggerType::kAnomalyForecast, "a", 0.80));
  offer(finding(TriggerType::kPatternDetected, "b", 0.90));
  offer(finding(TriggerType::kPatternDetected, "c", 0.10));
  EXPECT_EQ(manager->stats().to_json(),
            "{\"total_triggers\":2,\"by_source\":{\"meta_loop\":0,\"proactive_ml\":1,"
            "\"agentic_spine\":0,\"immutable_log\":1},\"by_type\":{\"ml_anomaly_forecast\":1,"
            "\"pattern_detected\":1},\"avg_confidence\":0.8500000000000001,\"suppressed\":{"
            "\"disabled\":0,\"min_confidence\":1,\"duplicate\":0,\"silence\":0,"
            "\"hourly_limit\":0}}");
  EXPECT_EQ(suppressed(Gate::kMinConfidence), 1u);
}

TEST_F(TriggerManagerTest, CalibrationComesBeforeTheMinimum) {
  core::Trigger wrong;
  wrong.source = Source::kProactiveMl;
  wrong.confidence = wrong.finding.confidence = 0.87;
  for (int i = 0; i < 60; ++i) learned.learn(wrong, core::OutcomeKind::kForecastDidNot);
  EXPECT_EQ(offer(finding(TriggerType::kAnomalyForecast, "api", 0.87)), Gate::kMinConfidence);
  EXPECT_TRUE(records.written.back().has("\"raw_confidence\":0.87"));
}

TEST_F(TriggerManagerTest, AVerifiedRunHealsTeachesAndTells) {
  offer(finding(TriggerType::kPatternDetected, "auth", 0.88));
  offer(finding(TriggerType::kHealthDegradation, "auth", 0.85, 5));
  // The scheduler answers from within the announcement.
  listener.when_ready = [&](const core::Incident& incident) {
    core::PlaybookRun run;
    run.run_id = "run_1";
    run.incident_id = incident.incident_id;
    run.service = "auth";
    run.playbook = "restart_service";
    run.state = core::RunState::kSucceeded;
    run.changed_ts_ns = manager->now_ns();
    manager->on_run(run);
  };
  tick(30);
  ASSERT_EQ(listener.outcomes.size(), 2u) << "both sources";
  EXPECT_EQ(listener.updates.back().state, core::IncidentState::kHealed);
  EXPECT_TRUE(manager->correlator().open_incidents().empty());
  EXPECT_GT(learned.weight(Source::kImmutableLog), 1.0);
  EXPECT_GT(learned.weight(Source::kAgenticSpine), 1.0);
  EXPECT_EQ(learned.weight(Source::kProactiveMl), 1.0);
  EXPECT_EQ(records.actions().back(), "incident resolved");
}

TEST_F(TriggerManagerTest, FeedbackTeachesOnceAndKnowsItsTriggers) {
  offer(finding(TriggerType::kPatternDetected, "auth", 0.88));
  const std::string trigger_id = listener.triggers[0].trigger_id;
  EXPECT_EQ(manager->feedback("pattern_unknown", true, "alice", "", kStart).error().code,
            core::ErrorCode::kNotFound);
  ASSERT_TRUE(manager->feedback(trigger_id, false, "alice", "noise", kStart).has_value());
  EXPECT_LT(learned.weight(Source::kImmutableLog), 1.0);
  EXPECT_EQ(manager->feedback(trigger_id, false, "bob", "", kStart).error().code,
            core::ErrorCode::kInvalidArgument);
  EXPECT_EQ(listener.outcomes.size(), 1u);
}

TEST_F(TriggerManagerTest, RecentTriggersAreBounded) {
  TriggerManagerConfig config;
  config.recent_max = 2;
  configure(config);
  for (std::size_t i = 0; i < 7; ++i) {
    offer(finding(TriggerType::kPatternDetected, "s" + std::to_string(i), 0.88));
    const std::string& trigger_id = listener.triggers[i].trigger_id;
    for (std::size_t known = 0; known < i; ++known) {
      EXPECT_EQ(manager->find_trigger(listener.triggers[known].trigger_id) != nullptr,
                known + 2 > i)
          << known << " of " << i;
    }
    ASSERT_NE(manager->find_trigger(trigger_id), nullptr);
    EXPECT_EQ(manager->find_trigger(trigger_id)->trigger_id, trigger_id);
    EXPECT_TRUE(manager->feedback(trigger_id, true, "alice", "", kStart).has_value())
        << "the verdict on an earlier one is not this one's";
  }
}

TEST_F(TriggerManagerTest, ATriggerThatMakesRoomLeavesNothingToTheNextOne) {
  TriggerManagerConfig config;
  config.recent_max = 1;
  configure(config);
  core::Finding large = finding(TriggerType::kPatternDetected, "auth", 0.88);
  large.upstream_id.assign(100'000, 'x');
  large.metadata = {{"note", "\"" + std::string(100'000, 'y') + "\""}};
  offer(large);
  const std::string first = listener.triggers[0].trigger_id;
  ASSERT_TRUE(manager->feedback(first, true, "alice", "", kStart).has_value());
  EXPECT_EQ(manager->find_trigger(first)->finding.upstream_id, large.upstream_id);

  const core::Finding small = finding(TriggerType::kPatternDetected, "mail", 0.88);
  offer(small);
  const core::Trigger& heard = listener.triggers[1];
  EXPECT_EQ(heard.finding.reasoning, small.reasoning) << "what is not kept is heard";
  EXPECT_TRUE(records.written.back().has("mail"));
  EXPECT_EQ(manager->find_trigger(first), nullptr);
  const core::Trigger* const kept = manager->find_trigger(heard.trigger_id);
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->finding.service, "mail");
  EXPECT_EQ(kept->incident_id, heard.incident_id);
  EXPECT_TRUE(kept->finding.metadata.empty());
  EXPECT_EQ(kept->finding.metadata.capacity(), 0U);
  EXPECT_TRUE(kept->finding.reasoning.empty());
  EXPECT_LT(kept->finding.upstream_id.capacity(), 1024U) << "the large one's memory stayed";
  EXPECT_TRUE(manager->feedback(heard.trigger_id, true, "alice", "", kStart).has_value());
}

TEST_F(TriggerManagerTest, DirectiveNamesItsThreshold) {
  core::Finding said = finding(TriggerType::kDirective, "cluster", 0.9);
  said.metadata = {{"parameter", "\"capacity.shortfall_min\""}, {"from", "0.1"}, {"to", "0.09"}};
  offer(said);
  const auto directive = directive_of(listener.triggers.at(0));
  ASSERT_TRUE(directive.has_value());
  EXPECT_EQ(directive->parameter, "capacity.shortfall_min");
  EXPECT_EQ(directive->to, 0.09);
  said.type = TriggerType::kPatternDetected;
  said.what = "x";
  offer(said);
  EXPECT_FALSE(directive_of(listener.triggers.at(1)).has_value());
}

TEST_F(TriggerManagerTest, TheSameInputGivesTheSameRecordsToTheByte) {
  const auto play = [this] {
    configure({});
    records.written.clear();
    sequence = 1;
    for (int i = 0; i < 400; ++i) {
      const auto type = static_cast<TriggerType>(i * 7 % 10);
      offer(finding(type, "s" + std::to_string(i * i % 13), 0.5 + (i * 37 % 50) / 100.0, i * 11,
                    "w" + std::to_string(i % 5)));
      tick(i * 11);
    }
    std::string all;
    for (const Written& record : records.written) {
      all += record.action + record.result + record.resource + record.payload;
    }
    return all;
  };
  const std::string first = play();
  EXPECT_GT(first.size(), 10'000u);
  EXPECT_EQ(first, play());
}

TEST_F(TriggerManagerTest, ValidatorPassesOnWhatItsPartsRefuse) {
  TriggerManagerConfig config;
  config.limit.ml.min_confidence = 2.0;
  EXPECT_FALSE(validated(config).has_value());
  config = {};
  config.correlate.incidents_max = 0;
  EXPECT_FALSE(validated(config).has_value());
  config = {};
  config.outcome.deviation_min = -1.0;
  EXPECT_FALSE(validated(config).has_value());
  config = {};
  config.recent_max = 0;
  EXPECT_FALSE(validated(config).has_value());
  EXPECT_TRUE(validated(TriggerManagerConfig{}).has_value());
}

}  // namespace
}  // namespace grace::pipeline
