#pragma once
#include <string>

#include "bench_settings.h"

namespace grace::tools {

// Measurements as JSON objects, each with the conditions under which it was made. They start
// threads: in a process of their own. Errors: whatever the engine or its configuration says.

// One run at settings.rate.
[[nodiscard]] core::Result<std::string> measure_point(const BenchArguments& arguments,
                                                      const BenchSettings& settings);
// The highest rate that holds settings.objective, and one run at half of it. settings.rate, where
// it is given, is tried first.
[[nodiscard]] core::Result<std::string> measure_search(const BenchArguments& arguments,
                                                       const BenchSettings& settings);

}  // namespace grace::tools
