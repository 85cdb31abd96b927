#pragma once
#include <cstdint>

#include "grace/core/latency_histogram.h"
#include "grace/harness/load.h"

namespace grace::harness {

// The seam for time: the real one waits, a simulated one jumps.
class Timeline {
 public:
  virtual ~Timeline() = default;
  [[nodiscard]] virtual std::int64_t now_ns() = 0;
  // Returns at at_ns or a little later; at once where that is past.
  virtual void wait_until(std::int64_t at_ns) = 0;
};

// The machine's monotonic clock. Sleeps until kSpinNs before, then gives the core away and looks.
class SystemTimeline final : public Timeline {
 public:
  // The kernel's timers are about 50 us late.
  static constexpr std::int64_t kSpinNs = 100'000;
  [[nodiscard]] std::int64_t now_ns() override;
  void wait_until(std::int64_t at_ns) override;
};

// Arrivals that were completed together.
struct Completion {
  std::uint64_t count = 0;
  std::int64_t done_ns = 0;
};

// What is put under load. Takes arrivals in order and completes them in order. Thread: the loop's.
class Target {
 public:
  virtual ~Target() = default;
  // Hands over arrivals [first, first + count), as many of them as it takes now; never waits.
  virtual std::uint64_t try_send(std::uint64_t first, std::uint64_t count) = 0;
  // What was completed since the last call, oldest first; count 0: nothing more.
  virtual Completion poll() = 0;
  // When poll() or a refused try_send() is worth another call.
  [[nodiscard]] virtual std::int64_t next_look_ns() = 0;
  // False: it is broken, nothing will be completed any more.
  [[nodiscard]] virtual bool alive() const { return true; }
};

// The open loop: sends each arrival at its intended time or, where the target refuses, as soon as
// it takes it; none is skipped. `arrivals` and `span` are valid.
[[nodiscard]] LoadResult drive_open(const ArrivalConfig& arrivals, const LoadSpan& span,
                                    Target& target, Timeline& time);

// The closed loop, as many load generators are: the next request goes out `interval_ns` after the
// last one, but not before that is answered. It slows down with the service and so hides its
// pauses (Tene, "How NOT to Measure Latency", 2013, calls that coordinated omission). Here to be
// compared with, not to measure by. The time from send to answer.
[[nodiscard]] core::LatencyHistogram drive_closed(std::int64_t interval_ns, std::int64_t span_ns,
                                                  Target& target, Timeline& time);

}  // namespace grace::harness
