#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "bounded_lines.h"
#include "grace/core/error.h"
#include "grace/models/root_cause.h"

namespace grace::tools {

struct MetricsRead {
  std::uint64_t samples = 0;
  std::uint64_t later = 0;       // after at_ns: left out
  std::uint64_t not_finite = 0;  // NaN or infinite: left out
};

// Takes a sample, as RootCauseModel::observe() does.
using SampleSink = std::function<models::Observed(std::int64_t ts_ns, std::string_view service,
                                                  std::string_view metric, double value)>;

// Reads CSV, `timestamp,service,metric,value`, up to `at_ns`, a row at a time, in any order. A
// first row that is the heading and blank lines are skipped. An error names the line.
[[nodiscard]] core::Result<MetricsRead> read_metrics(BoundedLines lines, std::int64_t at_ns,
                                                     const SampleSink& sink);

// {"ranking":[{"service":...,"probability":...}]}: services from most to least probable, and among
// them "none of these": first when it is the most probable answer, that is when no cause is named,
// else last. Probabilities sum to one.
[[nodiscard]] std::string ranking_json(const models::RootCauseRanking& ranking);

}  // namespace grace::tools
