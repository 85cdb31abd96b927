#include "grace/core/hiccup_meter.h"

#include <algorithm>

#include "grace/core/assert.h"
#include "grace/core/clock.h"
#include "thread_control.h"

namespace grace::core {

HiccupMeter::HiccupMeter(std::optional<unsigned> cpu, std::int64_t threshold_ns)
    : thread_([this, cpu, threshold_ns] { watch(cpu, threshold_ns); }) {}

HiccupMeter::~HiccupMeter() {
  if (thread_.joinable()) static_cast<void>(stop());
}

HiccupReport HiccupMeter::stop() {
  GRACE_ASSERT(thread_.joinable(), "stopped twice");
  // Relaxed: the flag carries no data; join() orders the report.
  stop_requested_.store(true, std::memory_order_relaxed);
  thread_.join();
  return report_;
}

void HiccupMeter::watch(std::optional<unsigned> cpu, std::int64_t threshold_ns) {
  name_this_thread("hiccup");
  static_cast<void>(pin_this_thread(cpu));
  const SystemClock clock;
  const std::int64_t begin_ns = clock.monotonic_ns();
  std::int64_t last_ns = begin_ns;
  bool last = false;
  while (!last) {
    // Relaxed: see stop(). Looked at before the clock, so that the last stretch counts as well.
    last = stop_requested_.load(std::memory_order_relaxed);
    const std::int64_t now_ns = clock.monotonic_ns();
    const std::int64_t gap_ns = now_ns - last_ns;
    last_ns = now_ns;
    if (gap_ns <= threshold_ns) continue;
    report_.lost_ns += gap_ns;
    ++report_.gap_count;
    report_.gap_ns_max = std::max(report_.gap_ns_max, gap_ns);
    report_.gaps.record(gap_ns);
  }
  report_.watched_ns = last_ns - begin_ns;
}

}  // namespace grace::core
