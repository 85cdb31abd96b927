#include "span_input.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "csv_reader.h"
#include "grace/core/time.h"

namespace grace::tools {
namespace {

constexpr std::array<std::string_view, 8> kHeading{
    "timestamp", "trace", "span", "parent", "service", "operation", "duration_ms", "result"};
constexpr double kNsPerMs = 1e6;
// Some 285 years, which fit into nanoseconds.
constexpr double kDurationMsMax = 9e12;

}  // namespace

core::Result<SpansRead> read_spans(BoundedLines lines, std::int64_t at_ns, const SpanSink& sink) {
  CsvReader rows(std::move(lines));
  SpansRead read;
  for (bool first = true;; first = false) {
    const auto more = rows.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return read;
    const auto& fields = rows.fields();
    if (fields.size() != kHeading.size()) {
      return rows.error(
          "expected timestamp,trace,span,parent,service,operation,duration_ms,result");
    }
    if (first && std::ranges::equal(fields, kHeading)) continue;
    const auto start_ns = core::parse_rfc3339(fields[0]);
    if (!start_ns) {
      return rows.error("timestamp '" + std::string(fields[0]) + "' is not an RFC 3339 time");
    }
    if (fields[1].empty() || fields[2].empty() || fields[4].empty() || fields[5].empty()) {
      return rows.error("trace, span, service or operation has no name");
    }
    double duration_ms = 0.0;
    if (!parse_number(fields[6], duration_ms) || !(duration_ms >= 0) ||
        duration_ms > kDurationMsMax) {
      return rows.error("duration '" + std::string(fields[6]) + "' is not a number of ms");
    }
    const auto duration_ns = static_cast<std::int64_t>(std::llround(duration_ms * kNsPerMs));
    if (*start_ns > at_ns || duration_ns > at_ns - *start_ns) {
      ++read.later;
      continue;
    }
    const models::Span span{
        fields[1], fields[2], fields[3],   fields[4],
        fields[5], *start_ns, duration_ns, fields[7] == "error" || fields[7] == "failed"};
    ++(sink(span) ? read.spans : read.refused);
  }
}

}  // namespace grace::tools
