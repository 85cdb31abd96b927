#include "grace/limit/limit_config.h"

#include <gtest/gtest.h>

#include <limits>

namespace grace::limit {
namespace {

TEST(LimitConfig, DefaultsAreThoseOfTheDocument) {
  const LimitConfig config;
  EXPECT_TRUE(config.intelligent_triggers_enabled);
  EXPECT_EQ(config.of(core::Source::kMetaLoop).min_confidence, 0.85);
  EXPECT_EQ(config.of(core::Source::kProactiveMl).min_confidence, 0.70);
  EXPECT_EQ(config.of(core::Source::kAgenticSpine).min_confidence, 0.75);
  EXPECT_EQ(config.of(core::Source::kImmutableLog).min_confidence, 0.80);
  EXPECT_EQ(config.of(core::Source::kMetaLoop).per_hour_max, 10u);
  EXPECT_EQ(config.of(core::Source::kProactiveMl).per_hour_max, 20u);
  EXPECT_EQ(config.of(core::Source::kAgenticSpine).per_hour_max, 15u);
  EXPECT_EQ(config.of(core::Source::kImmutableLog).per_hour_max, 25u);
  EXPECT_TRUE(validated(config).has_value());
}

TEST(LimitConfig, EveryNameOfTheDocumentSetsItsOwnField) {
  LimitConfig config;
  const auto set = [&](std::string_view name, std::string_view value) {
    const auto known = apply_environment_name(config, name, value);
    ASSERT_TRUE(known.has_value()) << known.error().message;
    EXPECT_TRUE(*known) << name;
  };
  set("INTELLIGENT_TRIGGERS_ENABLED", "False");
  set("META_LOOP_TRIGGERS_ENABLED", "0");
  set("ML_TRIGGERS_ENABLED", "no");
  set("AGENTIC_TRIGGERS_ENABLED", "off");
  set("LOG_PATTERN_TRIGGERS_ENABLED", "FALSE");
  set("META_LOOP_MIN_CONFIDENCE", "0.51");
  set("ML_MIN_CONFIDENCE", "0.52");
  set("AGENTIC_MIN_CONFIDENCE", "0.53");
  set("LOG_PATTERN_MIN_CONFIDENCE", "0.54");
  set("MAX_META_LOOP_TRIGGERS_PER_HOUR", "1");
  set("MAX_ML_TRIGGERS_PER_HOUR", "2");
  set("MAX_AGENTIC_TRIGGERS_PER_HOUR", "3");
  set("MAX_LOG_TRIGGERS_PER_HOUR", "4");
  EXPECT_FALSE(config.intelligent_triggers_enabled);
  const auto expect = [&](core::Source source, double confidence, std::uint32_t per_hour) {
    EXPECT_FALSE(config.of(source).enabled);
    EXPECT_EQ(config.of(source).min_confidence, confidence);
    EXPECT_EQ(config.of(source).per_hour_max, per_hour);
  };
  expect(core::Source::kMetaLoop, 0.51, 1);
  expect(core::Source::kProactiveMl, 0.52, 2);
  expect(core::Source::kAgenticSpine, 0.53, 3);
  expect(core::Source::kImmutableLog, 0.54, 4);
  EXPECT_EQ(config_names().size(), 13u);
}

TEST(LimitConfig, AnotherNameIsNotOurs) {
  LimitConfig config;
  const auto known = apply_environment_name(config, "PATH", "/bin");
  ASSERT_TRUE(known.has_value());
  EXPECT_FALSE(*known);
}

TEST(LimitConfig, ABadValueNamesFieldAndValueAndChangesNothing) {
  LimitConfig config;
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"ML_MIN_CONFIDENCE", "1.5"},
           {"ML_MIN_CONFIDENCE", "nan"},
           {"ML_MIN_CONFIDENCE", "0.7 "},
           {"ML_MIN_CONFIDENCE", ""},
           {"MAX_ML_TRIGGERS_PER_HOUR", "-1"},
           {"MAX_ML_TRIGGERS_PER_HOUR", "100001"},
           {"MAX_ML_TRIGGERS_PER_HOUR", "2.5"},
           {"ML_TRIGGERS_ENABLED", "maybe"}}) {
    const auto known = apply_environment_name(config, name, value);
    ASSERT_FALSE(known.has_value()) << name << "=" << value;
    EXPECT_EQ(known.error().code, core::ErrorCode::kConfig);
    EXPECT_NE(known.error().message.find(name), std::string::npos);
    EXPECT_NE(known.error().message.find(value), std::string::npos);
  }
  EXPECT_EQ(config.ml.min_confidence, 0.70);
  EXPECT_EQ(config.ml.per_hour_max, 20u);
  EXPECT_TRUE(config.ml.enabled);
}

TEST(LimitConfig, ValidatorRefusesWhatIsOutsideItsDocumentation) {
  LimitConfig config;
  config.agentic.min_confidence = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(validated(config).has_value());
  config = {};
  config.log_pattern.per_hour_max = kPerHourMax + 1;
  EXPECT_FALSE(validated(config).has_value());
  config = {};
  Silence window;
  window.silence_id = "night";
  window.start_ts_ns = window.end_ts_ns = 5;
  config.maintenance_windows.push_back(window);
  const auto refused = validated(config);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("night"), std::string::npos);
}

}  // namespace
}  // namespace grace::limit
