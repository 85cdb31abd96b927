#include "series_scores.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "csv_reader.h"
#include "grace/core/time.h"

namespace grace::tools {
namespace {

using models::SeriesAnomaly;
using models::SeriesVerdict;

struct Columns {
  std::size_t timestamp = 0;
  std::size_t value = 0;
};

core::Result<Columns> read_heading(CsvReader& reader) {
  const auto more = reader.next();
  if (!more) return tl::unexpected(more.error());
  if (!*more) return reader.error("empty: a heading with timestamp and value was expected");
  const auto& fields = reader.fields();
  const auto place = [&fields](std::string_view name) {
    return static_cast<std::size_t>(std::find(fields.begin(), fields.end(), name) - fields.begin());
  };
  const Columns columns{place("timestamp"), place("value")};
  if (std::max(columns.timestamp, columns.value) >= fields.size()) {
    return reader.error("the heading must name timestamp and value");
  }
  return columns;
}

void write_row(std::string_view timestamp, std::string_view value, const SeriesVerdict& verdict,
               bool evidence, std::ostream& output) {
  char text[128];
  output << timestamp << ',' << value;
  int size = std::snprintf(text, sizeof(text), ",%.6f", verdict.anomaly_score);
  output.write(text, size);
  if (evidence) {
    const std::string_view member = verdict.surprise > 0.0 ? name_of(verdict.member) : "";
    size = std::snprintf(text, sizeof(text), ",%.6g,%.*s,%.4f", verdict.tail_probability,
                         static_cast<int>(member.size()), member.data(), verdict.member_surprise);
    output.write(text, size);
  }
  output << '\n';
}

}  // namespace

std::optional<std::int64_t> parse_series_time(std::string_view text) {
  std::int64_t seconds = 0;
  const auto whole = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (whole.ec == std::errc() && whole.ptr == text.data() + text.size()) {
    constexpr std::int64_t kSecondsMax = INT64_MAX / core::kNsPerSecond;
    if (seconds > kSecondsMax || seconds < -kSecondsMax) return std::nullopt;
    return seconds * core::kNsPerSecond;
  }
  constexpr std::size_t kDateChars = 10;
  if (text.size() <= kDateChars) return std::nullopt;
  std::string time(text);
  if (time[kDateChars] == ' ') time[kDateChars] = 'T';
  if (const auto exact = core::parse_rfc3339(time)) return exact;
  return core::parse_rfc3339(time + 'Z');
}

core::Result<std::uint64_t> score_series(BoundedLines input, const SeriesScoreOptions& options,
                                         std::ostream& output) {
  CsvReader reader(std::move(input));
  const auto columns = read_heading(reader);
  if (!columns) return tl::unexpected(columns.error());
  output << "timestamp,value,anomaly_score"
         << (options.evidence ? ",tail_probability,member,member_surprise\n" : "\n");
  const auto detector = std::make_unique<SeriesAnomaly>(options.members);
  for (std::uint64_t rows = 0;; ++rows) {
    const auto more = reader.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return rows;
    const auto& fields = reader.fields();
    if (fields.size() <= std::max(columns->timestamp, columns->value)) {
      return reader.error("fewer fields than the heading");
    }
    const auto time_ns = parse_series_time(fields[columns->timestamp]);
    if (!time_ns) {
      return reader.error("'" + std::string(fields[columns->timestamp]) + "' is not a time");
    }
    double value = 0.0;
    if (!parse_number(fields[columns->value], value)) {
      return reader.error("'" + std::string(fields[columns->value]) + "' is not a number");
    }
    write_row(fields[columns->timestamp], fields[columns->value], detector->step(*time_ns, value),
              options.evidence, output);
  }
}

}  // namespace grace::tools
