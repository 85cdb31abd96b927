// A packed event says what its JSON line says: the same event, or the same reason.
#include "grace/core/packed_event.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

#include "grace/parse/payload.h"
#include "parse_fixture.h"

namespace grace::parse {
namespace {

using core::ActionRecord;
using core::Attribute;
using core::JsonLine;
using core::Label;
using core::MeshEvent;
using core::MetricSample;

constexpr std::int64_t kNow = 1'736'950'000'000'000'000;

template <typename Event>
std::string packed(const Event& event) {
  const auto bound = core::packed_bound(event);
  EXPECT_TRUE(bound.has_value());
  std::vector<std::uint64_t> room(*bound / 8 + 1);
  char* const out = reinterpret_cast<char*>(room.data());
  const std::size_t size = core::pack(event, out);
  EXPECT_LE(size, *bound);
  return {out, size};
}

Parsed parse_packed(std::string_view text, const ParseConfig& config = {}, std::size_t batch = 64) {
  Parsed parsed;
  ChunkParser parser(config);
  auto chunk = make_chunk(text);
  chunk->packed = true;
  chunk->arrival_ns = kNow;
  drain(parser, *chunk, batch, parsed);
  parsed.counters = parser.counters();
  EXPECT_EQ(parsed.counters.received(),
            parsed.counters.accepted + parsed.counters.rejected_total());
  return parsed;
}

// What became of the only event in there.
std::string outcome(const Parsed& parsed) {
  EXPECT_EQ(parsed.events.size() + parsed.rejects.size(), 1U);
  if (!parsed.rejects.empty()) return std::string(to_string(parsed.rejects.front().reason));
  if (parsed.events.empty()) return "nothing";
  ParsedEvent event = parsed.events.front();
  event.line.clear();
  return event.content() + "|" + std::to_string(event.event.name_key) + "|" +
         std::to_string(event.event.session_key);
}

template <typename Event>
void expect_same(const Event& event, std::string_view json, std::string_view reason = "") {
  const std::string from_packed = outcome(parse_packed(packed(event)));
  const std::string from_json = outcome(parse_text(std::string(json) + "\n", {.arrival_ns = kNow}));
  EXPECT_EQ(from_packed, from_json) << json;
  if (!reason.empty()) {
    EXPECT_EQ(from_packed, reason) << json;
  }
}

TEST(PackedEvent, SaysWhatItsJsonLineSays) {
  const std::vector<Label> labels{{"host", "n1"}, {"zone", "a\"b\\c\n"}, {"city", "K\u00f6ln"}};
  expect_same(MetricSample{kNow, "api", "core", "latency_ms", 231.4, labels},
              R"({"ts":1736950000000000000,"service":"api","domain":"core","metric":"latency_ms",)"
              R"("value":231.4,"labels":{"host":"n1","zone":"a\"b\\c\u000a","city":"Köln"}})");
  expect_same(MetricSample{{}, "api", "", "up", -0.0},
              R"({"service":"api","metric":"up","value":-0.0})");
  const std::vector<std::string_view> texts{"a", "b"};
  const std::vector<Attribute> payload{
      {"code", std::int64_t{401}}, {"trace_id", "t\"1"},        {"share", 0.25}, {"open", true},
      {"tags", std::span(texts)},  {"raw", core::RawJson{"{}"}}};
  expect_same(ActionRecord{kNow, "auth", "validate", "svc", "auth", "core", "error", 12.5, payload},
              R"({"ts":1736950000000000000,"actor":"auth","action":"validate","resource":"svc",)"
              R"("subsystem":"auth","domain":"core","result":"error","duration_ms":12.5,)"
              R"("payload":{"code":401,"trace_id":"t\"1","share":0.25,"open":true,)"
              R"("tags":["a","b"],"raw":{}}})");
  const std::vector<Attribute> session{{"code", std::int64_t{200}}, {"session_id", "s-17"}};
  expect_same(
      ActionRecord{.actor = "auth", .action = "x", .resource = "r", .payload = session},
      R"({"actor":"auth","action":"x","resource":"r","payload":{"code":200,"session_id":"s-17"}})");
  expect_same(ActionRecord{.action = "x", .resource = "r", .result = "Timed_Out"},
              R"({"action":"x","service":"r","result":"Timed_Out"})");
}

