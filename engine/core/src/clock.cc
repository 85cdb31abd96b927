#include "grace/core/clock.h"

#include <ctime>

#include "grace/core/assert.h"
#include "grace/core/time.h"

namespace grace::core {
namespace {

std::int64_t read_clock(clockid_t id) noexcept {
  timespec now{};
  const int failed = ::clock_gettime(id, &now);
  GRACE_ASSERT(failed == 0, "clock %d cannot be read", static_cast<int>(id));
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

}  // namespace

std::int64_t SystemClock::wall_ns() const noexcept {
  return read_clock(CLOCK_REALTIME);
}
std::int64_t SystemClock::monotonic_ns() const noexcept {
  return read_clock(CLOCK_MONOTONIC);
}

void ManualClock::advance(std::int64_t duration_ns) noexcept {
  GRACE_ASSERT(duration_ns >= 0, "a monotonic clock cannot go back by %lld ns",
               static_cast<long long>(-duration_ns));
  monotonic_ns_.fetch_add(duration_ns, std::memory_order_relaxed);  // relaxed: see clock.h
}

void ManualClock::set_wall(std::int64_t wall_ns) noexcept {
  // Relaxed: see clock.h. A reader beside this call may see either wall time.
  wall_offset_ns_.store(wall_ns - monotonic_ns(), std::memory_order_relaxed);
}

}  // namespace grace::core
