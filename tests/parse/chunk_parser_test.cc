#include <gtest/gtest.h>

#include <string>

#include "grace/core/hash.h"
#include "grace/core/time.h"
#include "line_fixture.h"

namespace grace::parse {
namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(ChunkParser, ReadsAMetric) {
  const ParsedEvent metric = accept(kMetric);
  EXPECT_EQ(metric.event.kind, core::EventKind::kMetric);
  EXPECT_EQ(metric.event.ts_ns, 1736950000000000000);
  EXPECT_EQ(metric.service, "api_service");
  EXPECT_EQ(metric.domain, "core");
  EXPECT_EQ(metric.name, "latency_ms");
  EXPECT_DOUBLE_EQ(metric.event.value, 231.4);
  EXPECT_EQ(metric.detail, R"({"host":"n1"})");
  EXPECT_EQ(metric.line, kMetric);
  EXPECT_EQ(metric.event.service_key, core::hash_bytes("api_service"));
}

TEST(ChunkParser, ReadsAnAction) {
  const ParsedEvent action = accept(kAction);
  EXPECT_EQ(action.event.kind, core::EventKind::kAction);
  EXPECT_EQ(action.event.ts_ns, core::parse_rfc3339("2025-01-15T14:30:00Z"));
  EXPECT_EQ(action.actor, "auth");
  EXPECT_EQ(action.name, "auth_validate");
  EXPECT_EQ(action.service, "auth_service");
  EXPECT_EQ(action.subsystem, "auth");
  EXPECT_EQ(action.result_text, "error");
  EXPECT_EQ(action.event.result, core::ActionResult::kError);
  EXPECT_DOUBLE_EQ(action.event.value, 12.5);
  EXPECT_EQ(action.detail, R"({"code":401})");
  EXPECT_EQ(action.event.route_key, core::hash_bytes("auth"));
}

TEST(ChunkParser, ReadsAMeshEvent) {
  const ParsedEvent mesh = accept(kMesh);
  EXPECT_EQ(mesh.event.kind, core::EventKind::kMesh);
  EXPECT_EQ(mesh.name, "proactive.anomaly_forecast");
  EXPECT_EQ(mesh.subsystem, "anomaly_forecaster");
  EXPECT_EQ(mesh.service, "api_service");
  EXPECT_EQ(mesh.actor, "ml");
  EXPECT_TRUE(std::isnan(mesh.event.value));
}

TEST(ChunkParser, InfersTheKind) {
  EXPECT_EQ(accept(R"({"service":"a","metric":"m","value":1})").event.kind,
            core::EventKind::kMetric);
  EXPECT_EQ(accept(R"({"actor":"a","action":"x"})").event.kind, core::EventKind::kAction);
  EXPECT_EQ(accept(replaced(kMesh, R"("actor":"ml")", R"("metric":"x")")).event.kind,
            core::EventKind::kMesh);
  EXPECT_EQ(accept(R"({"control":"deploy","service":"a"})").event.kind, core::EventKind::kControl);
  EXPECT_EQ(reason_of(R"({"service":"a","value":1})"), "missing_field");
}

TEST(ChunkParser, ReadsAliasesAlike) {
  EXPECT_EQ(accept(R"({"resource":"a","metric":"m","value":1})").service, "a");
  EXPECT_EQ(accept(R"({"resource":"b","service":"a","metric":"m","value":1})").service, "a");
  EXPECT_EQ(accept(R"({"actor":"u","action":"x","status":"FAILED"})").event.result,
            core::ActionResult::kError);
  EXPECT_EQ(accept(R"({"actor":"u","action":"x","status":"x","result":"OK"})").result_text, "OK");
  EXPECT_EQ(accept(R"({"actor":"u","action":"x","status":true})").event.result,
            core::ActionResult::kSuccess);
  EXPECT_EQ(accept(R"({"actor":"u","action":"x","status":503})").result_text, "503");
}

TEST(ChunkParser, TakesFieldsInAnyOrderAndIgnoresUnknownOnes) {
  const ParsedEvent a = accept(R"({"service":"s","metric":"m","value":2,"ts":5})");
  const ParsedEvent b = accept(
      R"( { "extra" : [ { "deep" : [ 1 , -2.5e3 , true , null ] } ] , "value" : 2 , "ts" : 5 ,)"
      R"( "metric" : "m" , "serviced" : { } , "service" : "s" } )");
  EXPECT_EQ(a.event.route_key, b.event.route_key);
  EXPECT_EQ(a.event.ts_ns, b.event.ts_ns);
  EXPECT_DOUBLE_EQ(b.event.value, 2.0);
}

TEST(ChunkParser, TakesTheLastOfRepeatedKeysAndNullAsAbsent) {
  EXPECT_EQ(accept(R"({"service":"a","service":"b","metric":"m","value":1,"value":2})").service,
            "b");
  EXPECT_EQ(accept(R"({"service":null,"resource":"r","metric":"m","value":1})").service, "r");
  EXPECT_EQ(reason_of(R"({"service":"a","service":null,"metric":"m","value":1})"), "missing_field");
  EXPECT_EQ(accept(R"({"service":"a","metric":"m","value":1,"labels":null})").detail, "");
}

TEST(ChunkParser, ResolvesEscapes) {
  const ParsedEvent event = accept(R"({"\u0073ervice":"a\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\ude00",)"
                                   R"("metric":"m\u006d","value":1})");
  EXPECT_EQ(event.service, "a\"\\/\b\f\n\r\t\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(event.name, "mm");
  EXPECT_EQ(event.event.service_key, core::hash_bytes(event.service));
  for (const char* bad : {R"(\x)", R"(\u12)", R"(\u12g4)", R"(\ud800)", R"(\udc00)",
                          R"(\ud800\u0041)", R"(\ud83d\n)", R"(\)"}) {
    const std::string line =
        std::string(R"({"service":"a","metric":"m","value":1,"x":")") + bad + R"("})";
    EXPECT_EQ(reason_of(line), "malformed_json") << bad;
  }
}

TEST(ChunkParser, RoutesASeriesByItsLabelsWhateverTheirOrderOrSpelling) {
  const auto key = [](const std::string& labels) {
    return accept(R"({"service":"s","metric":"m","value":1,"labels":)" + labels + "}")
        .event.route_key;
  };
  const std::uint64_t ab = key(R"({"a":"1","b":"2"})");
  EXPECT_EQ(key(R"({ "b" : "2" , "a" : "1" })"), ab);
  EXPECT_EQ(key(R"({"\u0061":"1","b":"\u0032"})"), ab);
  EXPECT_NE(key(R"({"a":"2","b":"1"})"), ab);
  EXPECT_NE(key(R"({"a":"1"})"), ab);
  EXPECT_NE(key(R"({"a":"1","b":"2","c":"3"})"), ab);
  EXPECT_EQ(key("{}"), accept(R"({"service":"s","metric":"m","value":1})").event.route_key);
  EXPECT_EQ(reason_of(R"({"service":"s","metric":"m","value":1,"labels":{"a":{}}})"), "wrong_type");
  EXPECT_EQ(reason_of(R"({"service":"s","metric":"m","value":1,"labels":[]})"), "wrong_type");
}

TEST(ChunkParser, SpreadsSeriesOverPartitions) {
  std::array<int, core::kPartitionCount> counts{};
  for (int i = 0; i < 6400; ++i) {
    const ParsedEvent event =
        accept(R"({"service":"s","metric":"m","value":1,"labels":{"host":"n)" + std::to_string(i) +
               R"("}})");
    ++counts[event.event.partition()];
  }
  for (const int count : counts) {  // 100 expected; 10 standard deviations
    EXPECT_GT(count, 0);
    EXPECT_LT(count, 200);
  }
}

