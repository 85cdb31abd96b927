#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>

namespace grace::schedule {

// The executor's side measures real time: what a command may take is not event time. The scheduler
// includes this nowhere.
[[nodiscard]] inline std::int64_t monotonic_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

// For poll(): rounded up, so that waking up means that the deadline has passed. At most an hour.
[[nodiscard]] inline int milliseconds_until(std::int64_t deadline_ns) {
  constexpr std::int64_t kNsPerMs = 1'000'000;
  const std::int64_t left = (deadline_ns - monotonic_ns() + kNsPerMs - 1) / kNsPerMs;
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

}  // namespace grace::schedule
