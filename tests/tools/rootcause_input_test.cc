#include "rootcause_input.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "edge_input.h"

namespace grace::tools {
namespace {

constexpr std::int64_t kAt = 1'736'951'400'000'000'000;  // 2025-01-15T14:30:00Z

std::string edges_error(const std::string& text) {
  std::istringstream in(text);
  models::RootCauseModel model;
  const auto read = read_edges(BoundedLines(in, "edges.csv"), [&](auto caller, auto callee) {
    return model.add_edge(caller, callee);
  });
  return read ? "" : read.error().message;
}

core::Result<MetricsRead> metrics_of(const std::string& text) {
  std::istringstream in(text);
  models::RootCauseModel model;
  return read_metrics(BoundedLines(in, "metrics.csv"), kAt,
                      [&](const auto&... sample) { return model.observe(sample...); });
}

std::string metrics_error(const std::string& text) {
  const auto read = metrics_of(text);
  return read ? "" : read.error().message;
}

TEST(RootCauseEdges, HeadingAndEmptyLinesAreSkipped) {
  EXPECT_EQ(edges_error("caller,callee\nweb,api\n\nweb,api\napi,api"), "");
  EXPECT_EQ(edges_error(""), "");
}

TEST(RootCauseEdges, NamesMayStandInQuotes) {
  std::istringstream in("a b , \"c, \"\"d\"\"\" \r\n\"\"\"\",\"x\"\n");
  std::vector<std::string> names;
  const auto read = read_edges(BoundedLines(in, "edges.csv"), [&](auto caller, auto callee) {
    names.emplace_back(caller);
    names.emplace_back(callee);
    return true;
  });
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(names, (std::vector<std::string>{"a b", "c, \"d\"", "\"", "x"}));
}

TEST(RootCauseEdges, NoRoomIsAnErrorThatNamesItsLine) {
  std::istringstream in("a,b\n\nc,d\ne,f\n");
  const auto read =
      read_edges(BoundedLines(in, "edges.csv"), [](auto caller, auto) { return caller != "c"; });
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().message,
            "edges.csv:3: more services and dependencies than the model keeps");
}

TEST(RootCauseEdges, AnErrorNamesItsLine) {
  EXPECT_EQ(edges_error("caller,callee\nweb\n"), "edges.csv:2: expected caller,callee");
  EXPECT_EQ(edges_error("a,b\nweb,\n"), "edges.csv:2: a service has no name");
  EXPECT_EQ(edges_error("a,\"b\n"), "edges.csv:1: a quote is not closed");
  EXPECT_EQ(edges_error("\"shut\"x,y\n"), "edges.csv:1: text beside a quoted field");
  EXPECT_EQ(edges_error("a,b,c\na,b\n"), "edges.csv:1: expected caller,callee");
}

TEST(RootCauseMetrics, CountsWhatItLeavesOut) {
  const auto read = metrics_of(
      "timestamp,service,metric,value\r\n"
      "2025-01-15T14:29:00Z,web,latency,0.5\r\n"
      "2025-01-15T14:28:00Z,web,latency,+5e-1\n"
      "2025-01-15T14:31:00Z,web,latency,0.5\n"
      "2025-01-15T14:29:30Z,web,latency,NaN\n"
      "2025-01-15T14:29:30Z,web,latency,-inf\n");
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->samples, 2U);
  EXPECT_EQ(read->later, 1U);
  EXPECT_EQ(read->not_finite, 2U);
}

TEST(RootCauseMetrics, AnErrorNamesItsLine) {
  const std::string good = "2025-01-15T14:29:00Z,web,latency,0.5\n";
  EXPECT_EQ(metrics_error(good + "2025-01-15,web,latency,1\n"),
            "metrics.csv:2: timestamp '2025-01-15' is not an RFC 3339 time");
  EXPECT_EQ(metrics_error(good + "2025-01-15T14:29:00Z,web,latency,fast\n"),
            "metrics.csv:2: value 'fast' is not a number");
  EXPECT_EQ(metrics_error(good + "2025-01-15T14:29:00Z,web,latency,\n"),
            "metrics.csv:2: value '' is not a number");
  EXPECT_EQ(metrics_error("2025-01-15T14:29:00Z,,latency,1\n"),
            "metrics.csv:1: service or metric has no name");
  EXPECT_EQ(metrics_error(good + "x,y\n"),
            "metrics.csv:2: expected timestamp,service,metric,value");
  EXPECT_EQ(metrics_error(good + "2025-01-15T14:29:00Z,web,latency,1e999\n"),
            "metrics.csv:2: value '1e999' is not a number");
  EXPECT_EQ(metrics_error(good + std::string(BoundedLines::kLineBytesMax + 1, 'x')),
            "metrics.csv:2: longer than 1048576 bytes");
}

TEST(RankingJson, NoneOfTheseStandsFirstOnlyWhenNoCauseIsNamed) {
  models::RootCauseRanking ranking;
  ranking.services = {{"db", 0.75, 0, 0, ""}, {"w\"eb", 0.125, 0, 0, ""}};
  ranking.none = 0.125;
  EXPECT_EQ(ranking_json(ranking), R"({"ranking":[{"service":"db","probability":0.75},)"
                                   R"({"service":"w\"eb","probability":0.125},)"
                                   R"({"service":"none of these","probability":0.125}]})");
  ranking.services = {{"db", 0.25, 0, 0, ""}};
  ranking.none = 0.75;
  EXPECT_EQ(ranking_json(ranking), R"({"ranking":[{"service":"none of these","probability":0.75},)"
                                   R"({"service":"db","probability":0.25}]})");
}

}  // namespace
}  // namespace grace::tools