TEST(PackedEvent, TakesAllTenMeshEventTypes) {
  for (const char* type :
       {"meta_loop.directive", "meta_loop.systemic_issue", "proactive.anomaly_forecast",
        "proactive.capacity_prediction", "proactive.risk_assessment", "proactive.drift_detected",
        "agentic_spine.cross_domain_alert", "agentic_spine.health_degradation",
        "immutable_log.pattern_detected", "immutable_log.anomaly_sequence"}) {
    const std::vector<std::string_view> reasons{"because", "of \"this\""};
    const std::vector<Attribute> payload{{"diagnosis_code", "latency_spike"},
                                         {"confidence", 0.87},
                                         {"impact", "high"},
                                         {"reasoning", std::span(reasons)}};
    expect_same(MeshEvent{kNow, type, "up", "ml", "api", "core", payload},
                R"({"ts":1736950000000000000,"event_type":")" + std::string(type) +
                    R"(","source":"up","actor":"ml","resource":"api","domain":"core","payload":)"
                    R"({"diagnosis_code":"latency_spike","confidence":0.87,"impact":"high",)"
                    R"("reasoning":["because","of \"this\""]}})");
  }
}

TEST(PackedEvent, IsRejectedForTheReasonsOfItsJsonLine) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string name(257, 'n');
  const auto later = kNow + 601'000'000'000;
  expect_same(MetricSample{kNow, "", "", "m", 1.0}, R"({"metric":"m","value":1})", "missing_field");
  expect_same(MetricSample{kNow, "s", "", "", 1.0}, R"({"service":"s","metric":"","value":1})",
              "missing_field");
  expect_same(MetricSample{kNow, "s", "", "m", nan}, R"({"service":"s","metric":"m","value":NaN})",
              "not_finite");
  expect_same(MetricSample{kNow, name, "", "m", 1.0},
              R"({"service":")" + name + R"(","metric":"m","value":1})", "field_too_long");
  expect_same(MetricSample{-1, "s", "", "m", 1.0},
              R"({"ts":-1,"service":"s","metric":"m","value":1})", "ts_invalid");
  expect_same(MetricSample{later, "s", "", "m", 1.0},
              R"({"ts":)" + std::to_string(later) + R"(,"service":"s","metric":"m","value":1})",
              "ts_ahead");
  expect_same(MetricSample{kNow, "s\xff", "", "m", 1.0},
              "{\"service\":\"s\xff\",\"metric\":\"m\",\"value\":1}", "invalid_utf8");
  const std::vector<Label> bad{{"k", "\xc3"}};
  expect_same(MetricSample{kNow, "s", "", "m", 1.0, bad},
              "{\"service\":\"s\",\"metric\":\"m\",\"value\":1,\"labels\":{\"k\":\"\xc3\"}}",
              "invalid_utf8");
  expect_same(ActionRecord{.action = "a"}, R"({"action":"a"})", "missing_field");
  expect_same(ActionRecord{.actor = "a"}, R"({"kind":"action","actor":"a"})", "missing_field");
  expect_same(ActionRecord{.actor = "a", .action = "b", .duration_ms = -1.0},
              R"({"actor":"a","action":"b","duration_ms":-1})", "out_of_range");
  std::string deep(80, '[');
  deep += std::string(80, ']');
  const std::vector<Attribute> too_deep{{"d", core::RawJson{deep}}};
  expect_same(ActionRecord{.actor = "a", .action = "b", .payload = too_deep},
              R"({"actor":"a","action":"b","payload":{"d":)" + deep + "}}", "too_deep");
  const std::vector<Attribute> broken{{"d", core::RawJson{"{"}}};
  expect_same(ActionRecord{.actor = "a", .action = "b", .payload = broken},
              R"({"actor":"a","action":"b","payload":{"d":{}})", "malformed_json");
  const std::vector<Attribute> infinite{{"d", nan}};
  expect_same(ActionRecord{.actor = "a", .action = "b", .payload = infinite},
              R"({"actor":"a","action":"b","payload":{"d":NaN}})", "not_finite");
  expect_same(MeshEvent{kNow, "no.such", "", "", "s"}, R"({"event_type":"no.such","service":"s"})",
              "unknown_event_type");
  expect_same(MeshEvent{kNow, "meta_loop.directive", "", "", "s"},
              R"({"event_type":"meta_loop.directive","service":"s"})", "missing_field");
  const std::vector<Attribute> code{{"diagnosis_code", "x"}, {"confidence", 1.5}};
  expect_same(MeshEvent{kNow, "meta_loop.directive", "", "", "s", "", code},
              R"({"event_type":"meta_loop.directive","service":"s",)"
              R"("payload":{"diagnosis_code":"x","confidence":1.5}})");
}

