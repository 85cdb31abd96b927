#include "grace/harness/loops.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "grace/core/clock.h"

namespace grace::harness {
namespace {

void collect(Target& target, LoadRecorder& recorder, std::int64_t begin_ns) {
  for (Completion done = target.poll(); done.count > 0; done = target.poll()) {
    recorder.completed(done.count, done.done_ns - begin_ns);
  }
}

}  // namespace

std::int64_t SystemTimeline::now_ns() {
  return core::SystemClock().monotonic_ns();
}

void SystemTimeline::wait_until(std::int64_t at_ns) {
  const std::int64_t sleep_ns = at_ns - now_ns() - kSpinNs;
  if (sleep_ns > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(sleep_ns));
  while (now_ns() < at_ns) std::this_thread::yield();
}

LoadResult drive_open(const ArrivalConfig& arrivals, const LoadSpan& span, Target& target,
                      Timeline& time) {
  LoadRecorder recorder(arrivals, span);
  ArrivalSchedule schedule(arrivals);
  const std::int64_t begin_ns = time.now_ns();
  std::uint64_t due = 0;  // arrivals whose time has come
  std::int64_t next_ns = schedule.next_ns();
  bool over = false;
  while (target.alive()) {
    const std::int64_t now_ns = time.now_ns() - begin_ns;
    while (next_ns <= now_ns && next_ns < span.end_ns()) {
      recorder.generator_delayed(1, now_ns - next_ns);
      ++due;
      next_ns = schedule.next_ns();
    }
    over = next_ns >= span.end_ns();
    const std::uint64_t sent = recorder.sent_count();
    if (sent < due) recorder.sent(target.try_send(sent, due - sent), now_ns);
    collect(target, recorder, begin_ns);
    if (over && recorder.completed_count() == due) break;
    if (over && now_ns >= span.end_ns() + span.drain_ns_max) break;
    const std::int64_t look_ns = target.next_look_ns();
    time.wait_until(over ? std::min(look_ns, begin_ns + span.end_ns() + span.drain_ns_max)
                         : std::min(look_ns, begin_ns + next_ns));
  }
  return recorder.finish(time.now_ns() - begin_ns);
}

core::LatencyHistogram drive_closed(std::int64_t interval_ns, std::int64_t span_ns, Target& target,
                                    Timeline& time) {
  core::LatencyHistogram latencies;
  const std::int64_t begin_ns = time.now_ns();
  std::int64_t send_ns = begin_ns;
  for (std::uint64_t i = 0; send_ns - begin_ns < span_ns && target.alive(); ++i) {
    time.wait_until(send_ns);
    while (target.try_send(i, 1) == 0 && target.alive()) time.wait_until(target.next_look_ns());
    const std::int64_t sent_ns = time.now_ns();
    Completion done = target.poll();
    while (done.count == 0 && target.alive()) {
      time.wait_until(target.next_look_ns());
      done = target.poll();
    }
    latencies.record(done.done_ns - sent_ns);
    send_ns = std::max(sent_ns + interval_ns, done.done_ns);
  }
  return latencies;
}

}  // namespace grace::harness
