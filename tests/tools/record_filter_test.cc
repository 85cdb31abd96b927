#include "record_filter.h"

#include <gtest/gtest.h>

namespace grace::tools {
namespace {

constexpr const char* kRecord =
    R"({"ts":"2025-01-15T14:30:00Z","actor":"meta_loop",)"
    R"("action":"decision_threshold","resource":"api","subsystem":"meta",)"
    R"("result":"allowed","payload":{"score":0.9,"count":9007199254740993,)"
    R"("ok":true,"none":null,"who":{"name":"say \"hi\""},"why":["a","b"]}})";

bool matches(std::string_view filter, const char* record = kRecord) {
  const auto parsed = RecordFilter::parse(filter);
  EXPECT_TRUE(parsed.has_value()) << filter << ": " << parsed.error().message;
  const auto json = parse::JsonValue::parse(record);
  EXPECT_TRUE(json.has_value());
  return parsed && json && parsed->matches({42, "json", *json});
}

TEST(RecordFilter, ComparesTextsNumbersAndTheRecordsOwnFields) {
  for (const char* yes : {
           R"(subsystem = "meta")",
           R"(subsystem != "x")",
           "payload.score > 0.8",
           "payload.score >= 0.9 and payload.score <= 0.9",
           "payload.score < 1",
           "sequence = 42",
           "sequence>=42 and sequence<43",
           R"(type = "json")",
           R"(actor > "meta" and actor < "meta_z")",
           "payload.ok = true",
           "payload.none = null and payload.absent = null and absent.deep = null",
           R"(payload.who.name = "say \"hi\"")",
           R"(payload.why.1 = "b")",
           "payload.why.2 = null",
           R"(ts >= "2025-01-15T14:30:00Z" and ts < "2025-01-15T15:30:00+00:00")",
           "ts = 1736951400000000000",
       }) {
    EXPECT_TRUE(matches(yes)) << yes;
  }
  for (const char* no : {
           R"(subsystem = "Meta")",
           R"(subsystem = 1)",
           R"(subsystem < 1)",
           "payload.score > 0.9",
           R"(payload.score = "0.9")",
           "payload.absent < 1",
           "payload.absent >= 0",
           "payload.ok = false",
           "payload.ok = 1",
           "payload.ok = null",
           R"(ts > "2025-01-15T14:30:00Z")",
       }) {
    EXPECT_FALSE(matches(no)) << no;
  }
}

TEST(RecordFilter, LargeIntegersAreNotRounded) {
  EXPECT_TRUE(matches("payload.count = 9007199254740993"));
  EXPECT_FALSE(matches("payload.count = 9007199254740992"));
}

TEST(RecordFilter, AndBindsTighterThanOrAndNotTightest) {
  EXPECT_TRUE(matches(R"(sequence = 42 or sequence = 1 and sequence = 2)"));
  EXPECT_FALSE(matches(R"((sequence = 42 or sequence = 1) and sequence = 2)"));
  EXPECT_TRUE(matches(R"(not sequence = 1 and sequence = 42)"));
  EXPECT_FALSE(matches(R"(not (sequence = 1 or sequence = 42))"));
  EXPECT_TRUE(matches("not not sequence = 42"));
}

TEST(RecordFilter, TildeFindsATextOrMatchesAPattern) {
  EXPECT_TRUE(matches(R"(action ~ "thresh")"));
  EXPECT_TRUE(matches(R"(action ~ "decision_*")"));
  EXPECT_TRUE(matches(R"(action ~ "*threshol?")"));
  EXPECT_FALSE(matches(R"(action ~ "thresh*")")) << "a pattern is for the whole";
  EXPECT_FALSE(matches(R"(payload.score ~ "0")")) << "texts only";
  // What makes a backtracking matcher take forever.
  const std::string record = R"({"action":")" + std::string(20'000, 'a') + R"("})";
  EXPECT_FALSE(matches(R"(action ~ "*a*a*a*a*a*a*a*b")", record.c_str()));
}

TEST(RecordFilter, SaysWhereAndWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "column 1: a field, 'not' or '(' is expected"},
      {"action", "column 7: =, !=, <, <=, >, >= or ~ is expected"},
      {"action = ", "column 10: a text in double quotes, a number, true, false or null"},
      {"action = x", "column 10: a text in double quotes"},
      {"action = \"x", "column 10: a text is not ended"},
      {R"(action = "\n")", "column 12: only"},
      {"(action = 1", "column 12: ')' is expected for the '(' in column 1"},
      {"action = 1 sequence = 2", "column 12: 'and', 'or' or the end"},
      {"and = 1", "column 1: a field is expected, not 'and'"},
      {"payload. = 1", "column 9: a name or an index"},
      {"action ~ 1", "column 10: ~ takes a text"},
      {"ts > \"yesterday\"", "column 6: ts takes a time"},
      {"action = inf", "column 10: a text"},
      {"action = 1)", "column 11: 'and', 'or' or the end"},
  };
  for (const auto& [filter, message] : cases) {
    const auto parsed = RecordFilter::parse(filter);
    ASSERT_FALSE(parsed.has_value()) << filter;
    EXPECT_TRUE(parsed.error().message.starts_with(message))
        << filter << ": " << parsed.error().message;
  }
}

TEST(RecordFilter, DepthAndLengthAreBounded) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '(') + "sequence = 42" + std::string(depth, ')');
  };
  EXPECT_TRUE(matches(nested(RecordFilter::kDepthMax)));
  EXPECT_EQ(RecordFilter::parse(nested(RecordFilter::kDepthMax + 1)).error().offset,
            RecordFilter::kDepthMax + 1);
  std::string wide = "sequence = 42";
  while (wide.size() + 20 < RecordFilter::kTextBytesMax) wide += " and sequence != 1";
  EXPECT_TRUE(matches(wide));
  EXPECT_FALSE(RecordFilter::parse(wide + std::string(40, ' ')).has_value());
}

TEST(RecordFilter, KnowsWhetherATypeIsAskedFor) {
  EXPECT_TRUE(RecordFilter::parse("sequence = 1 or type = \"note\"")->asks_for_type());
  EXPECT_FALSE(RecordFilter::parse("payload.type = \"note\"")->asks_for_type());
}

}  // namespace
}  // namespace grace::tools