TEST(ChunkParser, RoutesAnActionByActorOrResource) {
  const auto key = [](const std::string& rest) {
    return accept(R"({"action":"x",)" + rest + "}").event.route_key;
  };
  EXPECT_EQ(key(R"("actor":"u")"), core::hash_bytes("u"));
  EXPECT_EQ(key(R"("resource":"r")"), core::hash_bytes("r"));
  EXPECT_EQ(key(R"("actor":"u","payload":{"session":"s"})"), core::hash_bytes("u"));
}

TEST(ChunkParser, TellsSessionsOfOneActorApart) {
  const auto session = [](const std::string& rest) {
    return accept(R"({"action":"x",)" + rest + "}").event.session_key;
  };
  const auto hash = [](std::string_view id) {
    return static_cast<std::uint32_t>(core::hash_bytes(id)) | 1;
  };
  EXPECT_EQ(session(R"("actor":"u")"), 0U);
  EXPECT_EQ(session(R"("actor":"u","payload":{"session":"s"})"), hash("s"));
  EXPECT_EQ(session(R"("actor":"u","payload":{"session_id":"i","session":"s"})"), hash("i"));
  EXPECT_EQ(
      session(
          R"("actor":"u","payload":{"session":"s","x":{"trace_id":"no"},"trace_id":"t\u0031"})"),
      hash("t1"));
  EXPECT_EQ(session(R"("actor":"u","payload":{"trace_id":7})"), 0U);
}

