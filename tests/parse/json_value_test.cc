#include "grace/parse/json_value.h"

#include <gtest/gtest.h>

namespace grace::parse {
namespace {

TEST(JsonValue, OwnsWhatItRead) {
  core::Result<JsonValue> result = JsonValue::parse("null");
  {
    const std::string text =
        R"({"seq":7,"big":18446744073709551615,"x":-1.5,"ok":true,"none":null,)"
        R"("payload":{"code":"a\nb","list":[1,"two",{}]},"seq":8})";
    result = JsonValue::parse(text);
  }
  ASSERT_TRUE(result.has_value());
  const JsonValue& value = *result;
  EXPECT_EQ(value["seq"].as_int64(), 8);
  EXPECT_EQ(value["big"].as_uint64(), 18446744073709551615U);
  EXPECT_EQ(value["big"].as_int64(-1), -1);
  EXPECT_DOUBLE_EQ(value["x"].as_double(), -1.5);
  EXPECT_DOUBLE_EQ(value["seq"].as_double(), 8.0);
  EXPECT_TRUE(value["ok"].as_bool());
  EXPECT_TRUE(value["none"].is_null());
  EXPECT_EQ(value["payload"]["code"].as_string(), "a\nb");
  EXPECT_EQ(value["payload"]["list"].array().size(), 3U);
  EXPECT_EQ(value["payload"]["list"].array()[1].as_string(), "two");
  EXPECT_EQ(value["missing"]["deeper"].as_string("none"), "none");
  EXPECT_EQ(value.find("missing"), nullptr);
  EXPECT_EQ(value["payload"].to_json(), R"({"code":"a\nb","list":[1,"two",{}]})");
}

TEST(JsonValue, GivesFallbacksForOtherTypes) {
  const JsonValue value = *JsonValue::parse(R"(["a",1])");
  EXPECT_EQ(value["a"].as_int64(3), 3);
  EXPECT_EQ(value.array()[0].as_int64(4), 4);
  EXPECT_EQ(value.array()[1].as_string("x"), "x");
  EXPECT_TRUE(value.object().empty());
}

TEST(JsonValue, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "{\"a\":1}}", "\"\xFF\"", "nul"}) {
    const auto result = JsonValue::parse(text);
    ASSERT_FALSE(result.has_value()) << text;
    EXPECT_NE(result.error().message.find("not JSON"), std::string::npos);
  }
}

}  // namespace
}  // namespace grace::parse
