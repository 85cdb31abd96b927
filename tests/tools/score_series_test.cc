#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "series_scores.h"

namespace grace::tools {
namespace {

struct Scored {
  core::Result<std::uint64_t> rows;
  std::vector<std::string> lines;
};

Scored score(const std::string& csv, const SeriesScoreOptions& options = {}) {
  std::istringstream input(csv);
  std::ostringstream output;
  Scored scored{score_series(BoundedLines(input, "x.csv"), options, output), {}};
  std::istringstream text(output.str());
  for (std::string line; std::getline(text, line);) scored.lines.push_back(line);
  return scored;
}

std::string refused(const std::string& csv) {
  const Scored scored = score(csv);
  return scored.rows ? "accepted" : scored.rows.error().message;
}

TEST(ScoreSeries, WritesARowForARowAsItWasWritten) {
  const Scored scored = score(
      "timestamp,value\n2014-04-01 00:00:00,1.50\n2014-04-01T00:05:00Z,+2e0\r\n\n1396310400,nan");
  ASSERT_TRUE(scored.rows);
  EXPECT_EQ(*scored.rows, 3U);
  EXPECT_EQ(scored.lines, (std::vector<std::string>{
                              "timestamp,value,anomaly_score", "2014-04-01 00:00:00,1.50,0.000000",
                              "2014-04-01T00:05:00Z,+2e0,0.000000", "1396310400,nan,0.000000"}));
}

TEST(ScoreSeries, FindsItsColumnsByName) {
  const Scored scored = score("label,value,timestamp\na,7,1396310400\n");
  ASSERT_TRUE(scored.rows);
  EXPECT_EQ(scored.lines.at(1), "1396310400,7,0.000000");
}

TEST(ScoreSeries, ScoresASpikeAndSaysWhoSawIt) {
  std::string csv = "timestamp,value\n";
  for (int i = 0; i < 1'000; ++i) {
    csv += std::to_string(1'396'310'400 + 300 * i) + ',' + std::to_string(i == 900 ? 500 : i % 7) +
           '\n';
  }
  SeriesScoreOptions options;
  options.evidence = true;
  const Scored scored = score(csv, options);
  ASSERT_TRUE(scored.rows);
  EXPECT_EQ(scored.lines.at(0),
            "timestamp,value,anomaly_score,tail_probability,member,member_surprise");
  EXPECT_EQ(scored.lines.at(900), "1396580100,3,0.000000,1,,0.0000");
  std::istringstream spike(scored.lines.at(901));
  std::vector<std::string> fields;
  for (std::string field; std::getline(spike, field, ',');) fields.push_back(field);
  ASSERT_EQ(fields.size(), 6U);
  EXPECT_GE(std::stod(fields[2]), models::SeriesAnomaly::kScoreThreshold);
  EXPECT_LT(std::stod(fields[3]), 0.01);
  EXPECT_FALSE(fields[4].empty());
  EXPECT_GT(std::stod(fields[5]), 2.0);
}

TEST(ScoreSeries, NamesTheLineOfABadOne) {
  EXPECT_NE(refused("").find("x.csv:0: empty"), std::string::npos) << refused("");
  EXPECT_NE(refused("time,value\n").find("x.csv:1: the heading must name"), std::string::npos);
  EXPECT_NE(refused("timestamp,value\n1,2\n3\n").find("x.csv:3: fewer fields"), std::string::npos);
  EXPECT_NE(refused("timestamp,value\n1,two\n").find("x.csv:2: 'two' is not a number"),
            std::string::npos);
  EXPECT_NE(refused("timestamp,value\n1,\n").find("x.csv:2: '' is not a number"),
            std::string::npos);
  EXPECT_NE(refused("timestamp,value\nsoon,2\n").find("x.csv:2: 'soon' is not a time"),
            std::string::npos);
  const std::string full(BoundedLines::kLineBytesMax, '1');
  EXPECT_NE(refused("timestamp,value\n" + full + "1").find("x.csv:2: longer than 1048576"),
            std::string::npos);
  for (const char* end : {"", "\n", "\n1,2\n"}) {
    EXPECT_NE(refused("timestamp,value\n" + full + end).find("x.csv:2: fewer fields"),
              std::string::npos);
  }
  EXPECT_NE(refused(std::string("timestamp,value\n1,2\n\0001,2\n", 24)).find("x.csv:3: a NUL"),
            std::string::npos);
}

TEST(ScoreSeries, WritesTheRowsBeforeABadOne) {
  const Scored scored = score("timestamp,value\n1,2\n1,x\n3,4\n");
  EXPECT_FALSE(scored.rows);
  EXPECT_EQ(scored.lines.size(), 2U);
}

TEST(ParseSeriesTime, TakesTheUsualForms) {
  constexpr std::int64_t kTime = 1'396'310'700'000'000'000;
  EXPECT_EQ(parse_series_time("2014-04-01 00:05:00"), kTime);
  EXPECT_EQ(parse_series_time("2014-04-01T00:05:00"), kTime);
  EXPECT_EQ(parse_series_time("2014-04-01T00:05:00Z"), kTime);
  EXPECT_EQ(parse_series_time("2014-04-01 01:05:00+01:00"), kTime);
  EXPECT_EQ(parse_series_time("2014-04-01 00:05:00.25"), kTime + 250'000'000);
  EXPECT_EQ(parse_series_time("1396310700"), kTime);
  EXPECT_EQ(parse_series_time("-1"), -1'000'000'000);
}

TEST(ParseSeriesTime, RefusesTheRest) {
  for (const char* text : {"", "x", "2014-04-01", "2014-04-01 00:05", "2014-13-01 00:00:00",
                           "99999999999999", "1396310700.5", "2014-04-01 00:05:00 "}) {
    EXPECT_EQ(parse_series_time(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace grace::tools