TEST(ChunkParser, ReadsTimes) {
  const auto time = [](const std::string& ts, const Feed& feed = {}) {
    return accept(R"({"actor":"u","action":"x","ts":)" + ts + "}", feed).event.ts_ns;
  };
  EXPECT_EQ(time("0"), 0);
  EXPECT_EQ(time("9223372036854775807"), 9223372036854775807);
  EXPECT_EQ(time(R"("2025-01-15T14:30:00.25Z")"), 1736951400250000000);
  EXPECT_EQ(time(R"("2025-01-15T15:30:00+01:00")"), 1736951400000000000);
  EXPECT_EQ(time(R"("2025-01-15T14:30:00.123456789Z")"), 1736951400123456789);
  EXPECT_EQ(time(R"("2025-01-15T14:30:0\u0030Z")"), 1736951400000000000);
  EXPECT_EQ(accept(R"({"actor":"u","action":"x"})", {.arrival_ns = 77}).event.ts_ns, 77);
  for (const char* bad :
       {"-1", "1.5", "1e9", "9223372036854775808", "99999999999999999999999",
        R"("1736951400000000000")", R"("yesterday")", R"("")", "true", "{}", "NaN",
        R"("1969-12-31T23:59:59Z")", R"("2025-02-30T00:00:00Z")", R"("2025-01-15T24:00:00Z")",
        R"("2025-01-15T14:30:00.Z")",
        R"("\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000T00:00:00Z")"}) {
    EXPECT_EQ(reason_of(std::string(R"({"actor":"u","action":"x","ts":)") + bad + "}"),
              "ts_invalid")
        << bad;
  }
}

// The parser remembers the last date: every line must read as if it were the first.
TEST(ChunkParser, ReadsTimesAlikeWhateverCameBefore) {
  std::string text;
  const std::vector<std::string> times{
      "2025-01-15T14:30:00Z",           "2025-01-15T14:30:00.5Z",    "2025-01-16T00:00:00Z",
      "2025-01-16T23:59:60Z",           "2025-01-16T23:59:59.999Z",  "2025-01-16T14:30:00+02:00",
      "2024-02-29T12:00:00.000001Z",    "2025-01-16T00:00:01Z",      "1970-01-01T00:00:00Z",
      "2025-01-15T25:00:00Z",           "2025-01-15T14:30:00.12a4Z", "2025-01-15t14:30:00z",
      "2025-01-15T14:30:00.0000000001Z"};
  std::vector<std::int64_t> expected;
  for (int round = 0; round < 3; ++round) {
    for (const std::string& time : times) {
      text += R"({"actor":"u","action":"x","ts":")" + time + "\"}\n";
      if (const auto ts_ns = core::parse_rfc3339(time)) expected.push_back(*ts_ns);
    }
  }
  const Parsed parsed = parse_text(text);
  ASSERT_EQ(parsed.events.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(parsed.events[i].event.ts_ns, expected[i]) << parsed.events[i].line;
  }
}

