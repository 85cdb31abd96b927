#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "grace/core/step_executor.h"

namespace grace::schedule {

// One HTTP/1.1 request (RFC 9112), connection closed after it. Success is a 2xx status. Redirects
// are not followed. Blocks until the answer's head is there or `deadline_ns` (CLOCK_MONOTONIC) has
// passed. Reads at most 64 KiB; the tail of what came is in output_tail.
[[nodiscard]] core::StepResult http_request(const core::StepCommand& command,
                                            const std::vector<std::string>& hosts,
                                            std::int64_t deadline_ns);

}  // namespace grace::schedule
