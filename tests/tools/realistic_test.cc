// The realistic profile: its lines mean what the mixed profile's mean, and look otherwise.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "generator.h"
#include "grace/parse/json_value.h"
#include "realistic_lines.h"

namespace grace::tools {
namespace {

using parse::JsonValue;

std::vector<std::string> lines_of(const std::string& profile, std::uint64_t seed) {
  GeneratorOptions options;
  options.profile = profile;
  options.event_count = 5000;
  options.seed = seed;
  std::stringstream text;
  EXPECT_TRUE(generate(options, text).has_value());
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// Keys in the order in which they stand, as far as the text's own quotes tell.
std::vector<std::string> first_keys(const std::string& line) {
  std::vector<std::string> keys;
  for (const char* const key : {"ts", "kind", "service", "domain", "metric", "value", "labels"}) {
    if (line.find('"' + std::string(key) + "\":") != std::string::npos) keys.emplace_back(key);
  }
  std::sort(keys.begin(), keys.end(), [&](const std::string& a, const std::string& b) {
    return line.find('"' + a + "\":") < line.find('"' + b + "\":");
  });
  return keys;
}

std::size_t depth_of(const std::string& line) {
  std::size_t depth = 0, deepest = 0;
  for (const char c : line) {  // the generator's texts hold no brackets
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return deepest;
}

TEST(RealisticProfile, SameSeedGivesSameBytes) {
  EXPECT_EQ(lines_of("realistic", 7), lines_of("realistic", 7));
  EXPECT_NE(lines_of("realistic", 7), lines_of("realistic", 8));
}

TEST(RealisticProfile, HoldsTheEventsOfTheMixedProfile) {
  const std::vector<std::string> mixed = lines_of("mixed", 3);
  const std::vector<std::string> realistic = lines_of("realistic", 3);
  ASSERT_EQ(mixed.size(), realistic.size());
  std::set<std::vector<std::string>> orders;
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    const auto plain = JsonValue::parse(mixed[i]);
    const auto dressed = JsonValue::parse(realistic[i]);
    ASSERT_TRUE(plain && dressed) << realistic[i];
    for (const char* const key :
         {"ts",        "kind",       "service",     "domain",      "metric",
          "value",     "labels",     "actor",       "action",      "resource",
          "subsystem", "result",     "duration_ms", "event_type",  "source",
          "control",   "depends_on", "replicas",    "criticality", "version"}) {
      ASSERT_EQ(plain->find(key) == nullptr, dressed->find(key) == nullptr) << realistic[i];
      if (plain->find(key) == nullptr || std::string_view(key) == "labels") continue;
      ASSERT_EQ((*plain)[key].to_json(), (*dressed)[key].to_json()) << realistic[i];
    }
    for (const char* const object : {"labels", "payload"}) {
      for (const char* const key : {"host", "region", "az", "code", "request_id", "confidence",
                                    "diagnosis_code", "impact", "reasoning"}) {
        ASSERT_EQ((*plain)[object][key].to_json(), (*dressed)[object][key].to_json());
      }
    }
    orders.insert(first_keys(realistic[i]));
  }
  EXPECT_GT(orders.size(), 500U);
}

TEST(RealisticProfile, HasNestingEscapesAndSizesFrom200BytesTo2KiB) {
  std::map<std::size_t, std::size_t> octaves;
  std::size_t escaped = 0, wide = 0, deepest = 0, longest = 0;
  const std::vector<std::string> lines = lines_of("realistic", 5);
  for (const std::string& line : lines) {
    const std::size_t bytes = line.size() + 1;
    ASSERT_GE(bytes, RealisticLines::kLineBytesMin) << line;
    ASSERT_LE(bytes, RealisticLines::kLineBytesMax) << line;
    longest = std::max(longest, bytes);
    ++octaves[bytes < 400 ? 0 : bytes < 800 ? 1 : bytes < 1600 ? 2 : 3];
    escaped += line.find('\\') != std::string::npos ? 1 : 0;
    wide += std::any_of(line.begin(), line.end(), [](char c) { return (c & 0x80) != 0; }) ? 1 : 0;
    deepest = std::max(deepest, depth_of(line));
  }
  ASSERT_EQ(octaves.size(), 4U);
  for (const auto& [octave, count] : octaves) {
    EXPECT_NEAR(static_cast<double>(count), 0.25 * static_cast<double>(lines.size()), 300)
        << octave;
  }
  EXPECT_GT(longest, 2000U);
  EXPECT_GT(escaped, lines.size() / 2);
  EXPECT_GT(wide, lines.size() / 3);
  EXPECT_GE(deepest, 5U);
}

}  // namespace
}  // namespace grace::tools