TEST(ChunkParser, RefusesTimesTooFarAhead) {
  const std::int64_t now_ns = 1736951400000000000;
  const std::int64_t limit_ns = now_ns + 10 * core::kNsPerMinute;
  const auto line = [](std::int64_t ts_ns) {
    return R"({"actor":"u","action":"x","ts":)" + std::to_string(ts_ns) + "}";
  };
  EXPECT_EQ(accept(line(limit_ns), {.arrival_ns = now_ns}).event.ts_ns, limit_ns);
  EXPECT_EQ(reason_of(line(limit_ns + 1), {.arrival_ns = now_ns}), "ts_ahead");
  EXPECT_EQ(accept(line(limit_ns + 1), {.arrival_ns = 0}).event.ts_ns, limit_ns + 1);
}

TEST(ChunkParser, RefusesWrongTypesAndMissingFields) {
  const std::string metric = R"({"service":"s","metric":"m","value":1})";
  EXPECT_EQ(reason_of(replaced(metric, "1", R"("1")")), "wrong_type");
  EXPECT_EQ(reason_of(replaced(metric, "1", "true")), "wrong_type");
  EXPECT_EQ(reason_of(replaced(metric, "1", "[1]")), "wrong_type");
  EXPECT_EQ(reason_of(replaced(metric, R"("s")", "5")), "wrong_type");
  EXPECT_EQ(reason_of(replaced(metric, R"("m")", "{}")), "wrong_type");
  EXPECT_EQ(reason_of(replaced(metric, R"("s")", R"("")")), "missing_field");
  EXPECT_EQ(reason_of(R"({"kind":"metric","service":"s","value":1})"), "missing_field");
  EXPECT_EQ(reason_of(R"({"metric":"m","value":1})"), "missing_field");
  EXPECT_EQ(reason_of(R"({"service":"s","metric":"m"})"), "missing_field");
  EXPECT_EQ(reason_of(R"({"action":"x"})"), "missing_field");
  EXPECT_EQ(reason_of(R"({"kind":"action","actor":"u"})"), "missing_field");
  EXPECT_EQ(reason_of(R"({"actor":"u","action":"x","payload":"text"})"), "wrong_type");
  EXPECT_EQ(reason_of(R"({"actor":"u","action":"x","result":[]})"), "wrong_type");
  EXPECT_EQ(reason_of(R"({"actor":"u","action":"x","duration_ms":"3"})"), "wrong_type");
  EXPECT_EQ(reason_of(R"({"actor":"u","action":"x","duration_ms":-3})"), "out_of_range");
  EXPECT_EQ(reason_of(R"({"kind":5,"actor":"u","action":"x"})"), "wrong_type");
  EXPECT_EQ(reason_of(R"({"kind":"event","actor":"u","action":"x"})"), "unknown_kind");
  EXPECT_EQ(reason_of(replaced(metric, R"("s")", "\"" + std::string(257, 's') + "\"")),
            "field_too_long");
  EXPECT_EQ(accept(replaced(metric, R"("s")", "\"" + std::string(256, 's') + "\"")).service.size(),
            256U);
  for (const char* other : {"[1,2]", "5", R"("text")", "null", "[]"}) {
    EXPECT_EQ(reason_of(other), "not_object") << other;
  }
}

TEST(ChunkParser, RefusesNumbersThatAreNotFiniteOrDoNotFit) {
  const std::string metric = R"({"service":"s","metric":"m","value":0})";
  for (const char* bad : {"NaN", "Infinity", "-Infinity", "nan", "inf", "-inf", "1e999", "-1e999",
                          "1e309", "17976931348623159e292"}) {
    EXPECT_EQ(reason_of(replaced(metric, "0", bad)), "not_finite") << bad;
  }
  EXPECT_EQ(reason_of(replaced(metric, "0", R"(0,"x":[1e999])")), "not_finite");
  EXPECT_EQ(reason_of(replaced(metric, "0", R"(1e999,"value":0)")), "not_finite");
  EXPECT_EQ(reason_of(replaced(metric, "0", "18446744073709551616")), "out_of_range");
  EXPECT_EQ(reason_of(replaced(metric, "0", R"(0,"x":99999999999999999999999)")), "out_of_range");
  EXPECT_EQ(reason_of(replaced(metric, "0", R"(NaN,"x":})")), "malformed_json");
}

