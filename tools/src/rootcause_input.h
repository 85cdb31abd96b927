#pragma once
#include <cstdint>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"
#include "grace/models/root_cause.h"

namespace grace::tools {

// Longest line of a CSV file that is read; a longer one is an error, not memory.
inline constexpr std::size_t kCsvLineBytesMax = 64 * 1024;

// Fields of one line of CSV (RFC 4180 without line breaks inside of quotes). False: a quote is not
// closed, or text stands beside a closed one. A carriage return at the end is dropped.
[[nodiscard]] bool split_csv(std::string_view line, std::vector<std::string>& fields);

// Reads `caller,callee` lines into the model. A first line that is the heading and empty lines are
// skipped. An error names the line; `name` is how it calls the file.
[[nodiscard]] core::Result<void> read_edges(std::istream& in, const std::string& name,
                                            models::RootCauseModel& model);

struct MetricsRead {
  std::uint64_t samples = 0;
  std::uint64_t later = 0;       // after at_ns: left out
  std::uint64_t not_finite = 0;  // NaN or infinite: left out
};

// Reads `timestamp,service,metric,value` lines up to `at_ns`, one at a time, in any order.
[[nodiscard]] core::Result<MetricsRead> read_metrics(std::istream& in, const std::string& name,
                                                     std::int64_t at_ns,
                                                     models::RootCauseModel& model);

// {"ranking":[{"service":...,"probability":...}]}: services from most to least probable, and among
// them "none of these": first when it is the most probable answer, that is when no cause is named,
// else last. Probabilities sum to one.
[[nodiscard]] std::string ranking_json(const models::RootCauseRanking& ranking);

}  // namespace grace::tools
