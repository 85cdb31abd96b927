#include "grace/schedule/pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace grace::schedule {
namespace {

bool matches(std::string_view pattern, std::string_view value) {
  const auto compiled = Pattern::compile(pattern);
  EXPECT_TRUE(compiled.has_value()) << compiled.error().message;
  return compiled.has_value() && compiled->matches(value);
}

TEST(Pattern, MatchesTheWholeValueOnly) {
  EXPECT_TRUE(matches("[a-z]+", "auth"));
  EXPECT_FALSE(matches("[a-z]+", "auth1"));
  EXPECT_FALSE(matches("[a-z]+", "1auth"));
  EXPECT_FALSE(matches("[a-z]+", ""));
}

TEST(Pattern, CountsRepetitions) {
  EXPECT_FALSE(matches("a{2,3}", "a"));
  EXPECT_TRUE(matches("a{2,3}", "aa"));
  EXPECT_TRUE(matches("a{2,3}", "aaa"));
  EXPECT_FALSE(matches("a{2,3}", "aaaa"));
  EXPECT_TRUE(matches("a{2,}", "aaaaaa"));
  EXPECT_FALSE(matches("a{2,}", "a"));
  EXPECT_TRUE(matches("\\d{3}", "042"));
  EXPECT_TRUE(matches("ab?c*", "accc"));
  EXPECT_TRUE(matches("ab?c*", "ab"));
  EXPECT_FALSE(matches("ab?c*", "abb"));
}

TEST(Pattern, TakesAnyOfItsBranches) {
  EXPECT_TRUE(matches("blue|green", "green"));
  EXPECT_TRUE(matches("blue|green", "blue"));
  EXPECT_FALSE(matches("blue|green", "bluegreen"));
  EXPECT_TRUE(matches("a|", ""));
}

TEST(Pattern, NeverLetsControlCharactersThrough) {
  for (const char c : {'\n', '\r', '\t', '\0', '\x1b', '\x7f', '\x80', '\xff'}) {
    const std::string value = std::string("a") + c;
    EXPECT_FALSE(matches(".*", value)) << static_cast<int>(c);
    EXPECT_FALSE(matches("a[^x]", value)) << static_cast<int>(c);
  }
}

TEST(Pattern, RefusesWhatIsOutsideItsGrammar) {
  for (const char* bad :
       {"(a)", "[a", "a{", "a{3,2}", "a{600}", "*", "^a$", "[b-a]", "a\\", "[]", "a\n"}) {
    EXPECT_FALSE(Pattern::compile(bad).has_value()) << bad;
  }
}

// The classic that takes std::regex exponential time: here the work is bounded by states x length,
// so it ends; a backtracking matcher would not, within this test's timeout.
TEST(Pattern, IsNotSlowedDownByNestedChoices) {
  std::string pattern;
  for (int i = 0; i < 40; ++i) pattern += "a*";
  pattern += "b";
  EXPECT_FALSE(matches(pattern, std::string(Pattern::kValueBytesMax, 'a')));
}

TEST(Pattern, RefusesValuesOverItsBound) {
  EXPECT_TRUE(matches("a*", std::string(Pattern::kValueBytesMax, 'a')));
  EXPECT_FALSE(matches("a*", std::string(Pattern::kValueBytesMax + 1, 'a')));
}

TEST(Glob, MatchesNames) {
  EXPECT_TRUE(glob_matches("api_*", "api_service"));
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("a?c", "abc"));
  EXPECT_TRUE(glob_matches("*service*", "my_service_2"));
  EXPECT_FALSE(glob_matches("api_*", "web"));
  EXPECT_FALSE(glob_matches("a?c", "ac"));
  EXPECT_FALSE(glob_matches("", "x"));
}

}  // namespace
}  // namespace grace::schedule