TEST(ChunkParser, RefusesMalformedLines) {
  const std::string good = R"({"service":"s","metric":"m","value":1})";
  const std::vector<std::string> bad{
      good + good,
      good + " " + good,
      good + ",",
      good + "}",
      good + " x",
      good.substr(0, good.size() - 1),
      "{",
      "}",
      "[",
      "{}}",
      "{{}}",
      ",",
      ":",
      "\"",
      "\\",
      "{\"a\"}",
      "{\"a\":}",
      "{\"a\":1,}",
      "{,\"a\":1}",
      "{\"a\" 1}",
      "{\"a\":1 \"b\":2}",
      "{\"a\":1:2}",
      "{a:1}",
      "{'a':1}",
      "{1:2}",
      "{\"a\":[1,]}",
      "{\"a\":[,1]}",
      "{\"a\":[1 2]}",
      "{\"a\":[1}",
      "{\"a\":{\"b\":1]}",
      "{\"a\":tru}",
      "{\"a\":trueish}",
      "{\"a\":True}",
      "{\"a\":nul}",
      "{\"a\":undefined}",
      "{\"a\":01}",
      "{\"a\":+1}",
      "{\"a\":1.}",
      "{\"a\":.5}",
      "{\"a\":-}",
      "{\"a\":1e}",
      "{\"a\":1e+}",
      "{\"a\":0x10}",
      "{\"a\":1_000}",
      "{\"a\":1\"b\"}",
      "{\"a\":\"b\"c}",
      "{\"a\":\"b\"\"c\"}",
      "{\"a\":\"tab\there\"}",
      std::string("{\"a\":\"nul\0here\"}", 16),
      std::string("{\"a\":1}\0", 8),
      "{\"a\":1}\f",
      "{\"a\":1\x1a\"b\":2}",
      "{\"a\":\"unclosed}",
      "{\"a\":1} // comment",
      "\xEF\xBB\xBF" + good,
  };
  for (const std::string& line : bad) EXPECT_EQ(reason_of(line), "malformed_json") << line;
}

