#include <gtest/gtest.h>

#include "../log_analyzer/harness.h"
#include "grace/agentic_spine/agentic_spine.h"

namespace grace::agentic_spine {
namespace {

using namespace grace::testing;

core::SubsystemList spine(AgenticSpineConfig config = {}) {
  core::SubsystemList list;
  list.push_back(make_agentic_spine(config));
  return list;
}

core::Observation actions_of(std::string_view service, std::int64_t end_ns, double errors,
                             std::uint32_t count, std::string_view domain = "core") {
  core::Observation observation;
  observation.kind = core::ObservationKind::kActions;
  observation.ts_ns = end_ns;
  observation.service = service;
  observation.domain = domain;
  observation.name = "actor";
  observation.value = errors;
  observation.count = count;
  if (errors > 0.0) {
    observation.action = "serve";
    observation.result_text = "error";
    observation.first_error_ts_ns = end_ns - 9 * kSecond;
    observation.first_error_sequence = static_cast<std::uint64_t>(end_ns / kSecond);
    observation.last_error_sequence = observation.first_error_sequence + 1;
  }
  return observation;
}

core::Observation bin_of(std::string_view service, std::string_view metric, core::MetricRole role,
                         std::int64_t end_ns, double deviation, std::string_view domain = "core") {
  core::Observation observation;
  observation.ts_ns = end_ns;
  observation.service = service;
  observation.domain = domain;
  observation.name = metric;
  observation.role = role;
  observation.value = 100.0 + 10.0 * deviation;
  observation.baseline = 100.0;
  observation.deviation = deviation;
  observation.count = 60;
  observation.warm = true;
  return observation;
}

std::string metadata_of(const core::Finding& finding, std::string_view key) {
  for (const auto& [name, value] : finding.metadata) {
    if (name == key) return value;
  }
  return "";
}

class Health : public ::testing::Test {
 protected:
  void well(std::string_view service, std::int64_t to_ns, std::string_view domain = "core") {
    for (; now_ < to_ns; now_ += 10 * kSecond) {
      engine_.observe_now(actions_of(service, now_, 0.0, 10, domain));
    }
  }
  void ill(std::string_view service, int periods, std::string_view domain = "core") {
    for (int i = 0; i < periods; ++i, now_ += 10 * kSecond) {
      engine_.observe_now(actions_of(service, now_, 7.0, 10, domain));
    }
  }
  std::int64_t now_ = kMidnight;
  Engine engine_{spine()};
};

TEST_F(Health, AFailingServiceIsReportedOnceWithItsNumbers) {
  well("auth_service", kMidnight + kHour);
  ill("auth_service", 30);
  ASSERT_EQ(engine_.findings.size(), 1U);
  const core::Finding& finding = engine_.findings[0];
  EXPECT_EQ(finding.type, core::TriggerType::kHealthDegradation);
  EXPECT_EQ(finding.service, "auth_service");
  EXPECT_EQ(finding.domain, "core");
  EXPECT_GT(finding.confidence, 0.85);
  EXPECT_LE(finding.ts_ns, kMidnight + kHour + 45 * kSecond);
  EXPECT_EQ(finding.reasoning[0].rfind("auth_service health 0.", 0), 0U) << finding.reasoning[0];
  EXPECT_NE(finding.reasoning[0].find(", bound 0.50"), std::string::npos);
  EXPECT_EQ(finding.reasoning[1].rfind("Error share 70% (", 0), 0U) << finding.reasoning[1];
  EXPECT_EQ(finding.suggested_playbooks,
            (std::vector<std::string>{"restart_service", "rollback_flag"}));
  EXPECT_FALSE(finding.evidence.empty());
  EXPECT_EQ(metadata_of(finding, "blast_radius"), "null");  // the topology does not know it
}

TEST_F(Health, ASecondEpisodeIsReportedAgain) {
  well("a", kMidnight + kHour);
  ill("a", 6);
  well("a", kMidnight + 2 * kHour);
  ill("a", 6);
  EXPECT_EQ(engine_.findings.size(), 2U);
}

TEST_F(Health, AFewScatteredErrorsAreNoIllness) {
  Dice dice(1);
  for (; now_ < kMidnight + 24 * kHour; now_ += 10 * kSecond) {
    double errors = 0.0;
    for (int i = 0; i < 10; ++i) errors += dice.uniform() < 0.02 ? 1.0 : 0.0;
    engine_.observe_now(actions_of("a", now_, errors, 10));
  }
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(Health, TwoBadMetricsAreAnIllnessAndOneGoodOneIsNot) {
  for (; now_ < kMidnight + kHour; now_ += kMinute) {
    engine_.observe_now(bin_of("db", "latency_ms", core::MetricRole::kLatency, now_, 0.3));
    engine_.observe_now(bin_of("db", "cpu", core::MetricRole::kSaturation, now_, -0.2));
    engine_.observe_now(bin_of("db", "health", core::MetricRole::kHealth, now_, 9.0));
  }
  engine_.advance(now_);
  EXPECT_TRUE(engine_.findings.empty());  // a health far above its usual is good news
  for (int i = 0; i < 4; ++i, now_ += kMinute) {
    engine_.observe_now(bin_of("db", "latency_ms", core::MetricRole::kLatency, now_, 12.0));
    engine_.observe_now(bin_of("db", "cpu", core::MetricRole::kSaturation, now_, 9.0));
  }
  engine_.advance(now_);
  ASSERT_EQ(engine_.findings.size(), 1U);
  EXPECT_GE(engine_.findings[0].confidence, 0.70);
  EXPECT_NE(engine_.findings[0].reasoning[1].find("latency_ms"), std::string::npos);
}

TEST_F(Health, AMetricThatIsStillWarmingUpHasNoSay) {
  for (int i = 0; i < 10; ++i, now_ += kMinute) {
    auto bin = bin_of("db", "latency_ms", core::MetricRole::kLatency, now_, 50.0);
    bin.warm = false;
    engine_.observe_now(bin);
  }
  EXPECT_TRUE(engine_.findings.empty());
}

TEST_F(Health, AnUnusualFallIsReportedAboveTheBound) {
  AgenticSpineConfig config;
  config.health_bound = 0.2;
  Engine engine(spine(config));
  std::int64_t now = kMidnight;
  for (; now < kMidnight + 2 * kHour; now += 10 * kSecond) {
    engine.observe_now(actions_of("a", now, 0.0, 20));
  }
  for (int i = 0; i < 6; ++i, now += 10 * kSecond) {
    engine.observe_now(actions_of("a", now, 9.0, 20));
  }
  ASSERT_EQ(engine.findings.size(), 1U);
  EXPECT_GT(engine.findings[0].confidence, 0.8);
  EXPECT_NE(engine.findings[0].reasoning[1].find("faster than usual"), std::string::npos);
}

TEST_F(Health, AFreshDeployPutsTheRollbackFirst) {
  well("a", kMidnight + kHour);
  engine_.deploy("a", now_);
  well("a", now_ + 4 * kMinute);
  ill("a", 6);
  ASSERT_EQ(engine_.findings.size(), 1U);
  EXPECT_EQ(engine_.findings[0].suggested_playbooks[0], "rollback_flag");
}

TEST_F(Health, ForgetsTheServiceWithoutNewsForLongest) {
  AgenticSpineConfig config;
  config.services_max = 2;
  Engine engine(spine(config));
  const std::vector<std::string> names = {"a", "b", "c"};
  for (std::int64_t i = 0; i < 300; ++i) {
    for (const std::string& name : names) {
      engine.observe_now(actions_of(name, kMidnight + i * 10 * kSecond, 0.0, 10));
    }
  }
  EXPECT_TRUE(engine.findings.empty());  // thrashing is not illness
}

// An ill service that makes room takes its illness with it; what comes into its place is itself.
TEST_F(Health, WhoMakesRoomIsForgottenWithItsIllness) {
  AgenticSpineConfig config;
  config.services_max = 1;
  Engine engine(spine(config));
  std::int64_t now = kMidnight;
  const auto news = [&](std::string_view name, double errors, int periods) {
    for (int i = 0; i < periods; ++i, now += 10 * kSecond) {
      engine.observe_now(actions_of(name, now, errors, 10));
    }
  };
  news("a", 0.0, 360);
  news("a", 6.0, 1);  // pending: not told yet
  ASSERT_TRUE(engine.findings.empty());
  news("b", 0.0, 360);
  EXPECT_TRUE(engine.findings.empty()) << engine.findings[0].service;
  news("b", 6.0, 6);
  ASSERT_EQ(engine.findings.size(), 1U);
  EXPECT_EQ(engine.findings[0].service, "b");
}

class CrossDomainAlert : public ::testing::Test {
 protected:
  CrossDomainAlert() {
    engine_.topology().upsert({"kb", "knowledge", {}, 1, core::Criticality::kHigh});
    engine_.topology().upsert({"trainer", "ml", {"kb"}, 1, core::Criticality::kMedium});
    engine_.topology().upsert({"timeline", "temporal", {"trainer"}, 1, core::Criticality::kMedium});
    engine_.topology().upsert({"mailer", "mail", {}, 1, core::Criticality::kLow});
  }
  struct Service {
    std::string_view name, domain;
  };
  static constexpr Service kServices[] = {
      {"kb", "knowledge"}, {"trainer", "ml"}, {"timeline", "temporal"}, {"mailer", "mail"}};
  // All services for `periods`; those in `ill` fail.
  void run(std::int64_t periods, const std::vector<std::string_view>& ill) {
    for (std::int64_t i = 0; i < periods; ++i, now_ += 10 * kSecond) {
      for (const Service& service : kServices) {
        const bool bad = std::find(ill.begin(), ill.end(), service.name) != ill.end();
        engine_.observe_now(actions_of(service.name, now_, bad ? 6.0 : 0.0, 10, service.domain));
      }
    }
  }
  std::int64_t now_ = kMidnight;
  Engine engine_{spine()};
};

TEST_F(CrossDomainAlert, NamesTheSpreadAndTheRisk) {
  run(360, {});
  run(6, {"kb"});
  run(12, {"kb", "trainer"});
  const auto found = engine_.of("cross_domain_cascade");
  ASSERT_EQ(found.size(), 1U);
  const core::Finding& finding = found[0];
  EXPECT_EQ(finding.type, core::TriggerType::kCrossDomainAlert);
  EXPECT_EQ(finding.service, "kb");
  EXPECT_GT(finding.confidence, 0.8);
  EXPECT_EQ(finding.reasoning[0], "Knowledge domain degradation");
  EXPECT_EQ(finding.reasoning[1], "ML domain dependency affected");
  EXPECT_EQ(finding.reasoning[2], "Temporal domain at risk");
  EXPECT_EQ(metadata_of(finding, "affected_domains"), R"(["knowledge","ml","temporal"])");
  EXPECT_EQ(metadata_of(finding, "blast_radius"), "3");
  EXPECT_GE(finding.impact, core::Impact::kHigh);
}

TEST_F(CrossDomainAlert, IndependentIllnessesAreNoSpread) {
  run(360, {});
  run(12, {"kb", "mailer"});
  EXPECT_TRUE(engine_.of("cross_domain_cascade").empty());
  EXPECT_EQ(engine_.of("health_degradation").size(), 2U);
}

TEST_F(CrossDomainAlert, AFurtherDomainIsToldAgain) {
  run(360, {});
  run(6, {"kb"});
  run(12, {"kb", "trainer"});
  run(12, {"kb", "trainer", "timeline"});
  const auto found = engine_.of("cross_domain_cascade");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1].what, "knowledge,ml,temporal");
  EXPECT_EQ(found[1].impact, core::Impact::kCritical);
}

TEST_F(CrossDomainAlert, IllnessesFarApartInTimeAreNoSpread) {
  run(360, {});
  run(60, {"kb"});
  run(12, {"kb", "trainer"});
  EXPECT_TRUE(engine_.of("cross_domain_cascade").empty());
}

TEST(CrossDomainWithoutTopology, TwoDomainsAreCoincidenceThreeAtOnceAreNot) {
  const std::vector<std::pair<std::string, std::string>> services = {
      {"a", "one"}, {"b", "two"}, {"c", "three"}};
  for (const std::size_t ill_count : {2U, 3U}) {
    Engine engine(spine());
    std::int64_t now = kMidnight;
    for (int i = 0; i < 372; ++i, now += 10 * kSecond) {
      for (std::size_t s = 0; s < services.size(); ++s) {
        const bool bad = i >= 360 && s < ill_count;
        engine.observe_now(
            actions_of(services[s].first, now, bad ? 6.0 : 0.0, 10, services[s].second));
      }
    }
    const auto found = engine.of("cross_domain_cascade");
    EXPECT_EQ(found.size(), ill_count == 3 ? 1U : 0U);
    for (const core::Finding& finding : found) {
      EXPECT_EQ(metadata_of(finding, "topology_known"), "false");
    }
  }
}

TEST(AgenticSpineConfig, NamesTheFieldAtFault) {
  EXPECT_TRUE(validated({}).has_value());
  AgenticSpineConfig config;
  config.health_bound = 1.5;
  const auto result = validated(config);
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("health_bound"), std::string::npos);
}

}  // namespace
}  // namespace grace::agentic_spine
