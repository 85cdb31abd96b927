#include "alert_line.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace grace::tools {
namespace {

TEST(AlertLine, ReadsWhatItKnowsAndIgnoresTheRest) {
  const auto alert = parse_alert_line(
      R"({"index":7,"timestamp":"2022-01-24T03:00:00Z","service":"web","signature":"A-1",)"
      R"("name":"New event type.","ip":"10.0.0.1","nested":{"name":[1,null]}})");
  ASSERT_TRUE(alert) << alert.error().message;
  EXPECT_EQ(alert->index, 7U);
  EXPECT_EQ(alert->ts_ns, 1'642'993'200'000'000'000);
  EXPECT_EQ(alert->service, "web");
  EXPECT_EQ(alert->signature, "A-1");
  EXPECT_EQ(alert->text, "New event type.");
}

TEST(AlertLine, OtherNamesOfTheSameThings) {
  const auto alert = parse_alert_line(
      R"({"ts":1736950000000000000,"service":null,"host":"n1","message":"disk failed"})");
  ASSERT_TRUE(alert) << alert.error().message;
  EXPECT_FALSE(alert->index);
  EXPECT_EQ(alert->ts_ns, 1'736'950'000'000'000'000);
  EXPECT_EQ(alert->service, "n1");
  EXPECT_EQ(alert->text, "disk failed");
}

TEST(AlertLine, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> lines[] = {
      {"[1]", "no JSON object"},
      {R"({"name":"a"})", "no ts"},
      {R"({"ts":1.5,"name":"a"})", "ts is neither RFC 3339 nor integer nanoseconds"},
      {R"({"timestamp":"yesterday","name":"a"})",
       "timestamp is neither RFC 3339 nor integer nanoseconds"},
      {R"({"ts":1,"service":5,"name":"a"})", "service is no string"},
      {R"({"ts":1,"title":[],"service":"a"})", "title is no string"},
      {R"({"ts":1,"index":-1,"name":"a"})", "index is no integer from 0"},
      {R"({"ts":1,"index":"x","name":"a"})", "index is no integer from 0"},
      {R"({"ts":1,"service":"a"})", "neither a signature nor a name"},
  };
  for (const auto& [line, wanted] : lines) {
    const auto alert = parse_alert_line(line);
    ASSERT_FALSE(alert) << line;
    EXPECT_EQ(alert.error().message, wanted);
  }
  for (const char* line : {"", "{", "{\"ts\":1,}", "{\"ts\":1,\"name\":\"\xff\"}"}) {
    EXPECT_FALSE(parse_alert_line(line)) << line;
  }
}

}  // namespace
}  // namespace grace::tools
