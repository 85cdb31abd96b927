#include "rootcause_input.h"

#include <algorithm>
#include <array>

#include "csv_reader.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"

namespace grace::tools {
namespace {

constexpr std::array<std::string_view, 4> kHeading{"timestamp", "service", "metric", "value"};

[[nodiscard]] std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

}  // namespace

core::Result<MetricsRead> read_metrics(BoundedLines lines, std::int64_t at_ns,
                                       const SampleSink& sink) {
  CsvReader rows(std::move(lines));
  MetricsRead read;
  for (bool first = true;; first = false) {
    const auto more = rows.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return read;
    const auto& fields = rows.fields();
    if (fields.size() != 4) return rows.error("expected timestamp,service,metric,value");
    if (first && std::ranges::equal(fields, kHeading)) continue;
    const auto ts_ns = core::parse_rfc3339(fields[0]);
    if (!ts_ns) return rows.error("timestamp " + quoted(fields[0]) + " is not an RFC 3339 time");
    if (fields[1].empty() || fields[2].empty()) return rows.error("service or metric has no name");
    double value = 0.0;
    if (!parse_number(fields[3], value)) {
      return rows.error("value " + quoted(fields[3]) + " is not a number");
    }
    if (*ts_ns > at_ns) {
      ++read.later;
      continue;
    }
    switch (sink(*ts_ns, fields[1], fields[2], value)) {
      case models::Observed::kTaken:
        ++read.samples;
        break;
      case models::Observed::kNotFinite:
        ++read.not_finite;
        break;
      case models::Observed::kSeriesBound:
        return rows.error("more series than the model keeps");
      case models::Observed::kServiceBound:
        return rows.error("more services than the model keeps");
    }
  }
}

std::string ranking_json(const models::RootCauseRanking& ranking) {
  std::string text;
  core::JsonWriter json(text);
  const auto entry = [&](std::string_view service, double probability) {
    json.begin_object().field("service", service).field("probability", probability).end_object();
  };
  json.begin_object().key("ranking").begin_array();
  if (!ranking.names_cause()) entry("none of these", ranking.none);
  for (const models::RankedService& ranked : ranking.services) {
    entry(ranked.service, ranked.probability);
  }
  if (ranking.names_cause()) entry("none of these", ranking.none);
  json.end_array().end_object();
  return text;
}

}  // namespace grace::tools
