#include "span_input.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace grace::tools {
namespace {

constexpr std::int64_t kAt = 1'736'951'400'000'000'000;  // 2025-01-15T14:30:00Z
const std::string kGood = "2025-01-15T14:29:00.5Z,t,s,,web,GET /,1.5,ok\n";

core::Result<SpansRead> spans_of(const std::string& text, const SpanSink& sink) {
  std::istringstream in(text);
  return read_spans(BoundedLines(in, "spans.csv"), kAt, sink);
}

std::string spans_error(const std::string& text) {
  const auto read = spans_of(text, [](const auto&) { return true; });
  return read ? "" : read.error().message;
}

TEST(SpanInput, ReadsWhatIsThere) {
  std::vector<std::int64_t> starts, durations;
  std::string names;
  std::size_t failed = 0;
  const auto read =
      spans_of("timestamp,trace,span,parent,service,operation,duration_ms,result\r\n" + kGood +
                   "\n2025-01-15T14:29:01Z,t,u,s,api,\"a,b\",0,error\r\n"
                   "2025-01-15T14:29:02Z,t,v,s,api,c,0,failed\n",
               [&](const models::Span& span) {
                 starts.push_back(span.start_ns);
                 durations.push_back(span.duration_ns);
                 names += std::string(span.id) + '<' + std::string(span.parent) + ' ' +
                          std::string(span.service) + ':' + std::string(span.operation) + ';';
                 failed += span.failed ? 1 : 0;
                 return true;
               });
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->spans, 3U);
  EXPECT_EQ(starts[0], kAt - 59'500'000'000);
  EXPECT_EQ(durations, (std::vector<std::int64_t>{1'500'000, 0, 0}));
  EXPECT_EQ(names, "s< web:GET /;u<s api:a,b;v<s api:c;");
  EXPECT_EQ(failed, 2U);
}

TEST(SpanInput, WhatEndsLaterIsLeftOutAndWhatIsRefusedCounted) {
  const auto read = spans_of(kGood + "2025-01-15T14:29:59Z,t,s,,web,op,1000,ok\n" +
                                 "2025-01-15T14:29:59Z,t,s,,web,op,1000.1,ok\n" +
                                 "2025-01-15T14:30:01Z,t,s,,web,op,0,ok\n",
                             [](const auto& span) { return span.operation == "op"; });
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->spans, 1U);
  EXPECT_EQ(read->refused, 1U);
  EXPECT_EQ(read->later, 2U);
}

TEST(SpanInput, AnErrorNamesItsLine) {
  EXPECT_EQ(
      spans_error(kGood + "x,y\n"),
      "spans.csv:2: expected timestamp,trace,span,parent,service,operation,duration_ms,result");
  EXPECT_EQ(spans_error(kGood + "14:29,t,s,,web,op,1,ok\n"),
            "spans.csv:2: timestamp '14:29' is not an RFC 3339 time");
  for (const std::string row : {",s,,web,op,1,", "t,,,web,op,1,", "t,s,,,op,1,", "t,s,,web,,1,"}) {
    EXPECT_EQ(spans_error("2025-01-15T14:29:00Z," + row + "\n"),
              "spans.csv:1: trace, span, service or operation has no name");
  }
  for (const std::string duration : {"", "long", "-1", "nan", "inf", "1e300"}) {
    EXPECT_EQ(spans_error(kGood + "2025-01-15T14:29:00Z,t,s,,web,op," + duration + ",ok\n"),
              "spans.csv:2: duration '" + duration + "' is not a number of ms");
  }
}

}  // namespace
}  // namespace grace::tools
