#pragma once
#include <string>

#include "bench_document.h"
#include "bench_settings.h"

namespace grace::tools {

// Measurements one after the other, each in a process of its own, while one figure changes. Errors:
// kInvalidArgument names the option; else whatever a measurement says.

[[nodiscard]] core::Result<std::string> point_in_own_process(const BenchArguments& arguments,
                                                             const BenchSettings& settings);
[[nodiscard]] core::Result<std::string> search_in_own_process(const BenchArguments& arguments,
                                                              const BenchSettings& settings);

// Whether arguments.over is swept by searches for the objective, not by runs at a rate.
[[nodiscard]] bool searches(const BenchArguments& arguments);
// Over arguments.over.
[[nodiscard]] core::Result<void> sweep(const BenchArguments& arguments,
                                       const BenchSettings& settings, BenchDocument& document);

}  // namespace grace::tools
