// LineShapes makes of a line what the general way makes of it, or leaves it to that.
#include "line_shapes.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "line_fixture.h"
#include "shape_compare.h"

namespace grace::parse {
namespace {

class LineShapesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_wide_registers()) GTEST_SKIP() << "line shapes are not for this CPU";
  }
};

// The lines in turn, twice: those of the second turn that were read by their shape.
std::uint64_t shaped(const std::vector<std::string>& lines, const Feed& feed = {},
                     const ParseConfig& config = {}) {
  ShapeCompare compare(config);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  compare.read(text, feed);
  return compare.read(text, feed).shaped;
}

TEST_F(LineShapesTest, TakeTheNextLineOfEachShape) {
  for (const std::string& line : {
           kMetric,
           kAction,
           std::string(R"({"service":"s","metric":"m","value":1})"),
           std::string(R"({"resource":"s","metric":"m","value":-1.5e3,"labels":{}})"),
           std::string(R"({"value":7,"kind":"metric","metric":"m","service":"s"})"),
           std::string(R"({"metric":"m","value":123456.5,"service":"s","kind":"metric"})"),
           std::string(R"({"ts":7,"metric":"m","value":0,"service":"s","payload":{"a":1}})"),
           std::string(R"({"metric":"m","value":0,"service":"s","n":12,"x":"y","actor":"a"})"),
           std::string(R"({"action":"a","actor":"b","status":"OK","payload":{}})"),
           std::string(R"({"action":"a","service":"b","result":"","labels":{"a":"b"}})"),
           std::string(R"({"action":"a","actor":"b","duration_ms":3,"payload":{"c":true}})"),
           std::string(R"({"action":"a","actor":"b","payload":{"session":"s","trace_id":"t"}})"),
           std::string(R"({"action":"a","actor":"b","payload":{"session_id":"","n":1},"x":"y"})"),
           std::string(R"({"action":"a","actor":"b","payload":{"a":1,"b":null,"c":"d","e":2.5}})"),
           std::string(R"({"action":"a","actor":"b","a_key_that_is_quite_long":"x"})"),
       }) {
    EXPECT_EQ(shaped({line}), 1U) << line;
    EXPECT_EQ(shaped({line, kMetric, line, kAction}), 4U) << line;
  }
}

TEST_F(LineShapesTest, LeaveTheRest) {
  for (const std::string& line : {
           kMesh,
           std::string(R"({"kind":"control","control":"tick"})"),
           std::string(R"({"kind":"metrics","service":"s","metric":"m","value":1})"),
           std::string(R"({"service":"s","resource":"r","metric":"m","value":1})"),
           std::string(R"({"action":"a","actor":"b","result":"ok","status":"failed"})"),
           std::string(R"({"action":"a","actor":"b","action":"c"})"),
           std::string(R"({"action":"a","actor":"b","status":200})"),
           std::string(R"({"action":"","actor":"b"})"),
           std::string(R"({"action":"a","actor":"","service":""})"),
           std::string(R"({"action":"a","actor":"b","duration_ms":-1})"),
           std::string(R"({"action":"a","actor":"b","duration_ms":"1"})"),
           std::string(R"({"ts":-5,"action":"a","actor":"b"})"),
           std::string(R"({"ts":1.5,"action":"a","actor":"b"})"),
           std::string(R"({"ts":"soon","action":"a","actor":"b"})"),
           std::string(R"({"service":"","metric":"m","value":1})"),
           std::string(R"({"service":"s","metric":"m"})"),
           std::string(R"({"service":"s","metric":"m","value":"1"})"),
           std::string(R"({"service":"s","metric":"m","value":1,"labels":{"a":1}})"),
           std::string(R"({"service":"s","metric":"m","value":1,"labels":"a"})"),
           std::string(R"({"action":"a","actor":"b","payload":{"a":{"b":1}}})"),
           std::string(R"({"action":"a\n","actor":"b"})"),
           std::string("{\"action\":\"K\u00f6ln\",\"actor\":\"b\"}"),
           std::string(R"({"action":"a","actor":"b","a_key_that_is_longer_than_all_of_them":"x"})"),
           std::string(R"( {"action":"a","actor":"b"})"),
           std::string("{\"action\":\"a\",\"actor\":\"b\"}\r"),
           std::string("{}"),
           std::string(""),
       }) {
    EXPECT_EQ(shaped({line}), 0U) << line;
    EXPECT_EQ(shaped({kMetric, line, kAction}), 2U) << line;
  }
}

