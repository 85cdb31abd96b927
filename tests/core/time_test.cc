#include "grace/core/time.h"

#include <gtest/gtest.h>

#include <ctime>
#include <limits>
#include <random>

#include "stress_value.h"

namespace grace::core {
namespace {

TEST(ParseRfc3339, ReadsWhatTheStandardShows) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_rfc3339("2025-01-15T14:30:00Z"), 1'736'951'400 * kNsPerSecond);
  EXPECT_EQ(parse_rfc3339("1985-04-12T23:20:50.52Z"), 482'196'050'520'000'000);
  EXPECT_EQ(parse_rfc3339("1996-12-19T16:39:57-08:00"), parse_rfc3339("1996-12-20T00:39:57Z"));
  EXPECT_EQ(parse_rfc3339("1937-01-01T12:00:27.87+00:20"),
            parse_rfc3339("1937-01-01T11:40:27.87Z"));
  EXPECT_EQ(parse_rfc3339("1990-12-31T23:59:60Z"), parse_rfc3339("1991-01-01T00:00:00Z"));
  EXPECT_EQ(parse_rfc3339("2025-01-15t14:30:00z"), parse_rfc3339("2025-01-15T14:30:00Z"));
  EXPECT_EQ(parse_rfc3339("2025-01-15T14:30:00-00:00"), parse_rfc3339("2025-01-15T14:30:00Z"));
}

TEST(ParseRfc3339, ReadsOneToNineDigitsAndIgnoresMore) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.1Z"), 100'000'000);
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.123456789Z"), 123'456'789);
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.1234567899999Z"), 123'456'789);
}

TEST(ParseRfc3339, KnowsTheCalendar) {
  EXPECT_TRUE(parse_rfc3339("2024-02-29T00:00:00Z"));
  EXPECT_TRUE(parse_rfc3339("2000-02-29T00:00:00Z"));
  EXPECT_FALSE(parse_rfc3339("2023-02-29T00:00:00Z"));
  EXPECT_FALSE(parse_rfc3339("1900-02-29T00:00:00Z"));
  EXPECT_FALSE(parse_rfc3339("2025-04-31T00:00:00Z"));
}

TEST(ParseRfc3339, RejectsEverythingElse) {
  for (const char* const text : {"",
                                 "2025-01-15",
                                 "2025-01-15T14:30:00",
                                 "2025-01-15 14:30:00Z",
                                 "2025-01-15T14:30Z",
                                 "2025-13-15T14:30:00Z",
                                 "2025-00-15T14:30:00Z",
                                 "2025-01-00T14:30:00Z",
                                 "2025-01-15T24:00:00Z",
                                 "2025-01-15T14:60:00Z",
                                 "2025-01-15T14:30:61Z",
                                 "2025-01-15T14:30:00.Z",
                                 "2025-01-15T14:30:00,5Z",
                                 "2025-01-15T14:30:00+0100",
                                 "2025-01-15T14:30:00+24:00",
                                 "2025-01-15T14:30:00+01:60",
                                 "2025-01-15T14:30:00Zx",
                                 "2025-01-15T14:30:00Z ",
                                 " 2025-01-15T14:30:00Z",
                                 "+025-01-15T14:30:00Z",
                                 "1677-12-31T00:00:00Z",
                                 "2262-01-01T00:00:00Z",
                                 "2025-01-15T14:30:0"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
  EXPECT_FALSE(parse_rfc3339(std::string_view("2025-01-15T14:30:00\0Z", 21)));
}

TEST(ParseRfc3339, TheEdgesOfItsRangeFitIntoNanoseconds) {
  const auto first = parse_rfc3339("1678-01-01T00:00:00+23:59");
  const auto last = parse_rfc3339("2261-12-31T23:59:60.999999999-23:59");
  ASSERT_TRUE(first && last);
  EXPECT_EQ(format_rfc3339(*first), "1677-12-31T00:01:00Z");
  EXPECT_EQ(format_rfc3339(*last), "2262-01-01T23:59:00.999999999Z");
}

TEST(FormatRfc3339, AgreesWithTheCLibraryAndReadsBack) {
  std::mt19937_64 random(stress_seed());
  for (int i = 0; i < 20'000; ++i) {
    // Within the years that parse accepts.
    const std::int64_t ts_ns = static_cast<std::int64_t>(random()) / 1003 * 1000;
    const std::string text = format_rfc3339(ts_ns);
    ASSERT_EQ(parse_rfc3339(text), ts_ns) << text;
    std::time_t seconds = ts_ns / kNsPerSecond - (ts_ns % kNsPerSecond < 0 ? 1 : 0);
    std::tm date{};
    char expected[32];
    ASSERT_NE(::gmtime_r(&seconds, &date), nullptr);
    std::strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &date);
    ASSERT_EQ(text.substr(0, 19), expected) << ts_ns;
  }
}

TEST(FormatRfc3339, ShowsNoFractionOrNoTrailingZeros) {
  EXPECT_EQ(format_rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(format_rfc3339(1'500'000'000), "1970-01-01T00:00:01.5Z");
  EXPECT_EQ(format_rfc3339(1), "1970-01-01T00:00:00.000000001Z");
  EXPECT_EQ(format_rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(format_rfc3339(std::numeric_limits<std::int64_t>::min()),
            "1677-09-21T00:12:43.145224192Z");
  EXPECT_EQ(format_rfc3339(std::numeric_limits<std::int64_t>::max()),
            "2262-04-11T23:47:16.854775807Z");
}

TEST(FormatDuration, UsesTheLargestUnitThatDividesIt) {
  EXPECT_EQ(format_duration(15 * kNsPerMinute), "15 minutes");
  EXPECT_EQ(format_duration(90 * kNsPerSecond), "90 seconds");
  EXPECT_EQ(format_duration(2 * kNsPerHour), "2 hours");
  EXPECT_EQ(format_duration(48 * kNsPerHour), "2 days");
  EXPECT_EQ(format_duration(kNsPerMinute), "1 minute");
  EXPECT_EQ(format_duration(1'500'000'000), "1500 milliseconds");
  EXPECT_EQ(format_duration(7), "7 nanoseconds");
  EXPECT_EQ(format_duration(0), "0 seconds");
  EXPECT_EQ(format_duration(-5 * kNsPerMinute), "-5 minutes");
}

}  // namespace
}  // namespace grace::core
