#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "grace/core/error.h"
#include "grace/harness/load.h"
#include "grace/harness/units.h"

namespace grace::harness {

// Whether a run held an objective. It did not when the percentile was over the limit, when anything
// was not sent or not completed, or when the backlog grew: then no percentile would hold for long.
struct Verdict {
  bool holds = false;
  std::string why;  // it does not; empty: it does
};
[[nodiscard]] Verdict judge(const LoadResult& result, const Objective& objective);

struct SearchConfig {
  Objective objective;
  double rate_first = 100'000.0;  // tried first; doubled or halved until the limit lies between two
  double rate_min = 100.0;        // nothing below it is tried
  double rate_max = 1e9;          // nothing above it is tried
  // The search ends when the rate that holds is within this share of one that does not.
  double precision = 0.01;
  // The whole search, one after the other; the median counts.
  std::size_t repetitions = 3;
};
[[nodiscard]] core::Result<SearchConfig> validated(SearchConfig config);

struct Trial {
  std::size_t repetition = 0;
  double rate = 0.0;
  Verdict verdict;
  std::int64_t percentile_ns = 0;  // that of the objective
  double completed_rate = 0.0;
};

struct SearchResult {
  std::vector<Trial> trials;
  // The highest rate that held, of each repetition; 0: not even rate_min did.
  std::vector<double> found;
  double rate = 0.0;  // their median
  // A repetition held rate_max: the limit is above it.
  bool limit_not_reached = false;
};

// One run at a rate. The seed differs between trials, so that no two have the same arrivals.
using Measure = std::function<core::Result<LoadResult>(double rate, std::uint64_t seed)>;

// The highest rate that holds the objective, by bisection on a logarithmic scale; each repetition
// begins where the last one ended. The first error of a run ends it. `config` is valid; `tried` is
// told of each trial and may be empty.
[[nodiscard]] core::Result<SearchResult> find_sustainable_rate(
    const SearchConfig& config, const Measure& measure,
    const std::function<void(const Trial&)>& tried = {});

[[nodiscard]] double median_of(std::vector<double> values);  // 0 of none

}  // namespace grace::harness
