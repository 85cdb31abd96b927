// How text becomes lines, whatever a line says: lengths, blanks, lines that chunks or sources cut.
#include <gtest/gtest.h>

#include <string>

#include "line_fixture.h"

namespace grace::parse {
namespace {

TEST(LineFraming, LimitsLineLength) {
  ParseConfig config;
  config.line_bytes_max = 1024;
  const auto line = [](std::size_t size) {
    const std::string head = R"({"actor":"u","action":"x","pad":")";
    return head + std::string(size - head.size() - 2, 'p') + "\"}";
  };
  EXPECT_EQ(parse_text(line(1024) + "\r\n", {}, config).events.size(), 1U);
  EXPECT_EQ(reason_of(line(1025), {}, config), "line_too_long");
  EXPECT_EQ(reason_of("\"" + line(1025), {}, config), "line_too_long");
  EXPECT_EQ(reason_of(std::string(1025, ' '), {}, config), "line_too_long");
  EXPECT_EQ(reason_of(line(100'000), {}, config), "line_too_long");
  const std::size_t limit = ParseConfig{}.line_bytes_max;
  EXPECT_EQ(accept(line(limit)).actor, "u");
  EXPECT_EQ(reason_of(line(limit + 1)), "line_too_long");
}

TEST(LineFraming, CountsBlankLinesApart) {
  const Parsed parsed = parse_text("\n \t\r\n\r\n" + kMetric + "\r\n\n" + kAction + "\n  ");
  EXPECT_EQ(parsed.events.size(), 2U);
  EXPECT_EQ(parsed.events[0].line, kMetric);
  EXPECT_EQ(parsed.counters.lines, 7U);
  EXPECT_EQ(parsed.counters.blank, 5U);
  EXPECT_EQ(parsed.counters.received(), 2U);
  EXPECT_EQ(parsed.counters.rejected_total(), 0U);
}

TEST(LineFraming, JudgesAnUnfinishedLastLineOfASource) {
  const Feed last{.last_of_source = true};
  EXPECT_EQ(parse_text(kMetric, last).events.size(), 1U);
  const std::string cut = kMetric.substr(0, kMetric.size() / 2);
  Parsed parsed = parse_text(kMetric + "\n" + cut, last);
  EXPECT_EQ(parsed.events.size(), 1U);
  ASSERT_EQ(parsed.rejects.size(), 1U);
  EXPECT_EQ(parsed.rejects[0].reason, RejectReason::kTruncated);
  EXPECT_EQ(parsed.rejects[0].sequence, kMetric.size() + 1);
  parsed = parse_text(kMetric + "\n" + cut, {});
  EXPECT_EQ(parsed.rejects[0].reason, RejectReason::kMalformedJson);
  parsed = parse_text(R"({"a":1})", last);
  EXPECT_EQ(parsed.rejects[0].reason, RejectReason::kMissingField);
  // Every cut of a valid line: never an event, always truncated.
  for (std::size_t size = 1; size < kMetric.size(); ++size) {
    parsed = parse_text(kMetric.substr(0, size), last);
    ASSERT_EQ(parsed.events.size(), 0U) << size;
    ASSERT_EQ(parsed.rejects.size(), 1U) << size;
    EXPECT_EQ(parsed.rejects[0].reason, RejectReason::kTruncated) << size;
  }
}

TEST(LineFraming, CountsALineCutOverChunksOnce) {
  ChunkParser parser;
  Parsed parsed;
  const std::string piece(5000, 'x');
  auto first = make_chunk(kMetric + "\n{\"a\":\"" + piece);
  first->ends_cut = true;
  auto middle = make_chunk(piece);
  middle->first_sequence = first->size_bytes;
  middle->begins_cut = middle->ends_cut = true;
  auto last = make_chunk(piece + "\"}\n" + kAction + "\n");
  last->first_sequence = middle->first_sequence + middle->size_bytes;
  last->begins_cut = true;
  auto next = make_chunk(kAction + "\n");
  next->first_sequence = last->first_sequence + last->size_bytes;
  for (core::Chunk* chunk : {first.get(), middle.get(), last.get(), next.get()}) {
    drain(parser, *chunk, 3, parsed);
  }
  EXPECT_EQ(parsed.events.size(), 3U);
  ASSERT_EQ(parsed.rejects.size(), 1U);
  EXPECT_EQ(parsed.rejects[0].reason, RejectReason::kLineTooLong);
  EXPECT_EQ(parsed.rejects[0].sequence, kMetric.size() + 1);
  EXPECT_EQ(parser.counters().lines, 4U);
  EXPECT_EQ(parser.counters().received(),
            parser.counters().accepted + parser.counters().rejected_total());
}

// A piece that happens to be a complete value is still a piece.
TEST(LineFraming, RefusesAPieceThatLooksComplete) {
  ChunkParser parser;
  Parsed parsed;
  auto chunk = make_chunk(kMetric);
  chunk->ends_cut = true;
  drain(parser, *chunk, 3, parsed);
  auto rest = make_chunk(kMetric + "\n");
  rest->begins_cut = true;
  drain(parser, *rest, 3, parsed);
  EXPECT_EQ(parsed.events.size(), 0U);
  ASSERT_EQ(parsed.rejects.size(), 1U);
  EXPECT_EQ(parsed.rejects[0].reason, RejectReason::kLineTooLong);
}

TEST(LineFraming, JudgesEachLineAlone) {
  const std::vector<std::string> bad{
      R"({"a":1)",  "}",       R"({"a":)",      R"({"a")",   R"({"a":")", R"("})",
      R"({"a":[)",  "]}",      R"({"a":1,)",    R"("b":2})", "\"",        "\\",
      R"({"a":"\)", R"(\"})",  "\xE2\x82",      "\xAC",      "{",         "[",
      R"(1"")",     R"(x\"y)", R"({"a":{"b":)", "1}}",       "tr",        "ue"};
  for (const std::string& first : bad) {
    for (const std::string& second : bad) {
      const Parsed parsed = parse_text(kMetric + "\n" + first + "\n" + second + "\n" + kAction +
                                       "\n" + first + "\n" + kMetric + "\n");
      ASSERT_EQ(parsed.events.size(), 3U) << first << "\n" << second;
      ASSERT_EQ(parsed.rejects.size(), 3U) << first << "\n" << second;
      EXPECT_EQ(parsed.events[1].line, kAction);
      EXPECT_EQ(parsed.rejects[0].line, first);
      EXPECT_EQ(parsed.rejects[1].line, second);
      EXPECT_EQ(parsed.rejects[2].line, first);
    }
  }
}

}  // namespace
}  // namespace grace::parse
