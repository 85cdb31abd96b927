#include "grace/limit/gates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "grace/core/time.h"

namespace grace::limit {
namespace {

using core::kNsPerHour;
using core::kNsPerMinute;
using core::Source;

constexpr std::int64_t kStart = 1'736'950'000 * core::kNsPerSecond;

TEST(HourlyWindow, SlidesExactlyOverSixtyMinutes) {
  HourlyWindow window(3);
  for (const std::int64_t minute : {0, 10, 20}) {
    ASSERT_TRUE(window.allows(kStart + minute * kNsPerMinute));
    window.count(kStart + minute * kNsPerMinute);
  }
  EXPECT_FALSE(window.allows(kStart + 59 * kNsPerMinute));
  EXPECT_FALSE(window.allows(kStart + kNsPerHour - 1));
  ASSERT_TRUE(window.allows(kStart + kNsPerHour));  // the first has left
  window.count(kStart + kNsPerHour);
  // A fixed hour would start afresh here; a sliding one waits for the one of minute 10.
  EXPECT_FALSE(window.allows(kStart + kNsPerHour + 1));
  EXPECT_FALSE(window.allows(kStart + 70 * kNsPerMinute - 1));
  EXPECT_TRUE(window.allows(kStart + 70 * kNsPerMinute));
  EXPECT_EQ(window.used(kStart + 70 * kNsPerMinute), 2u);
}

TEST(HourlyWindow, NeverLetsMoreThanItsLimitThroughInAnyHour) {
  constexpr std::uint32_t kLimit = 5;
  HourlyWindow window(kLimit);
  std::vector<std::int64_t> passed;
  for (std::int64_t step = 0; step < 2000; ++step) {
    const std::int64_t now = kStart + step * step % 977 * core::kNsPerSecond + step * kNsPerMinute;
    if (!window.allows(now)) continue;
    window.count(now);
    passed.push_back(passed.empty() ? now : std::max(now, passed.back()));
  }
  ASSERT_GT(passed.size(), kLimit);
  for (std::size_t i = kLimit; i < passed.size(); ++i) {
    EXPECT_GE(passed[i] - passed[i - kLimit], kNsPerHour) << i;
  }
}

TEST(HourlyWindow, ZeroLetsNothingThrough) {
  EXPECT_FALSE(HourlyWindow(0).allows(kStart));
}

TEST(HourlyWindow, TimeThatGoesBackwardsFreesNothing) {
  HourlyWindow window(1);
  window.count(kStart);
  EXPECT_FALSE(window.allows(kStart - 5 * kNsPerHour));
}

class GatesTest : public ::testing::Test {
 protected:
  static Silence silence(std::string service, std::int64_t from_minute, std::int64_t to_minute) {
    Silence result;
    result.service = std::move(service);
    result.start_ts_ns = kStart + from_minute * kNsPerMinute;
    result.end_ts_ns = kStart + to_minute * kNsPerMinute;
    return result;
  }
  static SilenceSubject subject(std::string_view service = "api",
                                Source source = Source::kProactiveMl,
                                std::string_view diagnosis = "latency_spike",
                                std::string_view domain = "core") {
    return {source, service, domain, diagnosis};
  }
  [[nodiscard]] bool silenced(const SilenceSubject& what, std::int64_t minute) const {
    return gates.find_silence(what, kStart + minute * kNsPerMinute) != nullptr;
  }
  core::LearnedState learned;
  LimitConfig config = [] {
    LimitConfig limits;
    limits.silences_max = 3;
    return limits;
  }();
  Gates gates{config, learned};
};

TEST_F(GatesTest, EnabledNeedsTheWholeAndTheSource) {
  EXPECT_TRUE(gates.check_enabled(Source::kProactiveMl));
  config.ml.enabled = false;
  EXPECT_FALSE(Gates(config, learned).check_enabled(Source::kProactiveMl));
  EXPECT_TRUE(Gates(config, learned).check_enabled(Source::kAgenticSpine));
  config.intelligent_triggers_enabled = false;
  EXPECT_FALSE(Gates(config, learned).check_enabled(Source::kAgenticSpine));
}

TEST_F(GatesTest, MinimumConfidenceIsInclusiveAndPerSource) {
  EXPECT_TRUE(gates.check_min_confidence(Source::kProactiveMl, 0.70));
  EXPECT_FALSE(gates.check_min_confidence(Source::kProactiveMl, 0.6999));
  EXPECT_FALSE(gates.check_min_confidence(Source::kMetaLoop, 0.70));
  EXPECT_FALSE(gates.check_min_confidence(Source::kProactiveMl, std::nan("")));
}

TEST_F(GatesTest, MinimumConfidenceFollowsWhatTheMetaLoopMoved) {
  declare_adjustables(config, learned);
  ASSERT_TRUE(learned.adjust("ml.min_confidence", 0.90, kStart));
  EXPECT_DOUBLE_EQ(gates.min_confidence(Source::kProactiveMl), 0.72);  // one step
  EXPECT_FALSE(gates.check_min_confidence(Source::kProactiveMl, 0.71));
  EXPECT_DOUBLE_EQ(gates.min_confidence(Source::kAgenticSpine), 0.75);
}

TEST_F(GatesTest, AdjustableMinimumsContainTheConfiguredValueWhateverItIs) {
  config.ml.min_confidence = 0.30;
  config.agentic.min_confidence = 1.0;
  declare_adjustables(config, learned);
  for (const auto& [name, entry] : learned.adjustables()) {
    EXPECT_LE(entry.min, entry.value) << name;
    EXPECT_GE(entry.max, entry.value) << name;
  }
  EXPECT_EQ(learned.adjustables().size(), core::kSourceCount);
}

TEST_F(GatesTest, SilenceHoldsFromItsStartUntilItsEnd) {
  ASSERT_TRUE(gates.add_silence(silence("api", 10, 20)).has_value());
  EXPECT_FALSE(silenced(subject(), 9));
  EXPECT_TRUE(silenced(subject(), 10));
  EXPECT_TRUE(silenced(subject(), 19));
  EXPECT_FALSE(silenced(subject(), 20));
  EXPECT_FALSE(silenced(subject("db"), 15));
}

TEST_F(GatesTest, SilenceMatchesAllOfWhatItNames) {
  Silence both = silence("", 0, 60);
  both.diagnosis_code = "latency_spike";
  both.source = Source::kProactiveMl;
  both.domain = "core";
  ASSERT_TRUE(gates.add_silence(both).has_value());
  EXPECT_TRUE(silenced(subject(), 5));
  EXPECT_FALSE(silenced(subject("api", Source::kAgenticSpine), 5));
  EXPECT_FALSE(silenced(subject("api", Source::kProactiveMl, "error_rise"), 5));
  EXPECT_FALSE(silenced(subject("api", Source::kProactiveMl, "latency_spike", "ml"), 5));
}

TEST_F(GatesTest, SilencingEverythingHasToBeSaid) {
  Silence all = silence("", 0, 60);
  const auto refused = gates.add_silence(all);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, core::ErrorCode::kInvalidArgument);
  EXPECT_FALSE(silenced(subject(), 5));
  all.everything = true;
  ASSERT_TRUE(gates.add_silence(all).has_value());
  EXPECT_TRUE(silenced(subject(), 5));
}

TEST_F(GatesTest, SilencesAreBoundedAndTheRefusalIsCounted) {
  for (const char* service : {"a", "b", "c"}) {
    ASSERT_TRUE(gates.add_silence(silence(service, 0, 60)).has_value());
  }
  const auto refused = gates.add_silence(silence("d", 0, 60));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, core::ErrorCode::kFull);
  EXPECT_EQ(gates.refused_silence_count(), 1u);
  EXPECT_TRUE(gates.add_silence(silence("a", 0, 60)).has_value()) << "the same one again";
  EXPECT_EQ(gates.silences(kStart).size(), 3u);
  gates.on_tick(kStart + 60 * kNsPerMinute);
  EXPECT_TRUE(gates.silences(kStart).empty());
  EXPECT_TRUE(gates.add_silence(silence("d", 60, 90)).has_value());
}

