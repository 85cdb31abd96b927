#include "grace/ledger/subsystem_logger.h"

#include <cmath>

#include "log_fixture.h"

namespace grace::ledger {
namespace {

class SubsystemLoggerTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    open();
    appender_ = std::make_unique<ProducerAppender>(std::move(producer_));
    registry_ = std::make_unique<SubsystemRegistry>(
        *appender_, [] { return std::int64_t{1736951422000000000}; });
  }
  std::vector<std::string> records() {
    flush();
    return read_all().texts;
  }
  void TearDown() override {
    registry_.reset();
    appender_.reset();
    LogTest::TearDown();
  }
  std::unique_ptr<ProducerAppender> appender_;
  std::unique_ptr<SubsystemRegistry> registry_;
};

TEST_F(SubsystemLoggerTest, WritesTheRecordsOthersRelyOn) {
  SubsystemLogger& logger = *registry_->get_subsystem_logger("my_subsystem");
  EXPECT_EQ(logger.log_action({"system", "process_data", "data_pipeline", "success",
                               R"({"records":1000,"duration_ms":245})"},
                              5),
            AppendStatus::kOk);
  (void)logger.log_error({"worker_3", "transform_data", "dataset_123", "bad \"row\"\n"}, 6);
  const std::vector<std::string> reasoning = {"low risk", "within window"};
  (void)logger.log_decision(
      {"policy_engine", "approval", "deployment_456", "approved", reasoning, 0.92}, 7);
  (void)logger.log_prediction({"ml_model", "capacity", "api_cluster", 1500, 0.85, 1000}, 8);
  const auto texts = records();
  ASSERT_EQ(texts.size(), 4U);
  EXPECT_EQ(texts[0],
            R"({"ts":5,"actor":"system","action":"process_data","resource":"data_pipeline",)"
            R"("subsystem":"my_subsystem","result":"success",)"
            R"("payload":{"records":1000,"duration_ms":245}})");
  EXPECT_EQ(
      texts[1],
      R"({"ts":6,"actor":"worker_3","action":"transform_data","resource":"dataset_123",)"
      R"("subsystem":"my_subsystem","result":"error","payload":{"error":"bad \"row\"\u000a"}})");
  EXPECT_EQ(texts[2],
            R"({"ts":7,"actor":"policy_engine","action":"decision_approval",)"
            R"("resource":"deployment_456","subsystem":"my_subsystem","result":"approved",)"
            R"("payload":{"decision_type":"approval","decision":"approved",)"
            R"("reasoning":["low risk","within window"],"confidence":0.92}})");
  EXPECT_EQ(texts[3], R"({"ts":8,"actor":"ml_model","action":"prediction_capacity",)"
                      R"("resource":"api_cluster","subsystem":"my_subsystem","result":"predicted",)"
                      R"("payload":{"prediction_type":"capacity","predicted_value":1500,)"
                      R"("current_value":1000,"confidence":0.85}})");
}

TEST_F(SubsystemLoggerTest, StoresOnlyWhatParses) {
  SubsystemLogger& logger = *registry_->get_subsystem_logger("s");
  for (const std::string_view bad : {"{\"a\":}", "{\"a\":1}x", "[1]", "{\"a\":01}", "{'a':1}",
                                     "{\"a\":\"\x01\"}", "{\"a\":\"\xff\"}", "{\"a\":1,}"}) {
    (void)logger.log_action({"a", "b", "c", "d", bad});
  }
  (void)logger.log_action({"a", "b", "c", "d", R"( {"a":[1,-2.5e3,{"b":null}],"c":"\u00e9"} )"});
  const auto texts = records();
  ASSERT_EQ(texts.size(), 9U);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_NE(texts[i].find(R"("payload":{"text":)"), std::string::npos) << texts[i];
  }
  EXPECT_NE(texts[6].find("\xef\xbf\xbd"), std::string::npos) << "U+FFFD for a stray byte";
  EXPECT_NE(texts[8].find(R"("payload": {"a":[1,)"), std::string::npos) << texts[8];
}

TEST_F(SubsystemLoggerTest, NumbersThatAreNoneBecomeNull) {
  (void)registry_->get_subsystem_logger("s")->log_prediction({"a", "t", "r", NAN, 0.5});
  EXPECT_NE(records()[0].find(R"("predicted_value":null,"current_value":null)"), std::string::npos);
}

TEST_F(SubsystemLoggerTest, CountsByAction) {
  SubsystemLogger& heal = *registry_->get_subsystem_logger("self_heal");
  EXPECT_EQ(&heal, registry_->get_subsystem_logger("self_heal"));
  for (int i = 0; i < 3; ++i) (void)heal.log_action({"a", "proposal", "r", "ok"});
  for (int i = 0; i < 2; ++i) (void)heal.log_action({"a", "execution", "r", "ok"});
  (void)registry_->get_subsystem_logger("idle");
  const auto stats = registry_->get_subsystem_stats();
  EXPECT_EQ(stats.at("self_heal").event_counts.at("proposal"), 3U);
  EXPECT_EQ(stats.at("self_heal").total_events, 5U);
  EXPECT_EQ(registry_->subsystem_stats_json(),
            R"({"idle":{"event_counts":{},"total_events":0,"last_logged":null},)"
            R"("self_heal":{"event_counts":{"execution":2,"proposal":3},"total_events":5,)"
            R"("last_logged":"2025-01-15T14:30:22Z"}})");
}

TEST_F(SubsystemLoggerTest, BoundsActionsAndSubsystems) {
  SubsystemLogger& logger = *registry_->get_subsystem_logger("s0");
  for (std::size_t i = 0; i < SubsystemRegistry::kActionsMax + 10; ++i) {
    const std::string action = "action_" + std::to_string(i);
    (void)logger.log_action({"a", action, "r", "ok"});
  }
  EXPECT_EQ(registry_->get_subsystem_stats().at("s0").event_counts.at("other"), 10U);
  for (std::size_t i = 1; i < SubsystemRegistry::kSubsystemsMax; ++i) {
    ASSERT_NE(registry_->get_subsystem_logger("s" + std::to_string(i)), nullptr);
  }
  EXPECT_EQ(registry_->get_subsystem_logger("one too many"), nullptr);
}

TEST_F(SubsystemLoggerTest, CountsWhatTheLogRefused) {
  SubsystemLogger& logger = *registry_->get_subsystem_logger("s");
  const std::string huge(9000, 'x');
  EXPECT_EQ(logger.log_action({"a", "b", huge, "d"}), AppendStatus::kTooLarge);
  const auto stats = registry_->get_subsystem_stats();
  EXPECT_EQ(stats.at("s").failed_events, 1U);
  EXPECT_EQ(stats.at("s").total_events, 0U);
}

}  // namespace
}  // namespace grace::ledger