TEST(PackedEvent, AJsonLineIsJudgedAsIfItStoodAlone) {
  for (const char* line :
       {R"({"kind":"control","control":"deploy","service":"api","version":"2"})",
        R"({"kind":"control","control":"approve","run_id":"r"})", R"({"kind":"control"})",
        R"({"kind":"control","control":"tick"})", R"({"kind":"control","control":"no"})",
        R"({"kind":"other"})", R"([1])", R"({"a":1)", R"(7)", R"({"value":1e999})",
        R"({"kind":"metric","service":"s","metric":"m","value":"1"})",
        R"({"actor":"\u00e9","action":"a\nb"})", R"( {"actor":"a" , "action":"b"} )"}) {
    expect_same(JsonLine{line}, line);
  }
  expect_same(JsonLine{"{\"a\":\"\xff\"}"}, "{\"a\":\"\xff\"}", "invalid_utf8");
  // Two lines are no line, and nothing is no event.
  EXPECT_EQ(outcome(parse_packed(packed(JsonLine{"{}\n{}"}))), "malformed_json");
  EXPECT_EQ(outcome(parse_packed(packed(JsonLine{""}))), "malformed_json");
  ParseConfig small;
  small.line_bytes_max = 100;
  small.name_bytes_max = 50;
  const std::string long_line =
      R"({"actor":"a","action":"b","x":")" + std::string(100, 'x') + "\"}";
  EXPECT_EQ(outcome(parse_packed(packed(JsonLine{long_line}), small)), "line_too_long");
}

// As in JsonLine: nothing that is shown of a record is more than one line.
TEST(PackedEvent, ALineBreakBetweenMembersIsNone) {
  const std::vector<Attribute> payload{{"d", core::RawJson{"[1,\n2]"}}};
  const Parsed parsed =
      parse_packed(packed(ActionRecord{.actor = "a", .action = "b", .payload = payload}));
  EXPECT_EQ(outcome(parsed), "malformed_json");
  ASSERT_EQ(parsed.rejects.size(), 1U);
  EXPECT_EQ(parsed.rejects[0].line.rfind(R"({"packed":")", 0), 0U) << parsed.rejects[0].line;
  std::string line;
  core::append_json_line(packed(JsonLine{"{}\n{}"}), line);
  EXPECT_EQ(line.find('\n'), std::string::npos) << line;
}

// The example of docs/shared_ring.md.
TEST(PackedEvent, IsLaidOutAsDocumented) {
  const unsigned char expected[] = {
      0x30, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   0,   0,   0,   0,   0,    0xf0, 0x3f,
      3,    0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'a', 'p', 'i', 'u', 'p', 0x0a, 0,    0};
  const std::string record = packed(MetricSample{.service = "api", .metric = "up", .value = 1.0});
  ASSERT_EQ(record.size(), sizeof expected);
  EXPECT_EQ(std::memcmp(record.data(), expected, sizeof expected), 0);
}

TEST(PackedEvent, ASampleOfAKeptSeriesIsTheSameRecord) {
  const Label labels[]{{"host", "node \"1\""}, {"zone", "\xc3\xbc"}};
  for (MetricSample sample :
       {MetricSample{kNow, "api", "core", "latency_ms", -2.5, labels},
        MetricSample{std::nullopt, "api", "", "up", 0.0}, MetricSample{0, "", "", "", 1.0}}) {
    // What a series is made of says nothing of its samples' times and values.
    const auto series = core::PackedSeries::of(
        {7, sample.service, sample.domain, sample.metric, 99.0, sample.labels});
    ASSERT_TRUE(series.has_value());
    for (const double value : {sample.value, std::numeric_limits<double>::quiet_NaN()}) {
      sample.value = value;
      EXPECT_EQ(packed(core::SeriesSample{&*series, sample.ts_ns, value}), packed(sample));
    }
  }
}

TEST(PackedEvent, ATextTooLongForARecordHasNoBound) {
  const std::string text(core::kPackedTextBytesMax + 1, 'x');
  EXPECT_FALSE(core::PackedSeries::of({.service = text, .metric = "m"}).has_value());
  EXPECT_FALSE(core::packed_bound(MetricSample{kNow, text, "", "m", 1.0}).has_value());
  EXPECT_FALSE(core::packed_bound(ActionRecord{.actor = "a", .action = text}).has_value());
}

TEST(PackedEvent, SequencesAndDeadLettersNameTheRecord) {
  const std::string good = packed(MetricSample{kNow, "api", "", "up", 1.0});
  const std::string bad = packed(MetricSample{kNow, "", "core", "up", 2.5});
  const Parsed parsed = parse_packed(good + bad + good);
  ASSERT_EQ(parsed.events.size(), 2U);
  ASSERT_EQ(parsed.rejects.size(), 1U);
  EXPECT_EQ(parsed.events[1].event.sequence, good.size() + bad.size());
  EXPECT_EQ(parsed.rejects[0].sequence, good.size());
  EXPECT_EQ(
      parsed.rejects[0].line,
      R"({"ts":1736950000000000000,"kind":"metric","domain":"core","metric":"up","value":2.5})");
}

// Texts of all the sizes that are looked at in another way, with nothing to escape and with
// something at each place.
TEST(PackedEvent, EscapesWhatMustBeAtAnyPlaceOfAnySize) {
  for (std::size_t size = 1; size <= 26; ++size) {
    for (std::size_t at = 0; at <= size; ++at) {
      for (const auto& [byte, written] :
           {std::pair{'"', "\\\""}, std::pair{'\\', "\\\\"}, std::pair{'\x1f', "\\u001f"},
            std::pair{'\n', "\\u000a"}}) {
        std::string text(size, 'x'), json = text;
        if (at < size) {
          text[at] = byte;
          json.replace(at, 1, written);
        }
        const Label labels[]{{"k", text}};
        expect_same(MetricSample{kNow, "api", "", "up", 1.0, labels},
                    R"({"ts":1736950000000000000,"service":"api","metric":"up","value":1.0,)"
                    R"("labels":{"k":")" +
                        json + "\"}}");
      }
    }
  }
}

