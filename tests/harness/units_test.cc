#include "grace/harness/units.h"

#include <gtest/gtest.h>

#include <limits>

#include "grace/harness/machine.h"
#include "grace/harness/report.h"

namespace grace::harness {
namespace {

TEST(Units, AreReadAsPeopleWriteThem) {
  EXPECT_EQ(parse_rate("3M").value(), 3e6);
  EXPECT_EQ(parse_rate("250k").value(), 250e3);
  EXPECT_EQ(parse_rate("0.5G").value(), 0.5e9);
  EXPECT_EQ(parse_rate("17").value(), 17.0);
  EXPECT_EQ(parse_share("30%").value(), 0.3);
  EXPECT_EQ(parse_share("0%").value(), 0.0);
  EXPECT_EQ(parse_span_ns("5ms").value(), 5'000'000);
  EXPECT_EQ(parse_span_ns("1h").value(), 3'600'000'000'000);
  EXPECT_EQ(parse_span_ns("1.5us").value(), 1'500);
  const auto objective = parse_objective("p99.9=5ms");
  ASSERT_TRUE(objective.has_value());
  EXPECT_DOUBLE_EQ(objective->share, 0.999);
  EXPECT_EQ(objective->limit_ns, 5'000'000);
}

TEST(Units, AreReadStrictly) {
  for (const char* text : {"", "M", "3m", "3 M", "-1", "0", "1e6", "inf", "nan", "3MB", "2G",
                           "1.2.3k", " 3M", "3M "}) {
    EXPECT_FALSE(parse_rate(text).has_value()) << text;
  }
  for (const char* text : {"", "30", "100%", "-1%", "0.3", "30 %", "%"}) {
    EXPECT_FALSE(parse_share(text).has_value()) << text;
  }
  for (const char* text : {"", "5", "0ms", "5MS", "5 ms", "-5ms", "0.1ns", "2000m", "25h"}) {
    EXPECT_FALSE(parse_span_ns(text).has_value()) << text;
  }
  for (const char* text :
       {"", "p99", "99=5ms", "p100=5ms", "p0=5ms", "p99.9=5", "p99.9<5ms", "p=5ms", "p99x=5ms"}) {
    const auto bad = parse_objective(text);
    ASSERT_FALSE(bad.has_value()) << text;
    EXPECT_NE(bad.error().message.find("'" + std::string(text) + "'"), std::string::npos);
  }
}

TEST(Units, AreWrittenWithThreeDigits) {
  EXPECT_EQ(format_rate(2'312'000.0), "2.31M");
  EXPECT_EQ(format_rate(840'400.0), "840k");
  EXPECT_EQ(format_rate(12.3), "12.3");
  EXPECT_EQ(format_span(5'120'000.0), "5.12 ms");
  EXPECT_EQ(format_span(90e9), "90.0 s");
  EXPECT_EQ(format_span(800.0), "800 ns");
  EXPECT_EQ(format_objective({0.999, 5'000'000}), "p99.9 <= 5.00 ms");
}

TEST(Machine, IsNamedInFull) {
  const MachineReport report = machine_report();
  EXPECT_GE(report.cpu_count, 1U);
  EXPECT_GT(report.memory_bytes, 1U << 20);
  for (const std::string& text :
       {report.cpu_model, report.kernel, report.compiler, report.build_type, report.commit}) {
    EXPECT_FALSE(text.empty());
  }
}

TEST(Conditions, AreInconclusiveOverTwoPercentAndUnderTheFloor) {
  Conditions conditions;
  const Objective objective{0.999, 1'000'000};
  EXPECT_TRUE(doubts(conditions, objective).empty());
  conditions.quiet = {1'000'000, 19'000};
  conditions.worst_of(0.01);
  conditions.floor_ns = 900'000;
  EXPECT_TRUE(doubts(conditions, objective).empty());
  conditions.quiet.lost_ns = 21'000;
  conditions.worst_of(0.05);
  conditions.worst_of(0.03);
  conditions.floor_ns = 1'100'000;
  const auto found = doubts(conditions, objective);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_NE(found[0].find("2.1%"), std::string::npos);
  EXPECT_NE(found[1].find("5.0%"), std::string::npos);
  EXPECT_NE(found[2].find("1.10 ms"), std::string::npos);
}

TEST(Report, IsOnePageThatNeedsNothingElse) {
  Plot plot{"a < b", {"rate", AxisUnit::kRate, false}, {"latency", AxisUnit::kSpan, true}, {}};
  PlotSeries series;
  series.name = "p99 & more";
  series.points = {{1e6, 2e6, Band{1e6, 3e6}}, {2e6, 8e6, Band{7e6, 9e6}}};
  plot.series.push_back(series);
  Page page;
  page.title = "Run \"1\"";
  page.warnings = {"INCONCLUSIVE"};
  page.facts = {{"kernel", "Linux <6>"}};
  page.plots = {plot, Plot{"empty", {}, {}, {}}};
  const std::string html = to_html(page);
  EXPECT_NE(html.find("Linux &lt;6&gt;"), std::string::npos);
  EXPECT_NE(html.find("a &lt; b"), std::string::npos);
  EXPECT_NE(html.find("p99 &amp; more"), std::string::npos);
  EXPECT_NE(html.find("<polygon"), std::string::npos) << "the band";
  EXPECT_NE(html.find("no points"), std::string::npos);
  for (const char* outside : {"src=", "href=", "@import", "<script", "url("}) {
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  }
}

TEST(Report, AnAxisOfNamesShowsThemAsTheyStand) {
  Plot plot{"t", {"mix", AxisUnit::kNumber, false, {"a:1", "b<2", "c"}}, {"y"}, {}};
  PlotSeries series{"s", {{0, 5}, {2, 7}}, false, true};
  plot.series.push_back(series);
  const std::string svg = to_svg(plot);
  std::size_t at = 0;
  for (const char* name : {">a:1</text>", ">b&lt;2</text>", ">c</text>"}) {
    at = svg.find(name, at);
    ASSERT_NE(at, std::string::npos) << name << ": in order, one without a point too";
  }
  EXPECT_NE(svg.find("<title>s: a:1, 5</title>"), std::string::npos);
  EXPECT_NE(svg.find("<title>s: c, 7</title>"), std::string::npos);
  EXPECT_EQ(svg.find("<polyline"), std::string::npos) << "names have no order to follow";
}

TEST(Report, LeavesOutWhatAnAxisCannotShow) {
  Plot plot{"t", {}, {"y", AxisUnit::kNumber, true}, {}};
  PlotSeries series;
  series.name = "s";
  series.points = {{1, 0}, {2, 5}, {3, std::numeric_limits<double>::quiet_NaN()}, {4, 50}};
  plot.series.push_back(series);
  const std::string svg = to_svg(plot);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  std::size_t marks = 0;
  for (std::size_t at = svg.find("<circle"); at != std::string::npos;
       at = svg.find("<circle", at + 1)) {
    ++marks;
  }
  EXPECT_EQ(marks, 2U);
}

}  // namespace
}  // namespace grace::harness
