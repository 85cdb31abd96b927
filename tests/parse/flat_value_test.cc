// FlatLine takes labels and payloads that stand alone only with the general way's result.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "flat_line.h"
#include "line_walker.h"
#include "parse_fixture.h"
#include "structural_index.h"

namespace grace::parse {
namespace {

struct Ways {
  bool plain = false;
  bool general = false;
};

// Both ways over one text; where the short one takes it, they must agree.
Ways compare(Field field, std::string_view detail) {
  static StructuralIndex index(1 << 16);
  static LineWalker walker(64);
  Ways ways;
  if (!simdjson::validate_utf8(detail.data(), detail.size())) return ways;
  auto chunk = make_chunk(std::string(detail) + "\n");
  std::memset(chunk->text() + chunk->size_bytes, ' ', core::kChunkPaddingBytes);
  const auto size = static_cast<std::uint32_t>(detail.size());
  LineFields plain;
  LineFields general;
  static FlatLine flat;  // what it has learned stays
  const char* const text = chunk->text();
  if (*text == '{') {
    const char* const end =
        field == Field::kLabels ? flat.labels(text, plain) : flat.payload(text, text, plain);
    ways.plain = end == text + size;
  }
  if (index.build(chunk->text(), size + 1)) {
    walker.begin_window(chunk->text(), size + 1, index.tokens());
    ways.general = walker.walk_value(field, size, general, chunk->scratch()) == WalkResult::kOk;
  }
  if (!ways.plain) return ways;
  EXPECT_TRUE(ways.general) << detail;
  EXPECT_EQ(general.present, LineFields::bit(field)) << detail;
  EXPECT_EQ(general.span(field).begin, 0U) << detail;
  EXPECT_EQ(general.span(field).end, size) << detail;
  if (field == Field::kLabels) {
    EXPECT_EQ(plain.labels_hash, general.labels_hash) << detail;
    EXPECT_EQ(plain.labels_nested, general.labels_nested) << detail;
    return ways;
  }
  EXPECT_EQ(plain.session_present, general.session_present) << detail;
  for (std::size_t i = 0; i < LineFields::kSessionKeyCount; ++i) {
    if ((plain.session_present >> i & 1) == 0) continue;
    EXPECT_EQ(plain.session[i].begin, general.session[i].begin) << detail;
    EXPECT_EQ(plain.session[i].end, general.session[i].end) << detail;
    EXPECT_EQ((general.session_escaped >> i & 1), 0U) << detail;
  }
  return ways;
}

// Labels that were read before are known by all of their text, whatever its size and whatever one
// byte of it is instead.
TEST(FlatValue, LabelsAreKnownByAllOfTheirText) {
  for (std::size_t size = 0; size <= 120; ++size) {
    const std::string value(size, 'x');
    const std::string labels = R"({"k":")" + value + R"("})";
    for (int again = 0; again < 3; ++again) EXPECT_TRUE(compare(Field::kLabels, labels).plain);
    for (std::size_t at = 0; at < size; ++at) {
      for (const char c : {'y', '}', '"', '\\', '\x01'}) {
        std::string changed = labels;
        changed[6 + at] = c;
        const Ways ways = compare(Field::kLabels, changed);
        EXPECT_EQ(ways.plain, c == 'y' || c == '}') << changed;
        EXPECT_TRUE(compare(Field::kLabels, labels).plain);
      }
    }
  }
}

TEST(FlatValue, TakesWhatMachinesWrite) {
  EXPECT_TRUE(
      compare(Field::kLabels, R"({"host":"node-17","region":"eu-central-1","az":"b"})").plain);
  EXPECT_TRUE(compare(Field::kLabels, "{\"stadt\":\"K\u00f6ln\"}").plain);
  EXPECT_TRUE(compare(Field::kPayload, R"({"code":401,"share":0.25,"neg":-12.5,"ok":true})").plain);
  EXPECT_TRUE(compare(Field::kPayload, R"({"trace_id":"t1","session":"","session_id":"s"})").plain);
  EXPECT_TRUE(compare(Field::kPayload, R"({"session":"a","session":""})").plain);
  EXPECT_TRUE(
      compare(Field::kPayload, R"({"long_key_of_a_payload_member":"text","sessions":0})").plain);
  EXPECT_TRUE(compare(Field::kPayload, R"({"a":1e3,"b":null,"c":12345678901234567})").plain);
  EXPECT_TRUE(compare(Field::kPayload, "{}").plain && compare(Field::kLabels, "{}").plain);
}

TEST(FlatValue, LeavesTheRestToTheGeneralWay) {
  for (const char* detail : {R"({"a":"b\n"})", R"({"a": "b"})", R"({"a":{"b":1}})", R"({"a":[1]})",
                             R"({"trace_id":7})", "{\"K\u00f6ln\":\"a\"}", " {\"a\":\"b\"}"}) {
    const Ways ways = compare(Field::kPayload, detail);
    EXPECT_FALSE(ways.plain) << detail;
    EXPECT_TRUE(ways.general) << detail;
  }
  for (const char* detail : {"", "{", "}", "{\"a\"", "{\"a\":", R"({"a":"b")", R"({"a":"b"}})",
                             R"({"a":"b",})", R"({"a":01})", R"({"a":1.})", R"({"a":-})",
                             R"({"a":tru})", R"({"a":truex})", R"({"a":1x})", R"({"a":"b"x})"}) {
    const Ways ways = compare(Field::kPayload, detail);
    EXPECT_FALSE(ways.plain || ways.general) << detail;
  }
}

TEST(FlatValue, AgreesWithTheGeneralWayOnChangedTexts) {
  const std::string_view pieces = "{}[]\",:\\ 01.-+eE\x01trueabsession_id\xc3\xa9";
  std::mt19937_64 random(5);
  constexpr int kRounds = 200'000 / (kSanitized ? 10 : 1);
  std::uint64_t taken = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Field field = round % 2 == 0 ? Field::kLabels : Field::kPayload;
    std::string detail = field == Field::kLabels ? R"({"host":"n1","az":"b"})"
                                                 : R"({"code":401,"session":"s1","x":-0.5})";
    const std::uint64_t changes = random() % 3;
    for (std::uint64_t i = 0; i < changes; ++i) {
      const std::size_t at = random() % detail.size();
      const char c = pieces[random() % pieces.size()];
      if (random() % 2 == 0) {
        detail[at] = c;
      } else {
        detail.insert(at, 1, c);
      }
    }
    taken += compare(field, detail).plain ? 1 : 0;
  }
  EXPECT_GT(taken, kRounds * 3U / 10);
}

}  // namespace
}  // namespace grace::parse