TEST(PackedEvent, BytesThatAreNoUtf8AreFoundAtAnyPlaceOfAnySize) {
  for (std::size_t size = 1; size <= 70; ++size) {
    const std::string text(size, 'x');
    expect_same(ActionRecord{kNow, text, "a"},
                R"({"ts":1736950000000000000,"actor":")" + text + R"(","action":"a"})");
    for (std::size_t at = 0; at < size; ++at) {
      std::string broken = text;
      broken[at] = '\x80';
      expect_same(ActionRecord{kNow, broken, "a"},
                  R"({"ts":1736950000000000000,"actor":")" + broken + R"(","action":"a"})",
                  "invalid_utf8");
    }
  }
}

// More sets of labels than a parser keeps, some too long for it, again and again: each sample has
// the series of its JSON line, and labels that are no JSON are so each time.
TEST(PackedEvent, LabelsThatWereSeenBeforeMeanTheSame) {
  std::vector<std::string> hosts;
  for (int i = 0; i < 700; ++i) {
    hosts.push_back("node-" + std::to_string(i) + std::string(i % 7 == 0 ? 200 : i % 5, 'x'));
  }
  hosts.emplace_back("a \"quoted\" \\ one");
  std::mt19937_64 random(5);
  std::string records, lines;
  std::size_t broken = 0;
  for (int i = 0; i < 6'000; ++i) {
    const std::string& host = hosts[random() % hosts.size()];
    const Label labels[]{{"host", host}, {"az", i % 2 == 0 ? "b" : "c"}};
    std::string record = packed(MetricSample{kNow, "api", "core", "up", 1.0, labels});
    std::string line;
    core::append_json_line(record, line);
    if (random() % 10 == 0) {
      record[record.rfind('}')] = ']';
      line[line.rfind('}') - 1] = ']';
      ++broken;
    }
    records += record;
    lines += line + "\n";
  }
  const Parsed packed_ones = parse_packed(records);
  const Parsed json_ones = parse_text(lines, {.arrival_ns = kNow});
  EXPECT_EQ(packed_ones.rejects.size(), broken);
  EXPECT_EQ(json_ones.rejects.size(), broken);
  ASSERT_EQ(packed_ones.events.size(), json_ones.events.size());
  for (std::size_t i = 0; i < packed_ones.events.size(); ++i) {
    ASSERT_EQ(packed_ones.events[i].event.route_key, json_ones.events[i].event.route_key) << i;
    ASSERT_EQ(packed_ones.events[i].detail, json_ones.events[i].detail) << i;
  }
}

// Whoever wrote the bytes: every record has one outcome, nothing is read outside of the chunk (the
// sanitizers watch), and an event that comes out is a valid one.
TEST(PackedEvent, AnyBytesHaveOneOutcomeARecord) {
  const std::vector<Label> labels{{"host", "n1"}, {"az", "b"}};
  const std::vector<Attribute> payload{{"session_id", "s1"}, {"code", std::int64_t{4}}};
  std::string text;
  for (int i = 0; i < 8; ++i) {
    text += packed(MetricSample{kNow, "api", "core", "latency_ms", 1.5 * i, labels});
    text += packed(ActionRecord{kNow, "auth", "login", "api", "", "core", "ok", 1.0, payload});
    text += packed(JsonLine{R"({"actor":"a","action":"b"})"});
  }
  std::mt19937_64 random(11);
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = text;
    for (int change = 0; change < 3; ++change) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    changed.resize(random() % (changed.size() + 1));
    const Parsed parsed = parse_packed(changed, {}, 1 + round % 7);
    accepted += parsed.events.size();
    rejected += parsed.rejects.size();
    EXPECT_EQ(parsed.counters.lines, core::packed_count(changed));
    for (const ParsedEvent& event : parsed.events) {
      EXPECT_FALSE(event.name.empty());
    }
  }
  EXPECT_GT(accepted, 10'000U);
  EXPECT_GT(rejected, 10'000U);
}

}  // namespace
}  // namespace grace::parse
