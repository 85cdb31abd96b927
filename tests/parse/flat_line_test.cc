// FlatLine takes a line only with the general way's result, whatever it has learned from the lines
// before.
#include "flat_line.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "line_fixture.h"
#include "walk_compare.h"

namespace grace::parse {
namespace {

Ways ways_of(const std::string& line) {
  return compare_walks(line + "\n");
}

TEST(FlatLine, TakesWhatMachinesWrite) {
  EXPECT_TRUE(ways_of(kMetric).flat);
  EXPECT_TRUE(ways_of(kAction).flat);
  for (const char* line : {
           R"({"kind":"metric","service":"s","metric":"m","value":-1.5e3})",
           R"({"service":"s","metric":"m","value":12345678.12345678,"unknown":"x","n":7})",
           R"({"service":"s","metric":"m","value":0,"labels":{},"payload":{}})",
           R"({"service":"s","metric":"m","value":1,"labels":{"a":1,"b":true,"c":null,"d":"e"}})",
           R"({"action":"a","actor":"b","status":200,"payload":{"trace_id":"t","session":""}})",
           R"({"action":"a","actor":"b","payload":{"x":false,"y":-0.25,"session_id":"s"}})",
           R"({"action":"a","a_key_that_is_longer_than_sixteen_bytes":"x","result":"ok"})",
           R"({"action":"a","action":"b","labels":{"a":"b"},"labels":{"c":"d"}})",
           R"({"action":"a","kind":"action","kind":"metric","kind":""})",
           "{\"action\":\"K\u00f6ln\",\"labels\":{\"o\":\"\U0001f600\"},\"payload\":{\"p\":"
           "\"\u00e9\"}}",
       }) {
    EXPECT_TRUE(ways_of(line).flat) << line;
  }
}

TEST(FlatLine, LeavesTheRest) {
  for (const char* line : {
           R"({"action":"a\n"})",
           R"({"action": "a"})",
           R"({"action":"K\u00f6ln"})",
           "{\"K\u00f6ln\":\"a\"}",
           R"({"action":{"a":1}})",
           R"({"payload":{"a":[1]}})",
           R"({"payload":{"a":{"b":1}}})",
           R"({"payload":{"session":7}})",
           R"({"action":null})",
           R"({"result":true})",
           " {\"action\":\"a\"}",
           "{\"action\":\"a\"}\r",
           "{}",
           "[]",
           "7",
       }) {
    EXPECT_FALSE(ways_of(line).flat) << line;
    EXPECT_TRUE(ways_of(line).general || line[0] != '{') << line;
  }
  for (const char* line : {
           "",
           "{",
           "}",
           R"({"action")",
           R"({"action":)",
           R"({"action":"a")",
           R"({"action":"a",})",
           R"({"action":"a"}})",
           R"({"action":"a"}x)",
           R"({"value":01})",
           R"({"value":1.})",
           R"({"value":-})",
           R"({"value":1x})",
           R"({"value":.5})",
           R"({"ts":17369500000000000001x})",
           R"({"labels":{"a":"b",}})",
           R"({"labels":{"a":tru}})",
           R"({"labels":{"a":"b"})",
           R"({"payload":{,}})",
           R"({"action":"a""b":"c"})",
           "{\"action\":\"a\x01\"}",
           "{\"action\":\"a\xff\"}",
           "{\"action\":\"\xc3\"}",
           "{\"labels\":{\"\xed\xa0\x80\":1}}",
       }) {
    const Ways ways = ways_of(line);
    EXPECT_FALSE(ways.flat || ways.general) << line;
  }
  EXPECT_FALSE(compare_walks(kMetric).flat) << "no newline: where its end is, is not known";
}

// A key whose value is now a number, now a text, and lines whose order of keys changes.
TEST(FlatLine, KeepsReadingWhenWhatItForetoldIsWrong) {
  for (int round = 0; round < 20; ++round) {
    EXPECT_TRUE(ways_of(R"({"ts":1736950000000000000,"kind":"metric","value":1})").flat);
    EXPECT_TRUE(ways_of(R"({"ts":"2025-01-15T14:30:00Z","kind":"metric","value":2.5})").flat);
    EXPECT_TRUE(ways_of(R"({"kind":"metric","ts":1736950000000000000,"labels":{"a":"b"}})").flat);
    EXPECT_TRUE(ways_of(R"({"value":1,"labels":{"b":"a","a":"b"},"payload":{"a":"1"}})").flat);
    EXPECT_TRUE(ways_of(R"({"value":1,"labels":{"a":7},"payload":{"b":1,"a":1}})").flat);
  }
}

TEST(FlatLine, AgreesWithTheGeneralWayOnChangedLines) {
  const std::string_view pieces = "{}[]\",:\\ 01.-+eE\x01truenlkvabts\xc3\xa9\n";
  const std::vector<std::string> lines{
      kMetric, kAction, R"({"ts":1,"x":null,"value":1e5,"labels":{"a":"b","c":1.5}})",
      R"({"kind":"action","action":"a","status":503,"payload":{"session":"s1","x":-0.5,"y":""}})"};
  std::mt19937_64 random(7);
  constexpr int kRounds = 100'000 / (kSanitized ? 10 : 1);
  std::uint64_t taken = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::string line = lines[random() % lines.size()];
    const std::uint64_t changes = random() % 3;
    for (std::uint64_t i = 0; i < changes; ++i) {
      const std::size_t at = random() % line.size();
      const char c = pieces[random() % pieces.size()];
      const std::uint64_t how = random() % 3;
      if (how == 0) {
        line[at] = c;
      } else if (how == 1) {
        line.insert(at, 1, c);
      } else {
        line.erase(at, 1 + random() % 3);
        if (line.empty()) line = "{";
      }
    }
    const std::size_t newline = line.find('\n');
    if (newline != std::string::npos) line.resize(newline);
    if (ways_of(line).flat) ++taken;
  }
  EXPECT_GT(taken, kRounds * 3U / 10);
}

TEST(FlatLine, TakesObjectsAgainAfterANull) {
  for (int round = 0; round < 3; ++round) {
    EXPECT_FALSE(ways_of(R"({"action":"a","was_null":"","payload":null})").flat);
    (void)ways_of(R"({"action":"a","was_null":"","payload":{"a":1}})");
    EXPECT_TRUE(ways_of(R"({"action":"a","was_null":"","payload":{"a":1}})").flat);
  }
}

// Lines that FlatLine takes and such that it leaves, in all proportions: the same events whatever
// window a line is read in.
TEST(FlatLine, WindowsBehindLinesThatAreLeftChangeNothing) {
  for (const std::size_t every : {1U, 2U, 5U, 9U, 100U}) {
    std::string text;
    std::vector<std::string> alone;
    for (std::size_t i = 0; i < 3'000; ++i) {
      std::string line = i % 3 == 0 ? kAction : kMetric;
      if (i % every == 0) line.insert(1, " ");
      if (i % 97 == 0) line = "{\"broken\":";
      text += line + "\n";
    }
    const Parsed parsed = parse_text(text, {});
    EXPECT_EQ(parsed.events.size() + parsed.rejects.size(), 3'000U);
    EXPECT_EQ(parsed.rejects.size(), 31U);
    std::size_t at = 0;
    for (const ParsedEvent& event : parsed.events) {
      ASSERT_GE(event.event.sequence, at);
      at = event.event.sequence + 1;
      ASSERT_EQ(event.line, text.substr(event.event.sequence, event.line.size()));
      ASSERT_EQ(text[event.event.sequence + event.line.size()], '\n');
    }
  }
}

}  // namespace
}  // namespace grace::parse
