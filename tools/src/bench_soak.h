#pragma once
#include <cstdint>
#include <string>

#include "bench_settings.h"

namespace grace::tools {

// A long run at a part of the best rate, with memory watched.
struct SoakRequest {
  std::string for_text = "1h", load_text = "50%", growth_text = "1%";  // as typed
  std::int64_t for_ns = 0;
  double load = 0.0;        // share of the best rate
  double growth_max = 0.0;  // of memory, over the second half
  double best_rate = 0.0;   // events a second
};
// Reads the texts. kInvalidArgument names the option.
[[nodiscard]] core::Result<void> understand(SoakRequest& request);

// One run of request.for_ns at its rate, as a point with "soak": what the memory did, and whether
// all of it held. Starts threads: in a process of its own. Errors: whatever the engine says; an
// engine that does not account for each event is one.
[[nodiscard]] core::Result<std::string> measure_soak(const BenchArguments& arguments,
                                                     const BenchSettings& settings,
                                                     const SoakRequest& request);

}  // namespace grace::tools