TEST(ChunkParser, RefusesInvalidUtf8Anywhere) {
  for (const char* bytes : {"\xFF", "\xC3", "\xC0\xAF", "\xE2\x82", "\xED\xA0\x80",
                            "\xF4\x90\x80\x80", "\x80", "\xF8\x88\x80\x80\x80"}) {
    EXPECT_EQ(reason_of(R"({"service":"a)" + std::string(bytes) + R"(","metric":"m","value":1})"),
              "invalid_utf8");
    EXPECT_EQ(reason_of(R"({"service":"a","metric":"m","value":1})" + std::string(bytes)),
              "invalid_utf8");
    EXPECT_EQ(reason_of(R"({"unclosed":")" + std::string(bytes)), "invalid_utf8");
  }
}

TEST(ChunkParser, LimitsDepth) {
  const auto nested = [](std::size_t arrays) {
    return R"({"service":"s","metric":"m","value":1,"x":)" + std::string(arrays, '[') +
           std::string(arrays, ']') + "}";
  };
  EXPECT_EQ(accept(nested(63)).service, "s");
  EXPECT_EQ(reason_of(nested(64)), "too_deep");
  EXPECT_EQ(reason_of(nested(100'000)), "too_deep");
  EXPECT_EQ(reason_of(std::string(65, '[') + std::string(65, ']')), "too_deep");
  EXPECT_EQ(reason_of(std::string(64, '[') + std::string(64, ']')), "not_object");
  std::string objects;
  for (int i = 0; i < 63; ++i) objects += R"({"a":)";
  const std::string close(63, '}');
  EXPECT_EQ(accept(R"({"actor":"s","action":"m","payload":)" + objects + "1" + close + "}").actor,
            "s");
  EXPECT_EQ(reason_of(R"({"actor":"s","action":"m","payload":)" + objects + "{}" + close + "}"),
            "too_deep");
  EXPECT_EQ(reason_of(R"({"actor":"s","action":"m","labels":{"a":[[1]]}})", {}, {.depth_max = 3}),
            "too_deep");
}

TEST(ChunkParser, GivesControlsOnlyToWhoMaySendThem) {
  const std::string tick = R"({"kind":"control","control":"tick","ts":5})";
  const std::string step = R"({"control":"step_result","run_id":"r","step_index":0,"ok":true})";
  const std::string approve = R"({"control":"approve","run_id":"r","actor":"alice"})";
  const std::string feedback = R"({"control":"feedback","trigger_id":"t","right":true})";
  const Feed engine{.trusted = true};
  const Feed operators{.operator_allowed = true};
  for (const std::string& line : {tick, step}) {
    EXPECT_EQ(reason_of(line), "control_forbidden");
    EXPECT_EQ(reason_of(line, operators), "control_forbidden");
    EXPECT_EQ(accept(line, engine).event.trusted, 1);
  }
  EXPECT_EQ(reason_of(approve), "control_forbidden");
  EXPECT_EQ(accept(approve, operators).event.control, core::ControlKind::kApprove);
  EXPECT_EQ(accept(approve, engine).event.control, core::ControlKind::kApprove);
  for (const char* name : {"reject", "pause", "resume", "silence", "ack", "undo"}) {
    EXPECT_EQ(reason_of(replaced(approve, "approve", name)), "control_forbidden");
  }
  EXPECT_EQ(accept(feedback).event.control, core::ControlKind::kFeedback);
  EXPECT_EQ(reason_of(R"({"control":"explode"})", engine), "unknown_control");
  EXPECT_EQ(reason_of(R"({"kind":"control"})", engine), "missing_field");
}

TEST(ChunkParser, ChecksMeshPayloads) {
  EXPECT_EQ(reason_of(replaced(kMesh, "proactive.anomaly_forecast", "proactive.guess")),
            "unknown_event_type");
  EXPECT_EQ(reason_of(replaced(kMesh, "0.87", "1.01")), "out_of_range");
  EXPECT_EQ(reason_of(replaced(kMesh, "0.87", "-0.1")), "out_of_range");
  EXPECT_EQ(reason_of(replaced(kMesh, "0.87", R"("0.87")")), "wrong_type");
  EXPECT_EQ(reason_of(replaced(kMesh, "\"high\"", R"("huge")")), "invalid_payload");
  EXPECT_EQ(reason_of(replaced(kMesh, R"("confidence":0.87,)", "")), "missing_field");
  EXPECT_EQ(reason_of(replaced(kMesh, R"("diagnosis_code":"latency_spike",)", "")),
            "missing_field");
  EXPECT_EQ(reason_of(replaced(kMesh, R"(["..."])", "[1]")), "wrong_type");
  EXPECT_EQ(reason_of(replaced(kMesh, R"("resource":"api_service",)", "")), "missing_field");
  EXPECT_EQ(reason_of(R"({"event_type":"meta_loop.directive","resource":"a"})"), "missing_field");
}

TEST(ParseConfig, NamesTheFieldThatIsWrong) {
  EXPECT_TRUE(validated(ParseConfig{}).has_value());
  ParseConfig config;
  config.depth_max = 65;
  const auto result = validated(config);
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("depth_max"), std::string::npos);
  EXPECT_NE(result.error().message.find("65"), std::string::npos);
  EXPECT_FALSE(validated({.line_bytes_max = 1}).has_value());
  EXPECT_FALSE(validated({.name_bytes_max = 0}).has_value());
  EXPECT_FALSE(validated({.ahead_max = std::chrono::nanoseconds(-1)}).has_value());
}

}  // namespace
}  // namespace grace::parse