// Lines of a shape that is known, one of whose values is none that is taken.
TEST_F(LineShapesTest, LeaveValuesThatAreNotTaken) {
  const std::string line = R"({"ts":1736950000000000000,"action":"act","actor":"b",)"
                           R"("duration_ms":1.5,"payload":{"code":1,"session":"s"}})";
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string other = line;
    return other.replace(other.find(from), from.size(), to);
  };
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"act\"", "\""},
           {"act\"", "a\\\"\""},
           {"act\"", "\xc3\xa9\""},
           {"act\"", "\xff\""},
           {"act\"", "a\x01\""},
           {"act\"", std::string(300, 'a') + "\""},
           {"1736950000000000000", "173695000000000000x"},
           {"1736950000000000000", "17369500000x0000000"},
           {"1736950000000000000", "9999999999999999999"},
           {"1736950000000000000", "-736950000000000000"},
           {"1736950000000000000", "1736950000000000000 "},
           {"1736950000000000000", ""},
           {"1736950000000000000", "true"},
           {"1.5", "-1.5"},
           {"1.5", "1."},
           {"1.5", "01.5"},
           {"1.5", ".5"},
           {"1.5", "1.5.5"},
           {"1.5", "1e999"},
           {"1.5", "null"},
           {"1.5", ""},
           {"\"code\":1", "\"code\":01"},
           {"\"code\":1", "\"code\":tru"},
           {"\"code\":1", "\"code\":1}"},
           {"\"code\":1", "\"code\":[1]"},
           {"\"code\":1,", "\"code\""},
           {"\"code\":1", "\"code\":"},
           {"}}", "}"},
           {"}}", "}}}"},
           {"\"actor\"", "'actor'"},
       }) {
    const std::string other = changed(from, to);
    EXPECT_EQ(shaped({line, other, line}), 2U) << other;
  }
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"1736950000000000000", "1736950000000000001"},
           {"1736950000000000000", "1836950000000000000"},
           {"1736950000000000000", "0"},
           {"1.5", "1234567.5"},
           {"1.5", "123456789.123456789"},
           {"1.5", "1e3"},
           {"\"code\":1", "\"code\":false"},
           {"\"code\":1", "\"code\":-1e-3"},
           {"\"s\"", "\"\""},
       }) {
    const std::string other = changed(from, to);
    EXPECT_EQ(shaped({line, other, line}), 3U) << other;
  }
}

TEST_F(LineShapesTest, JudgeAsTheConfigurationAndTheChunkSay) {
  const std::string line = R"({"ts":1736950000000000000,"action":"act","actor":"b"})";
  Feed feed;
  feed.trusted = true;
  feed.arrival_ns = 1'736'950'000'000'000'000;
  EXPECT_EQ(shaped({line}, feed), 1U);
  feed.arrival_ns -= ParseConfig{}.ahead_max.count() + 1;
  EXPECT_EQ(shaped({line}, feed), 0U);
  ParseConfig config;
  config.name_bytes_max = 3;
  EXPECT_EQ(shaped({line}, {}, config), 1U);
  config.name_bytes_max = 2;
  EXPECT_EQ(shaped({line}, {}, config), 0U);
  config.name_bytes_max = 64;
  config.line_bytes_max = 64;
  EXPECT_EQ(shaped({line, line + std::string(64, ' ')}, {}, config), 1U);
  std::string longer = line;
  longer.insert(longer.size() - 1, R"(,"other":"123456789")");
  EXPECT_EQ(shaped({longer, line}, {}, config), 1U);
}

TEST_F(LineShapesTest, KnowMoreShapesThanTheyKeep) {
  std::vector<std::string> lines;
  for (int i = 0; i < 40; ++i) {
    lines.push_back(R"({"action":"a","actor":"b","key_)" + std::to_string(i) + R"(":"x"})");
  }
  EXPECT_LT(shaped(lines), lines.size()) << "the first ones have been forgotten";
  lines.resize(12);
  EXPECT_EQ(shaped(lines), lines.size());
}

