// Good lines with bad ones of every class among them: each good one comes through as it is, each
// bad one is counted under its reason, whatever the chunks are.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "grace/core/hash.h"
#include "grace/parse/json_value.h"
#include "parse_fixture.h"

namespace grace::parse {
namespace {

constexpr std::size_t kScale = kSanitized ? 50 : 1;
constexpr std::size_t kGoodLines = 1'000'000 / kScale;
constexpr std::size_t kBadLines = 10'000 / kScale;
constexpr std::int64_t kArrivalNs = 1'736'960'000'000'000'000;

std::string good_line(std::size_t i) {
  char line[256];
  const auto number = static_cast<unsigned>(i);
  if (i % 3 == 2) {
    std::snprintf(line, sizeof line,
                  R"({"ts":"2025-01-15T14:%02u:%02uZ","kind":"action","actor":"u%u",)"
                  R"("action":"validate","resource":"s%u","result":"%s","duration_ms":%u.5,)"
                  R"("payload":{"code":%u,"note":"a b"}})",
                  number / 60 % 60, number % 60, number, number % 50,
                  i % 7 == 0 ? "error" : "success", number % 1000, number % 600);
  } else {
    std::snprintf(line, sizeof line,
                  R"({"ts":%lld,"service":"s%u","metric":"m%u","value":%u.%02u,)"
                  R"("labels":{"host":"n%u"}})",
                  static_cast<long long>(1'736'950'000'000'000'000 + number), number % 50,
                  number % 7, number, number % 100, number % 200);
  }
  return line;
}

struct BadLine {
  std::string line;
  RejectReason reason;
};

// A bad line of one of the classes, from a good one.
BadLine bad_line(std::size_t i, std::mt19937_64& random) {
  std::string line = good_line(i / 3 * 3);           // a metric
  const auto with = [&](const std::string& field) {  // before the closing brace
    return line.substr(0, line.size() - 1) + "," + field + "}";
  };
  const auto inside = [&] { return 1 + random() % (line.size() - 2); };
  switch (i % 24) {
    case 0:
      return {line.substr(0, inside()), RejectReason::kMalformedJson};
    case 1:
      return {line + line, RejectReason::kMalformedJson};
    case 2:
      return {line.substr(inside()), RejectReason::kMalformedJson};
    case 3:
      return {line.insert(line.find("\"metric\"") + 3, "\""), RejectReason::kMalformedJson};
    case 4:
      return {with(R"("x":"unclosed)"), RejectReason::kMalformedJson};
    case 5:
      return {with(R"("x":"\q")"), RejectReason::kMalformedJson};
    case 6:
      return {with(R"("x":01)"), RejectReason::kMalformedJson};
    case 7:
      return {with("\"x\":\"\x01\""), RejectReason::kMalformedJson};
    case 8:
      return {line.insert(inside(), "\xFF"), RejectReason::kInvalidUtf8};
    case 9:
      return {line.insert(inside(), "\xC3"), RejectReason::kInvalidUtf8};
    case 10:
      return {with(R"("value":"7")"), RejectReason::kWrongType};
    case 11:
      return {with(R"("service":7)"), RejectReason::kWrongType};
    case 12:
      return {with(R"("value":null)"), RejectReason::kMissingField};
    case 13:
      return {R"({"metric":"m","value":1})", RejectReason::kMissingField};
    case 14:
      return {with(R"("value":NaN)"), RejectReason::kNotFinite};
    case 15:
      return {with(R"("value":-1e999)"), RejectReason::kNotFinite};
    case 16:
      return {with("\"x\":\"" + std::string(5000, 'x') + "\""), RejectReason::kLineTooLong};
    case 17:
      return {with("\"x\":" + std::string(64, '[') + std::string(64, ']')), RejectReason::kTooDeep};
    case 18:
      return {with("\"ts\":" + std::to_string(kArrivalNs + 3'600'000'000'000)),
              RejectReason::kTsAhead};
    case 19:
      return {with(R"("ts":1.5)"), RejectReason::kTsInvalid};
    case 20:
      return {with(R"("kind":"metrics")"), RejectReason::kUnknownKind};
    case 21:
      return {"[" + line + "]", RejectReason::kNotObject};
    case 22:
      return {with(R"("kind":"control","control":"tick")"), RejectReason::kControlForbidden};
    default:
      return {with("\"service\":\"" + std::string(300, 's') + "\""), RejectReason::kFieldTooLong};
  }
}

TEST(Mutation, CostsNothingButTheMutatedLines) {
  std::mt19937_64 random(20250115);
  std::string text;
  std::vector<std::string> expected_good;
  std::vector<BadLine> expected_bad;
  std::array<std::uint64_t, kRejectReasonCount> expected_counts{};
  const std::size_t total = kGoodLines + kBadLines;
  for (std::size_t i = 0; i < total; ++i) {
    // Bad lines at random places, some of them neighbours.
    const std::size_t bad_left = kBadLines - expected_bad.size();
    if (random() % (total - i) < bad_left) {
      BadLine bad = bad_line(expected_bad.size(), random);
      text += bad.line + "\n";
      ++expected_counts[static_cast<std::size_t>(bad.reason)];
      expected_bad.push_back(std::move(bad));
    } else {
      expected_good.push_back(good_line(i));
      text += expected_good.back() + "\n";
    }
  }
  ASSERT_EQ(expected_bad.size(), kBadLines);
  ParseConfig config;
  config.line_bytes_max = 4096;
  std::uint64_t first_digest = 0;
  for (const std::size_t chunk_bytes : {8192UL, 65536UL, 263'168UL, 1UL << 20}) {
    std::uint64_t digest = 0;
    std::size_t good = 0;
    std::size_t changed = 0;
    const Parsed parsed = parse_text_into(
        text, {.chunk_bytes = chunk_bytes, .arrival_ns = kArrivalNs}, config,
        [&](const core::Event& event) {
          if (good < kGoodLines && event.view(event.line) != expected_good[good]) ++changed;
          ++good;
          digest = core::combine(digest, core::hash_bytes(ParsedEvent(event).content()));
        });
    EXPECT_EQ(good, kGoodLines);
    EXPECT_EQ(changed, 0U);
    ASSERT_EQ(parsed.rejects.size(), kBadLines);
    EXPECT_EQ(parsed.counters.accepted, kGoodLines);
    EXPECT_EQ(parsed.counters.lines, total);
    EXPECT_EQ(parsed.counters.received(),
              parsed.counters.accepted + parsed.counters.rejected_total());
    EXPECT_EQ(parsed.counters.rejected, expected_counts);
    for (std::size_t i = 0; i < kBadLines; ++i) {
      ASSERT_EQ(parsed.rejects[i].line, expected_bad[i].line);
      ASSERT_EQ(to_string(parsed.rejects[i].reason), to_string(expected_bad[i].reason))
          << expected_bad[i].line;
    }
    if (first_digest == 0) first_digest = digest;
    EXPECT_EQ(digest, first_digest) << chunk_bytes;
  }
}

// Good lines' contents against a DOM, field by field.
TEST(Mutation, GoodLinesReadLikeADom) {
  std::string text;
  for (std::size_t i = 0; i < 20'000 / kScale; ++i) text += good_line(i) + "\n";
  const Parsed parsed = parse_text(text);
  ASSERT_TRUE(parsed.rejects.empty());
  for (const ParsedEvent& event : parsed.events) {
    const JsonValue value = *JsonValue::parse(event.line);
    const bool metric = value.find("metric") != nullptr;
    ASSERT_EQ(event.service, value[metric ? "service" : "resource"].as_string());
    ASSERT_EQ(event.name, value[metric ? "metric" : "action"].as_string());
    ASSERT_EQ(event.actor, value["actor"].as_string());
    ASSERT_EQ(event.event.value, value[metric ? "value" : "duration_ms"].as_double());
    ASSERT_EQ(event.result_text, value["result"].as_string());
    ASSERT_EQ(JsonValue::parse(event.detail)->to_json(),
              value[metric ? "labels" : "payload"].to_json());
    if (metric) {
      ASSERT_EQ(event.event.ts_ns, value["ts"].as_int64());
    }
  }
}

// Any text: every cut into chunks gives the same outcomes, and what a DOM refuses is refused.
TEST(Mutation, AnyDamageGivesTheSameOutcomesForAnyCut) {
  std::mt19937_64 random(3);
  const std::string noise = "{}[]:,\"\\ \t\r\n0-.eEntfNI\xC3\xA9\xFFu";
  for (std::size_t round = 0; round < 2'000 / kScale + 50; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) text += good_line(random() % 1000) + "\n";
    const std::size_t damages = 1 + random() % 6;
    for (std::size_t i = 0; i < damages; ++i) {
      const std::size_t at = random() % text.size();
      const char c = noise[random() % noise.size()];
      switch (random() % 3) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1 + random() % 3);
      }
    }
    std::string first;
    for (const std::size_t chunk_bytes : {1UL, 300UL, 1000UL, 1UL << 20}) {
      const Parsed parsed = parse_text(
          text, {.chunk_bytes = chunk_bytes, .batch = 1 + random() % 5, .last_of_source = true});
      std::string outcome;
      for (const ParsedEvent& event : parsed.events) {
        outcome += event.content() + "\n";
        ASSERT_TRUE(JsonValue::parse(event.line).has_value()) << event.line;
      }
      for (const ParsedReject& reject : parsed.rejects) outcome += reject.content() + "\n";
      if (first.empty()) first = outcome;
      ASSERT_EQ(outcome, first) << text;
    }
  }
}

}  // namespace
}  // namespace grace::parse
