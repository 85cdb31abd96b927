#include "verification.h"

#include "schedule_fixture.h"

namespace grace::schedule {
namespace {

using State = Verification::State;

class VerificationTest : public ::testing::Test {
 protected:
  static constexpr std::int64_t kT0 = 1'000 * kNsPerSecond;

  CheckSpec& check(CheckKind kind, std::string metric, double value) {
    CheckSpec spec_check;
    spec_check.kind = kind;
    spec_check.metric = std::move(metric);
    spec_check.value = value;
    spec.checks.push_back(spec_check);
    return spec.checks.back();
  }
  void begin() { verification.emplace(spec, "api", kT0); }
  void see(int second, std::string_view name, double value, double deviation = 0.0,
           core::MetricRole role = core::MetricRole::kLatency, bool warm = true) {
    core::Observation observation;
    observation.ts_ns = kT0 + second * kNsPerSecond;
    observation.service = "api";
    observation.name = name;
    observation.value = value;
    observation.deviation = deviation;
    observation.role = role;
    observation.warm = warm;
    verification->on_observation(observation);
  }
  void errors(int second, std::string_view actor, double count) {
    core::Observation observation;
    observation.ts_ns = kT0 + second * kNsPerSecond;
    observation.service = "api";
    observation.name = actor;
    observation.value = count;
    observation.count = 10;
    observation.kind = core::ObservationKind::kActions;
    verification->on_observation(observation);
  }
  State at(int second) { return verification->state(kT0 + second * kNsPerSecond); }

  VerificationSpec spec;
  std::optional<Verification> verification;
};

TEST_F(VerificationTest, PassesAtOnceWithoutAHold) {
  check(CheckKind::kBelow, "latency_ms", 150);
  begin();
  EXPECT_EQ(at(0), State::kPending);
  see(10, "latency_ms", 149);
  EXPECT_EQ(at(10), State::kPassed);
}

TEST_F(VerificationTest, NeedsGoodDataThroughTheWholeHold) {
  check(CheckKind::kBelow, "latency_ms", 150);
  spec.hold = std::chrono::seconds{60};
  begin();
  see(10, "latency_ms", 100);
  see(40, "latency_ms", 200);  // begins again
  see(50, "latency_ms", 100);
  EXPECT_EQ(at(105), State::kPending);
  see(109, "latency_ms", 100);
  EXPECT_EQ(at(200), State::kPending) << "silence does not hold";
  see(210, "latency_ms", 100);
  EXPECT_EQ(at(210), State::kPassed);
}

TEST_F(VerificationTest, CountsNothingFromBeforeTheAction) {
  check(CheckKind::kBelow, "latency_ms", 150);
  begin();
  see(0, "latency_ms", 100);
  see(-5, "latency_ms", 100);
  EXPECT_EQ(at(1), State::kPending);
}

TEST_F(VerificationTest, FailsAtItsDeadline) {
  check(CheckKind::kAbove, "capacity", 10);
  begin();
  see(10, "capacity", 10);
  EXPECT_EQ(at(599), State::kPending);
  EXPECT_EQ(at(600), State::kFailed);
  EXPECT_NE(verification->reason().find("capacity=10 violates above 10"), std::string::npos);
}

TEST_F(VerificationTest, NeedsEverySeriesThatWorseHasADirectionForInRange) {
  check(CheckKind::kInRange, "*", 3);
  begin();
  see(10, "requests_rps", 9000, 12.0, core::MetricRole::kDemand);  // more load is not worse
  EXPECT_EQ(at(10), State::kPending);
  see(11, "latency_ms", 100, 0.5);
  see(11, "errors", 7, 4.0, core::MetricRole::kErrors);
  EXPECT_EQ(at(11), State::kPending);
  see(20, "errors", 0, -3.5, core::MetricRole::kErrors);
  EXPECT_EQ(at(20), State::kPending) << "far below is out of range too";
  see(30, "errors", 0, -1.0, core::MetricRole::kErrors);
  EXPECT_EQ(at(30), State::kPassed);
}

TEST_F(VerificationTest, DoesNotJudgeByARangeThatIsStillLearned) {
  check(CheckKind::kInRange, "latency_ms", 3);
  begin();
  see(10, "latency_ms", 100, 0.0, core::MetricRole::kLatency, false);
  EXPECT_EQ(at(10), State::kPending);
}

TEST_F(VerificationTest, CountsErrorsOfEveryActor) {
  check(CheckKind::kErrors, "*", 0);
  spec.hold = std::chrono::seconds{20};
  begin();
  errors(10, "auth", 0);
  errors(10, "web", 1);
  errors(20, "auth", 0);
  errors(30, "auth", 0);
  EXPECT_EQ(at(30), State::kPending) << "web has erred";
  errors(40, "web", 0);
  errors(60, "auth", 0);
  EXPECT_EQ(at(60), State::kPassed);
}

TEST_F(VerificationTest, ForgetsAnActorThatFellSilent) {
  check(CheckKind::kErrors, "*", 0);
  begin();
  errors(10, "web", 3);
  errors(69, "auth", 0);
  EXPECT_EQ(at(69), State::kPending);
  EXPECT_EQ(at(70), State::kPending) << "forgotten now, but nothing good has been seen since";
  errors(80, "auth", 0);
  EXPECT_EQ(at(80), State::kPassed);
}

TEST_F(VerificationTest, ComparesCapacityWithDemand) {
  check(CheckKind::kHeadroom, "*_rps", 1.0);
  begin();
  see(10, "requests_rps", 1450, 0, core::MetricRole::kDemand);
  EXPECT_EQ(at(10), State::kPending);
  see(10, "memory_limit", 99999, 0, core::MetricRole::kCapacity);  // another unit, another name
  see(10, "capacity_rps", 1000, 0, core::MetricRole::kCapacity);
  EXPECT_EQ(at(10), State::kPending);
  see(70, "capacity_rps", 1600, 0, core::MetricRole::kCapacity);
  EXPECT_EQ(at(70), State::kPassed);
}

TEST_F(VerificationTest, LetsSilentChecksBe) {
  check(CheckKind::kInRange, "*", 3);
  check(CheckKind::kHeadroom, "*", 1.0);
  begin();
  see(10, "latency_ms", 100, 0.1);
  EXPECT_EQ(at(10), State::kPassed);
}

TEST_F(VerificationTest, BoundsWhatItRemembers) {
  check(CheckKind::kBelow, "m*", 10);
  begin();
  for (std::size_t i = 0; i < Verification::kNamesMax + 5; ++i) {
    see(10, "m" + std::to_string(i), 100);
  }
  EXPECT_EQ(verification->refused_count(), 5u);
}

}  // namespace
}  // namespace grace::schedule
