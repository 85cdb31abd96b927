// What `grace bench` sweeps over by name: mixes of the generated events, and counts of rules.
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <map>
#include <sstream>

#include "config.h"
#include "event_mix.h"
#include "grace/parse/json_value.h"
#include "idle_rules.h"

namespace grace::tools {
namespace {

// Lines by what they are: metric, success or error, and "other".
std::map<std::string, int> kinds_of(const std::string& mix) {
  GeneratorOptions options;
  options.event_count = 20'000;
  options.service_count = 20;
  EXPECT_TRUE(set_event_mix(mix, options).has_value()) << mix;
  std::stringstream text;
  EXPECT_TRUE(generate(options, text).has_value()) << mix;
  std::map<std::string, int> kinds;
  for (std::string line; std::getline(text, line);) {
    const auto value = parse::JsonValue::parse(line);
    EXPECT_TRUE(value.has_value()) << line;
    if (!value) break;
    const std::string kind((*value)["kind"].as_string());
    const bool action = kind == "action";
    ++kinds[action             ? std::string((*value)["result"].as_string())
            : kind == "metric" ? kind
                               : "other"];
  }
  return kinds;
}

TEST(EventMix, GivesItsSharesAndLeavesTheRest) {
  for (const auto& [mix, shares] : {std::pair{"60:30:10", std::array{0.6, 0.3, 0.1}},
                                    std::pair{"metrics", std::array{1.0, 0.0, 0.0}},
                                    std::pair{"actions", std::array{0.0, 1.0, 0.0}},
                                    std::pair{"errors", std::array{0.0, 0.0, 1.0}},
                                    std::pair{"0.5:0:1.5", std::array{0.25, 0.0, 0.75}}}) {
    auto kinds = kinds_of(mix);
    const int events = kinds["metric"] + kinds["success"] + kinds["error"];
    EXPECT_EQ(events + kinds["other"], 20'000) << mix;
    EXPECT_NEAR(kinds["other"], 20 + 100, 50) << mix << ": topology, mesh and control events";
    // Five standard deviations of the share that varies most.
    const std::array found{kinds["metric"], kinds["success"], kinds["error"]};
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i], events * shares[i], shares[i] > 0 && shares[i] < 1 ? 350 : 0) << mix;
    }
  }
  auto mixed = kinds_of("mixed");
  EXPECT_NEAR(mixed["metric"], 11'000, 350) << "the profile's own";
}

TEST(EventMix, RefusesWhatIsNone) {
  for (const char* text : {"", "x", "1:1", "1:1:1:1", "1:1:", ":1:1", "0:0:0", "-1:1:1", "inf:1:1",
                           "nan:1:1", "1e308:1e308:1e308", "1:1:1x", " 1:1:1", "week"}) {
    GeneratorOptions options;
    const auto set = set_event_mix(text, options);
    ASSERT_FALSE(set.has_value()) << text;
    EXPECT_EQ(set.error().code, core::ErrorCode::kInvalidArgument) << text;
    EXPECT_FALSE(options.shares.has_value()) << text;
  }
}

TEST(EventMix, IsOfAProfileThatMixes) {
  GeneratorOptions options;
  options.profile = "realistic";
  ASSERT_TRUE(set_event_mix("metrics", options).has_value());
  EXPECT_EQ(options.profile, "realistic");
  ASSERT_TRUE(set_event_mix("mixed", options).has_value());
  EXPECT_EQ(options.profile, "mixed");
  EXPECT_FALSE(options.shares.has_value()) << "a profile brings its own";
  options.profile = "week";
  options.shares = EventShares{.metrics = 1.0};
  std::ostringstream out;
  const auto refused = generate(options, out);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, core::ErrorCode::kInvalidArgument);
}

TEST(IdleRules, AreAsManyAsAskedForAndAValidConfiguration) {
  const std::string path = ::testing::TempDir() + "idle_rules.toml";
  for (const std::size_t count : {1U, 2U, 3U, 10U, 1'000U}) {
    std::ofstream(path) << idle_rules(count);
    auto config = load_config(path);
    ASSERT_TRUE(config.has_value()) << config.error().message;
    const std::size_t ranges = config->proactive.ranges.size();
    const std::size_t windows = config->engine.triggers.limit.maintenance_windows.size();
    const std::size_t policies = config->engine.schedule.trust.policies.size();
    EXPECT_EQ(ranges + windows + policies, count);
    EXPECT_EQ(ranges, count / 3);
    EXPECT_EQ(windows, count / 3);
    const auto checked = check_config(std::move(*config));
    EXPECT_TRUE(checked.has_value()) << checked.error().message;
  }
}

}  // namespace
}  // namespace grace::tools
