#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/detector.h"
#include "grace/core/finding.h"
#include "grace/core/record_sink.h"
#include "grace/core/run.h"
#include "grace/core/step_executor.h"
#include "grace/core/topology.h"
#include "grace/core/trigger.h"
#include "grace/schedule/playbook.h"
#include "grace/schedule/schedule_config.h"
#include "grace/schedule/trust_core.h"

namespace grace::schedule {

// Place of an input in the ordered stage's total order. now_ns is event time: the watermark, or the
// control event's own time when that is later.
struct Moment {
  std::uint64_t sequence = 0;
  std::int64_t now_ns = 0;
};

struct BuiltinResult {
  bool ok = false;
  std::string message;        // one line, becomes part of the run's reason
  std::string report = "{}";  // raw JSON object, recorded with the step
};

// What only the pipeline can do. Called on the ordered stage's thread; must not call back into the
// scheduler.
class BuiltinHandler {
 public:
  // adjust_threshold: moves the adjustable that the incident's triggers name.
  virtual BuiltinResult adjust_threshold(const core::PlaybookRun& run,
                                         const core::Incident& incident, const Moment& moment) = 0;
  // emit steps: publishes a mesh event about the run's service.
  virtual bool emit(std::string_view event_type, const core::PlaybookRun& run,
                    const Moment& moment) = 0;

 protected:
  ~BuiltinHandler() = default;
};

// Hears every change of every run, in order, after it is recorded. May call into the scheduler.
class RunListener {
 public:
  virtual void on_run(const core::PlaybookRun& run, const Moment& moment) = 0;

 protected:
  ~RunListener() = default;
};

// Turns incidents into playbook runs: proposes, asks the trust core, executes step by step,
// verifies against the stream, rolls back.
//
// Threads: the ordered stage's only. A function of its input sequence: no clock, no randomness.
// Order: a change is appended to the RecordSink before its effect (a step, a notification) begins.
// Bounds: ScheduleConfig; refused_count() counts what they turned away.
// Lifetime: everything passed to the constructor outlives the scheduler.
class Scheduler {
 public:
  struct Wiring {
    const core::Topology& topology;
    core::RecordSink& records;
    core::StepExecutor& executor;
    BuiltinHandler& builtins;
    RunListener* listener = nullptr;
  };
  // `config` has been validated; `playbooks` was built with config.limits.
  Scheduler(ScheduleConfig config, const PlaybookSet& playbooks, const Wiring& wiring);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // --- inputs, in the total order ---
  // The incident has been open for the group wait: propose now, or when a limit allows it.
  void on_incident_ready(const core::Incident& incident, const Moment& moment);
  // Any later change, also healed or resolved (then nothing more is proposed for it).
  void on_incident_update(const core::Incident& incident, const Moment& moment);
  void on_observation(const core::Observation& observation, const Moment& moment);
  void on_tick(const Moment& moment);
  // A step_result control event. Late, repeated or unknown results change nothing and are counted.
  void on_step_result(const core::StepResult& result, const Moment& moment);
  // Control events of people. False: it had no effect (and why is in the ledger).
  bool approve(std::string_view run_id, std::string_view actor, std::string_view reason,
               const Moment& moment);
  bool reject(std::string_view run_id, std::string_view actor, std::string_view reason,
              const Moment& moment);
  // The red button: nothing new starts until resume; what runs is finished or rolled back.
  void pause(std::string_view actor, std::string_view reason, const Moment& moment);
  void resume(std::string_view actor, std::string_view reason, const Moment& moment);
  // Closes a breaker ("attempts", "fleet", "playbook:NAME"); "*" or empty: all open ones.
  bool acknowledge(std::string_view breaker, std::string_view actor, const Moment& moment);

  // --- restart ---
  // Before any input: every record of the ledger in order (others than ours are ignored), then
  // recovered() once, which continues or fails what a crash left in the middle.
  void recover(const core::Record& record);
  void recovered(const Moment& moment);

  // --- queries ---
  [[nodiscard]] std::vector<core::PlaybookRun> runs() const;  // oldest first, active ones included
  [[nodiscard]] const core::PlaybookRun* find(std::string_view run_id) const;
  [[nodiscard]] std::array<std::uint64_t, core::kRunStateCount> runs_by_state() const;
  [[nodiscard]] bool paused() const noexcept;
  [[nodiscard]] std::vector<std::string> open_breakers() const;
  [[nodiscard]] std::uint64_t refused_count() const noexcept;         // bounds reached
  [[nodiscard]] std::uint64_t ignored_result_count() const noexcept;  // late or unknown results
  // Runs that execute, verify or roll back: what a clean shutdown may wait for.
  [[nodiscard]] std::size_t executing_count() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace grace::schedule
