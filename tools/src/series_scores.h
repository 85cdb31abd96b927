#pragma once
#include <cstdint>
#include <optional>
#include <ostream>
#include <string_view>

#include "bounded_lines.h"
#include "grace/core/error.h"
#include "grace/models/series_anomaly.h"

namespace grace::tools {

// "2014-04-01 00:05:00", with T for the blank, a fraction and an offset if there are any (UTC
// without one), or whole seconds since 1970. nullopt when it is none of these.
[[nodiscard]] std::optional<std::int64_t> parse_series_time(std::string_view text);

struct SeriesScoreOptions {
  bool evidence = false;  // three more columns: tail_probability, member, member_surprise
  std::uint32_t members = models::SeriesAnomaly::kAllMembers;
};

// Reads CSV whose heading names `timestamp` and `value`, and writes
// `timestamp,value,anomaly_score`, a row a row, time and value as they were written. Nothing of a
// later row is known to an earlier one. A value that is not finite has the score 0. Memory does not
// depend on the length. Returns the count of rows; an error (kInvalidArgument) names the line, and
// the rows before it are written.
[[nodiscard]] core::Result<std::uint64_t> score_series(BoundedLines input,
                                                       const SeriesScoreOptions& options,
                                                       std::ostream& output);

}  // namespace grace::tools
