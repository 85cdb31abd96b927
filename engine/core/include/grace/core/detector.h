#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "grace/core/event.h"
#include "grace/core/finding.h"
#include "grace/core/outcome.h"
#include "grace/core/run.h"
#include "grace/core/trigger.h"

namespace grace::core {

class Topology;
class LearnedState;

// Where a detector puts what it found. Calls are made on the thread that runs the detector; the
// order of calls within one event is part of the deterministic order.
class FindingSink {
 public:
  virtual void finding(Finding&& finding) = 0;
  virtual void observe(const Observation& observation) = 0;

 protected:
  ~FindingSink() = default;
};

// Event time moves in ticks, the same for every partition and the ordered stage.
struct Tick {
  std::uint64_t sequence = 0;     // the event that crossed it
  std::int64_t watermark_ns = 0;  // a multiple of the tick period; may jump over many periods
  std::int64_t previous_ns = 0;   // the tick before; 0 at the first
};

// Forecast bands that are to hold nine tenths: how many came due, and what came true within them.
struct BandCounts {
  std::uint64_t due = 0;
  std::uint64_t inside = 0;
};

// Judgements of risk whose time for an outcome is over: came_true + did_not_come + unwitnessed ==
// due. Of the first two also how far off their probabilities were: sums of squared errors, by
// number the Brier score (Brier 1950), as learned by then and as configured.
struct RiskCounts {
  std::uint64_t due = 0;
  std::uint64_t came_true = 0;
  std::uint64_t did_not_come = 0;
  std::uint64_t unwitnessed = 0;  // nobody looked who could have seen it come
  double squared_error = 0.0;
  double squared_error_at_start = 0.0;
};

// Keyed state of one partition (one of kPartitionCount). Owned and run by exactly one worker
// thread. Must be a function of its own input alone: no clock, no randomness, no other partition,
// nothing learned elsewhere. No allocation per event in the steady state.
class PartitionDetector {
 public:
  virtual ~PartitionDetector() = default;
  // Metric and action events whose key falls into this partition, in input order.
  virtual void on_event(const Event& event, FindingSink& sink) = 0;
  // Whether on_event() looks at events of this kind (kMetric, kAction). Asked once, at the start.
  [[nodiscard]] virtual bool wants(EventKind kind) const {
    static_cast<void>(kind);
    return true;
  }
  // Whether the state of its keys is too much for the caches, so that fetch() is worth its call.
  // Asked now and then.
  [[nodiscard]] virtual bool fetches_ahead() const noexcept { return false; }
  // Fetches what on_event() will look at first, some events before. Changes nothing.
  virtual void fetch(const Event& event) const noexcept { static_cast<void>(event); }
  // Control events that concern detectors (deploy, topology), at their sequence.
  virtual void on_control(const Event& event, FindingSink& sink) {
    static_cast<void>(event);
    static_cast<void>(sink);
  }
  virtual void on_tick(const Tick& tick, FindingSink& sink) {
    static_cast<void>(tick);
    static_cast<void>(sink);
  }
  // Events older than the newest bin they belong to: counted, not lost.
  [[nodiscard]] virtual std::uint64_t late_count() const { return 0; }
  // What this partition's bounds turned away (series, patterns, labels), for statistics.
  [[nodiscard]] virtual std::uint64_t evicted_count() const { return 0; }
  // Of all bands made, those about what was never told included; for statistics.
  [[nodiscard]] virtual BandCounts band_counts() const { return {}; }
};

// Read-only view of the ordered stage, given to detectors that look across keys.
struct OrderedContext {
  const Topology& topology;
  const LearnedState& learned;
};

// Looks across keys. One instance, run by the ordered stage's thread. Everything arrives in one
// total order that does not depend on workers or chunks.
class OrderedDetector {
 public:
  virtual ~OrderedDetector() = default;
  virtual void on_observation(const Observation& observation, std::uint64_t sequence,
                              FindingSink& sink) = 0;
  virtual void on_tick(const Tick& tick, FindingSink& sink) = 0;
  virtual void on_control(const Event& event, FindingSink& sink) {
    static_cast<void>(event);
    static_cast<void>(sink);
  }
  // Every trigger that passed the gates or became weak evidence (trigger.weak).
  virtual void on_trigger(const Trigger& trigger, FindingSink& sink) {
    static_cast<void>(trigger);
    static_cast<void>(sink);
  }
  // Every state change of a playbook run.
  virtual void on_run(const PlaybookRun& run, FindingSink& sink) {
    static_cast<void>(run);
    static_cast<void>(sink);
  }
  // How a trigger turned out, after it was recorded and learned from.
  virtual void on_outcome(const Outcome& outcome, FindingSink& sink) {
    static_cast<void>(outcome);
    static_cast<void>(sink);
  }
  // For statistics.
  [[nodiscard]] virtual RiskCounts risk_counts() const { return {}; }
  // What this detector's bounds turned away, for statistics.
  [[nodiscard]] virtual std::uint64_t evicted_count() const { return 0; }
};

// One of the intelligent subsystems: a factory of its detectors. Immutable after construction.
class Subsystem {
 public:
  virtual ~Subsystem() = default;
  [[nodiscard]] virtual Source source() const noexcept = 0;
  // May return null: the subsystem has no keyed part.
  [[nodiscard]] virtual std::unique_ptr<PartitionDetector> make_partition(
      std::size_t partition_index) const = 0;
  // May return null: the subsystem does not look across keys.
  [[nodiscard]] virtual std::unique_ptr<OrderedDetector> make_ordered(
      const OrderedContext& context) const = 0;
};
using SubsystemList = std::vector<std::unique_ptr<Subsystem>>;

}  // namespace grace::core
