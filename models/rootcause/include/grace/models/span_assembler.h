#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "grace/models/root_cause.h"

namespace grace::models {

// One call of a distributed trace, as OpenTelemetry, Jaeger and Zipkin record it.
struct Span {
  std::string_view trace;
  std::string_view id;
  std::string_view parent;  // empty, or an id that never comes: the caller is not known
  std::string_view service;
  std::string_view operation;
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;  // not negative
  bool failed = false;
};

struct SpanConfig {
  // --- behaviour ---
  // Samples are of periods this long. Longer: steadier means, but fewer samples to agree.
  std::int64_t period_ns = 20'000'000'000;
  // A trace is complete when the newest span of all began this long after its last one ended; so
  // spans may come this much out of order. What comes later is read as a trace of its own.
  std::int64_t trace_idle_ns = 30'000'000'000;

  // --- cost ---
  // Spans of traces under way; past it the trace that ended first is taken as complete. Memory:
  // some 200 bytes and its texts each.
  std::uint32_t spans_max = 65'536;
  // Distinct (period, service, operation, pattern) not yet handed on; past it the oldest period is
  // handed on. Memory: some 200 bytes and its texts each.
  std::uint32_t cells_max = 65'536;
  // Spans of one trace; more are left out. One far larger is a trace id that is used again and
  // again.
  std::uint32_t trace_spans_max = 16'384;
};

// Puts spans together to traces and gives a RootCauseModel what they say of each operation, a
// sample a period in which it ended:
//
//   span_selftime:OPERATION  mean time in ms that it did not spend in calls: its own, not
//                            inherited (critical-path attribution: Dapper, Sigelman et al. 2010).
//                            Not of a client span, a call inside its service that makes one call
//                            to another one: what it has beyond that is the network's and the
//                            queue's in front of the callee, and nobody says whose fault it is.
//   span_errors:OPERATION    calls of it that failed
//   span_calls:OPERATION     one series a step: after one call another one, or its end. Which steps
//                            it takes tells calls that are no longer made and new ones
//                            (event patterns: Nezha, Yu et al., FSE 2023; paths: Pinpoint, Chen et
//                            al., DSN 2002). Client spans are read as what they call.
//
// Calls between services are added to the model's edges.
//
// The result is a function of the sequence of spans; within the bounds and while spans are at most
// trace_idle_ns out of order, of the set of spans alone. Threads: the caller's. The model must
// outlive it. Source of the periods: the end of a span.
class SpanAssembler {
 public:
  struct Counters {
    std::uint64_t spans = 0;         // taken
    std::uint64_t refused = 0;       // durations below zero, times beyond what fits, no name
    std::uint64_t cut = 0;           // left out of a trace that has trace_spans_max already
    std::uint64_t closed_early = 0;  // traces that spans_max cut short
    std::uint64_t no_room = 0;       // samples and edges beyond the model's bounds
  };
  explicit SpanAssembler(RootCauseModel& model, SpanConfig config = {})
      : model_(model), config_(config) {}

  // False, and counted: refused or cut.
  bool observe(const Span& span);
  // Takes all traces as complete and hands everything on.
  void finish();
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::size_t spans_held() const noexcept { return spans_held_; }
  [[nodiscard]] std::size_t cells_held() const noexcept { return cells_held_; }

 private:
  struct Held {
    std::string id, parent, service, operation;
    std::int64_t start_ns = 0, end_ns = 0;
    bool failed = false;
    std::vector<std::size_t> calls;  // of the trace, in order of start
    bool is_client = false;
  };
  struct Trace {
    std::vector<Held> spans;
    std::int64_t last_end_ns = 0;
  };
  enum class Said : std::uint8_t { kSelfTime, kErrors, kCalls };
  struct Cell {
    double sum = 0.0;
    double count = 0.0;
  };
  // service, what, operation, step
  using CellKey = std::tuple<std::string, Said, std::string, std::uint64_t>;
  using Period = std::map<CellKey, Cell>;

  void close(const std::string& id);
  void close_before(std::int64_t end_ns);
  static void link(std::vector<Held>& spans);
  void read(const std::vector<Held>& spans, const Held& span);
  void read_steps(const std::vector<Held>& spans, const Held& span);
  void add(const Held& span, Said said, std::uint64_t step, double value);
  void hand_on(std::int64_t period_end_ns, const Period& period);
  void hand_on_before(std::int64_t period_end_ns);

  RootCauseModel& model_;
  SpanConfig config_;
  std::map<std::string, Trace, std::less<>> traces_;
  std::set<std::pair<std::int64_t, std::string>> by_end_;  // last end, trace
  std::map<std::int64_t, Period> periods_;                 // by their end
  std::int64_t newest_start_ns_ = 0;
  std::size_t spans_held_ = 0;
  std::size_t cells_held_ = 0;
  Counters counters_;
};

}  // namespace grace::models
