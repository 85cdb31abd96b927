#include "grace/core/json_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "stress_value.h"

namespace grace::core {
namespace {

TEST(JsonWriter, WritesCommasAndNestingWithoutBlanks) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.field("a", 1).field("b", "x").field("c", true).key("d").null();
  json.key("e").begin_array().value(1.5).begin_object().end_object().begin_array().end_array();
  json.value(false).end_array();
  json.key("f").begin_object().field("g", std::uint64_t{1} << 63).end_object();
  json.raw_field("h", R"({"i":[1,2]})").array_field("j", std::vector<std::string>{"k", "l"});
  json.array_field("m", std::vector<std::string>{});
  json.end_object();
  EXPECT_EQ(
      out,
      R"({"a":1,"b":"x","c":true,"d":null,"e":[1.5,{},[],false],"f":{"g":9223372036854775808},)"
      R"("h":{"i":[1,2]},"j":["k","l"],"m":[]})");
}

TEST(JsonWriter, AppendsBehindWhatIsThere) {
  std::string out = "before ";
  JsonWriter(out).begin_array().value(1).value(2).end_array();
  EXPECT_EQ(out, "before [1,2]");
}

TEST(JsonWriter, EscapesWhatMustNotStandInAString) {
  EXPECT_EQ(json_quoted("a\"b\\c/d"), R"("a\"b\\c/d")");
  EXPECT_EQ(json_quoted("\n\r\t\b\f\x01\x1f"), "\"\\n\\r\\t\\u0008\\u000c\\u0001\\u001f\"");
  EXPECT_EQ(json_quoted(std::string_view("\0", 1)), R"("\u0000")");
  EXPECT_EQ(json_quoted("\x7f"), R"("\u007f")");
  EXPECT_EQ(json_quoted(""), R"("")");
  std::string out;
  JsonWriter(out).begin_object().field("k\"\n", 1).end_object();
  EXPECT_EQ(out, R"({"k\"\n":1})");
}

TEST(JsonWriter, JudgesEachByteAtEachPlace) {
  for (int c = 0; c < 256; ++c) {
    const std::string alone = json_quoted(std::string(1, static_cast<char>(c)));
    const std::string inner = alone.substr(1, alone.size() - 2);
    for (std::size_t place = 0; place < 20; ++place) {
      std::string text(20, 'a');
      text[place] = static_cast<char>(c);
      const std::string expected =
          '"' + std::string(place, 'a') + inner + std::string(19 - place, 'a') + '"';
      ASSERT_EQ(json_quoted(text), expected) << c << " at " << place;
    }
  }
}

TEST(JsonWriter, KeepsValidUtf8AndReplacesTheRest) {
  const std::string valid = "\u00e4 \u20ac \U0001f600 \ud7ff \uffff \U0010ffff";
  EXPECT_EQ(json_quoted(valid), '"' + valid + '"');
  const std::string mark = "\xEF\xBF\xBD";
  struct Case {
    const char* text;
    int marks;
  };
  for (const Case& bad :
       {Case{"\x80", 1}, Case{"\xC0\xAF", 2}, Case{"\xC1\xBF", 2}, Case{"\xE0\x80\x80", 3},
        Case{"\xED\xA0\x80", 3}, Case{"\xF0\x80\x80\x80", 4}, Case{"\xF4\x90\x80\x80", 4},
        Case{"\xF5", 1}, Case{"\xFF", 1}, Case{"\xE2\x82", 2}, Case{"\xC3", 1}}) {
    std::string expected = "\"a";
    for (int i = 0; i < bad.marks; ++i) expected += mark;
    EXPECT_EQ(json_quoted(std::string("a") + bad.text + "z"), expected + "z\"");
    EXPECT_EQ(json_quoted(std::string("a") + bad.text), expected + "\"") << "cut by the end";
  }
}

TEST(JsonWriter, NumbersReadBackBitForBit) {
  const auto text_of = [](double number) {
    std::string out;
    JsonWriter(out).value(number);
    return out;
  };
  EXPECT_EQ(text_of(0.1), "0.1");
  EXPECT_EQ(text_of(0.9), "0.9");
  EXPECT_EQ(text_of(100.0), "100");
  EXPECT_EQ(text_of(-0.0), "-0");
  EXPECT_EQ(text_of(5e-324), "5e-324");
  EXPECT_EQ(text_of(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(text_of(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(text_of(-std::numeric_limits<double>::infinity()), "null");
  std::mt19937_64 random(stress_seed());
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = random();
    double number = 0.0;
    std::memcpy(&number, &bits, sizeof number);
    if (!std::isfinite(number)) continue;
    const double back = std::strtod(text_of(number).c_str(), nullptr);
    ASSERT_EQ(std::memcmp(&back, &number, sizeof number), 0) << text_of(number);
  }
}

TEST(JsonWriter, IntegersKeepAll64Bits) {
  std::string out;
  JsonWriter(out)
      .begin_array()
      .value(std::numeric_limits<std::int64_t>::min())
      .value(std::numeric_limits<std::uint64_t>::max())
      .value(std::int32_t{-1})
      .value(std::uint32_t{4294967295U})
      .end_array();
  EXPECT_EQ(out, "[-9223372036854775808,18446744073709551615,-1,4294967295]");
}

}  // namespace
}  // namespace grace::core
