#pragma once
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"

namespace grace::tools {

// What a stream consists of: metric samples, actions that succeed, actions that are errors, as
// shares in any unit. Finite, none below 0, one above. Mesh and control events stay half a percent.
struct EventShares {
  double metrics = 0.0;
  double actions = 0.0;
  double errors = 0.0;
};

// Synthetic telemetry with known truth. The same options give the same bytes on every machine: the
// random numbers are SplitMix64 (Steele, Lea, Flood 2014) and values are printed with few decimals.
struct GeneratorOptions {
  std::string profile = "mixed";        // one of generator_profiles()
  std::uint64_t event_count = 100'000;  // scenarios have their own length and ignore it
  std::uint64_t seed = 1;
  std::int64_t start_ns = 1'736'899'200'000'000'000;  // 2025-01-15T00:00:00Z
  double events_per_second = 1000.0;                  // of event time
  std::uint32_t service_count = 200;
  std::uint32_t days = 7;       // length of the week profile, 1 to 28
  double bad_line_share = 0.0;  // [0, 0.5]: lines broken in one of many ways
  // Of the profiles mixed and realistic; empty: their own, with errors as faults bring them.
  std::optional<EventShares> shares = {};
};

// One thing that goes wrong in the stream, for scoring what was found.
struct GroundTruth {
  std::string fault;  // latency_ramp, error_burst, cascade, capacity_shortfall ...
  std::string service;
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
  std::string metric{};         // empty: not one series
  double limit = 0.0;           // of a slow fault, in the metric's unit
  std::int64_t crosses_ns = 0;  // when its course without noise reaches the limit; 0: it does not
};

struct GeneratorProfile {
  std::string_view name;
  std::string_view help;
};
[[nodiscard]] const std::vector<GeneratorProfile>& generator_profiles();

// Writes NDJSON to `out`. kInvalidArgument: unknown profile, or options that it does not take; kIo:
// `out` failed.
[[nodiscard]] core::Result<std::vector<GroundTruth>> generate(const GeneratorOptions& options,
                                                              std::ostream& out);

}  // namespace grace::tools