// Windows of the index end within lines, chunks with and without a newline; some lines are left.
TEST_F(LineShapesTest, FollowTheIndexOverLongTexts) {
  for (const std::size_t filler : {0U, 100U, 1'000U, 17'000U}) {
    ShapeCompare compare;
    std::string text;
    std::mt19937_64 random(5);
    for (int i = 0; i < 3'000; ++i) {
      std::string line = random() % 2 == 0 ? kMetric : kAction;
      if (i % 50 == 0) {
        line.insert(line.size() - 1, R"(,"filler":")" + std::string(filler, 'f') + "\"");
      }
      if (i % 97 == 0) line = i % 2 == 0 ? "" : "{\"broken\":";
      text += line + "\n";
    }
    compare.read(text);
    const auto counts = compare.read(text + kMetric);
    EXPECT_EQ(counts.lines, 3'001U);
    EXPECT_EQ(counts.accepted, 3'000U - 31U);
    // All but those that no window holds, and those behind them in reach of a window.
    EXPECT_GE(counts.shaped, filler < 16'000 ? counts.accepted : counts.accepted * 3 / 4);
  }
}

// Where most lines are left, no index is made for a while; then it is tried again.
TEST_F(LineShapesTest, RestWhereMostLinesAreLeft) {
  ShapeCompare compare;
  std::string text;
  for (int i = 0; i < 3'000; ++i)
    text += R"({"action":"K\u00f6ln","actor":"b"})"
            "\n";
  EXPECT_EQ(compare.read(text).shaped, 0U);
  text.clear();
  for (int i = 0; i < 3'000; ++i) text += kMetric + "\n";
  EXPECT_GT(compare.read(text).shaped, 2'990U);
}

TEST_F(LineShapesTest, AgreeOnChangedLines) {
  const std::string_view pieces = "{}[]\",:\\ 01.-+eE\x01truenlkvabts\xc3\xa9\n";
  const std::vector<std::string> lines{
      kMetric, kAction, R"({"ts":1,"service":"s","metric":"m","value":1e5,"labels":{"a":"b"}})",
      R"({"kind":"action","action":"a","actor":"c","payload":{"session":"s1","x":-0.5,"y":""}})"};
  ShapeCompare compare;
  std::mt19937_64 random(11);
  constexpr int kRounds = 20'000 / (kSanitized ? 10 : 1);
  std::uint64_t shaped_lines = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::string text;
    for (int i = 0; i < 8; ++i) {
      std::string line = lines[random() % lines.size()];
      for (std::uint64_t changes = random() % 3; changes > 0 && !line.empty(); --changes) {
        const std::size_t at = random() % line.size();
        const std::uint64_t how = random() % 3;
        if (how == 0) line[at] = pieces[random() % pieces.size()];
        if (how == 1) line.insert(at, 1, pieces[random() % pieces.size()]);
        if (how == 2) line.erase(at, 1 + random() % 3);
      }
      text += line + "\n";
    }
    shaped_lines += compare.read(text).shaped;
  }
  EXPECT_GT(shaped_lines, kRounds * 8U / 4);
}

TEST_F(LineShapesTest, StopsAreWhereTheyAre) {
  std::mt19937_64 random(3);
  std::vector<std::uint32_t> stops(4'096 + 64);
  for (int round = 0; round < 2'000; ++round) {
    std::string text(random() % 4'000 + 1, 'a');
    const std::uint64_t one_in = random() % 40 + 1;
    for (char& c : text) {
      if (random() % one_in == 0) c = static_cast<char>(random());
    }
    const auto begin = static_cast<std::uint32_t>(random() % text.size());
    const auto end = static_cast<std::uint32_t>(begin + random() % (text.size() - begin + 1));
    std::vector<std::uint32_t> expected;
    for (std::uint32_t at = begin; at < end; ++at) {
      const auto c = static_cast<unsigned char>(text[at]);
      if (c == '"' || c == '\\' || c < 0x20 || c >= 0x80) expected.push_back(at);
    }
    const std::string padded = text + std::string(64, '"');
    std::uint32_t* const last = find_stops(padded.data(), begin, end, stops.data());
    ASSERT_EQ(std::vector<std::uint32_t>(stops.data(), last), expected);
  }
}

}  // namespace
}  // namespace grace::parse