TEST_F(GatesTest, ExpiringEndsASilenceOnce) {
  const auto silence_id = gates.add_silence(silence("api", 0, 60));
  ASSERT_TRUE(silence_id.has_value());
  EXPECT_TRUE(gates.expire_silence(*silence_id, kStart + kNsPerMinute).has_value());
  EXPECT_FALSE(silenced(subject(), 5));
  EXPECT_FALSE(gates.expire_silence(*silence_id, kStart + kNsPerMinute).has_value());
}

TEST_F(GatesTest, MaintenanceWindowsSilenceToo) {
  config.maintenance_windows.push_back(silence("api", 100, 200));
  const Gates with_window(config, learned);
  EXPECT_EQ(with_window.find_silence(subject(), kStart + 99 * kNsPerMinute), nullptr);
  EXPECT_NE(with_window.find_silence(subject(), kStart + 100 * kNsPerMinute), nullptr);
}

TEST_F(GatesTest, HoursOfSourcesAreApart) {
  for (int i = 0; i < 10; ++i) gates.count_hourly(Source::kMetaLoop, kStart);
  EXPECT_FALSE(gates.check_hourly(Source::kMetaLoop, kStart));
  EXPECT_TRUE(gates.check_hourly(Source::kProactiveMl, kStart));
  EXPECT_EQ(gates.hourly_used(Source::kMetaLoop, kStart), 10u);
}

}  // namespace
}  // namespace grace::limit
