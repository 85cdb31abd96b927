#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/clock.h"
#include "grace/core/control.h"
#include "grace/core/detector.h"
#include "grace/core/error.h"
#include "grace/core/learned_state.h"
#include "grace/core/runner.h"
#include "grace/core/step_executor.h"
#include "grace/core/topology.h"
#include "grace/ingest/ingest_stage.h"
#include "grace/ingest/journal.h"
#include "grace/ledger/subsystem_logger.h"
#include "grace/parse/chunk_parser.h"
#include "grace/parse/dead_letter_file.h"
#include "grace/pipeline/trigger_manager.h"
#include "grace/schedule/scheduler.h"

namespace grace::pipeline {

// What has been done about the ledger's full segments since the start.
struct LedgerKeeping {
  std::uint64_t segments_removed = 0;
  std::uint64_t segments_compressed = 0;
  std::string error;  // why the last attempt failed; empty: it did not
};

// Which threads there are; decisions do not depend on it.
enum class Threading : std::uint8_t {
  // The workers' alone: a worker that has nothing to parse ingests, and the ordered stage is the
  // last one's guest. A single worker decides what it takes in without waiting for another core.
  kRunToCompletion = 0,
  // Ingest and the ordered stage are not the workers' guests: beside one worker they share a
  // thread, beside more each has its own. The highest rate of one worker, where a CPU is to spare.
  kPipeline,
};
// "run_to_completion", "pipeline".
[[nodiscard]] std::optional<Threading> threading_from(std::string_view name) noexcept;
[[nodiscard]] std::string_view name_of(Threading threading) noexcept;

struct EngineConfig {
  // --- behaviour ---
  // Event-time step in which windows, timeouts and expiries are looked at.
  std::chrono::nanoseconds tick{1'000'000'000};
  parse::ParseConfig parse;
  ingest::IngestConfig ingest;
  TriggerManagerConfig triggers;
  schedule::ScheduleConfig schedule;
  // Known before the first event; topology events add to it.
  std::vector<core::ServiceNode> topology;
  // Decisions are kept here; empty: only the digest.
  std::string ledger_directory;
  // File of the key that signs checkpoints of the ledger each second; empty: none are made.
  std::string ledger_signing_key;
  // The key before that one, for the start at which it changes: the change is recorded in the
  // ledger then, and the field does nothing more but have each start read all of the ledger. Empty:
  // the key stays.
  std::string ledger_previous_signing_key;
  // Fields of decision records that the ledger holds salted commitments of, such as
  // "payload.evidence" or "actor": the values are kept in <ledger>/redacted, where they can be
  // deleted. Not those that a restart reads. The journal and dead letters hold the raw input.
  std::vector<std::string> ledger_redact;
  // A second place for the checkpoints, on another disk or machine; empty: none.
  std::string ledger_export_directory;
  // Oldest segments of the ledger are removed until it takes no more, and those that nothing was
  // added to for longer; 0: not. What a restart rebuilds from the ledger, it rebuilds from the
  // rest.
  std::uint64_t ledger_retention_bytes = 0;
  std::chrono::seconds ledger_retention_age{0};
  // A full segment is compressed when so many newer full ones exist; 0: never.
  std::uint32_t ledger_compress_after = 0;
  // The input is recorded here; empty: not.
  std::string journal_directory;
  // Rejected lines are copied here; an empty path: only counted.
  parse::DeadLetterConfig dead_letters;
  // Observations handed to detectors and verifications in one tick; the rest is counted. Bounds
  // what an error storm over millions of keys can cost the ordered stage.
  std::size_t observations_per_tick_max = 65'536;
  // --- cost ---
  std::size_t workers = 1;              // 1 to core::kWorkersMax
  std::size_t event_ring_slots = 4096;  // each of workers x workers rings, 128 bytes a slot
  std::size_t item_ring_slots = 4096;   // each worker's ring to the ordered stage
  // 0: 2 x workers + 4, and 6 more with a journal. Memory: see chunk_capacity_bytes().
  std::size_t chunks_in_flight_max = 0;
  Threading threading = Threading::kRunToCompletion;
  // What the threads do while there is nothing to do. kPark is for machines that others use too.
  // kYield and kSpin save the wake-ups, where each thread has a CPU to itself.
  core::IdlePolicy idle = core::IdlePolicy::kPark;
  bool pin_workers = false;  // worker i on CPU i
};
[[nodiscard]] core::Result<EngineConfig> validated(EngineConfig config);

// Exact at any time when summed: received = accepted + rejected + dropped.
struct EventCounts {
  std::uint64_t received = 0;
  std::uint64_t accepted = 0;
  std::uint64_t dropped = 0;
  std::array<std::uint64_t, parse::kRejectReasonCount> rejected{};
  std::uint64_t blank_lines = 0;  // not events
  std::uint64_t late = 0;         // accepted, older than the bin they belong to
  std::uint64_t evicted = 0;      // series and patterns that bounds turned away
  core::BandCounts bands;         // of forecasts
  [[nodiscard]] std::uint64_t rejected_total() const;
};

// What became of a control event: who sent it when, and why it had no effect (empty: it had).
struct ControlOutcome {
  core::ControlKind kind;
  std::int64_t ts_ns;
  std::string actor;
  std::string refusal;
  // log: of its record; 0: there is none, or with retention, the ledger has yet to give it one.
  std::uint64_t record_sequence = 0;
};

// The ordered stage as others may see it, on its own thread, between two events.
struct OrderedView {
  std::int64_t now_ns;  // event time
  const TriggerManager& triggers;
  const schedule::Scheduler& scheduler;
  const core::LearnedState& learned;
  const core::Topology& topology;
  std::string_view decision_digest;
  std::uint64_t record_count;
  std::uint64_t record_failures;
  std::uint64_t observations_dropped;
  core::RiskCounts risk;
  // The latest people's controls, oldest first.
  const std::deque<ControlOutcome>& control_outcomes;
  const ledger::SubsystemStatsMap& subsystem_stats;  // of all records since the process began
};

// Told how far decisions have come; for who measures the latency of an event.
class ProgressListener {
 public:
  virtual ~ProgressListener() = default;
  // Every event below this sequence is decided and recorded. After each chunk, on the ordered
  // stage's thread, which waits meanwhile.
  virtual void on_decided(std::uint64_t sequence) noexcept = 0;
};

// The whole engine: threads, rings and stages. See docs/ARCHITECTURE.md for the drawing.
//
// Threads: open(), start(), wait() and the destructor: the owner's. request_stop(), push_line(),
// counts(), decided_sequence(), inspect(): any.
// Stop: sources end or request_stop() is called; everything read is then parsed, decided and
// recorded, the ledger and journal are synced, and wait() returns.
class Engine {
 public:
  struct Parts {
    const core::SubsystemList& subsystems;                 // outlives the engine
    std::vector<std::unique_ptr<ingest::Source>> sources;  // index = Chunk::source_index
    ingest::InternalSource* internal = nullptr;            // one of `sources`; null: no live lines
    core::StepExecutor& executor;                          // outlives the engine
    const schedule::PlaybookSet& playbooks;                // outlives the engine
    // Declares what the meta loop may move, before detectors are made. May be empty.
    std::function<void(core::LearnedState&)> declare_adjustables;
    const core::Clock& clock;              // outlives the engine
    ProgressListener* progress = nullptr;  // outlives the engine; null: nobody listens
  };
  [[nodiscard]] static core::Result<std::unique_ptr<Engine>> open(EngineConfig config, Parts parts);
  ~Engine();  // stops and waits
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void start();
  // Safe in a signal handler.
  void request_stop() noexcept;
  // All input is handled. Any thread may poll it.
  [[nodiscard]] bool finished() const noexcept;
  // Returns when finished, with everything durable; the first failure otherwise.
  [[nodiscard]] core::Result<void> wait();

  [[nodiscard]] EventCounts counts() const;
  [[nodiscard]] ingest::IngestFigures ingest_figures() const;
  [[nodiscard]] parse::DeadLetterCounters dead_letter_counters() const;
  // Runs `look` on the ordered stage's thread (or here, after wait()). False: not answered within
  // the timeout; `look` is then never called.
  bool inspect(const std::function<void(const OrderedView&)>& look,
               std::chrono::milliseconds timeout = std::chrono::seconds(5));
  // Every event of the input below this byte position is decided and recorded. Any thread.
  [[nodiscard]] std::uint64_t decided_sequence() const noexcept;
  // Highest ledger sequence known to be on disk; 0 without a ledger.
  [[nodiscard]] std::uint64_t durable_sequence() const;
  // The same for records that survive the end of the process (D1).
  [[nodiscard]] std::uint64_t written_sequence() const;
  // Waits until all that the ledger has been given is on disk. Any thread.
  [[nodiscard]] bool flush_ledger(std::chrono::milliseconds timeout);
  // Last record that a checkpoint speaks of, 0: none; and why the newest one could not be made or
  // stored, empty: it could.
  [[nodiscard]] std::uint64_t signed_sequence() const;
  [[nodiscard]] std::string checkpoint_error() const;
  // What ails the ledger itself: it ended, its disk is nearly full, or it had to give a file up.
  // Empty: nothing.
  [[nodiscard]] std::string ledger_error() const;
  // Why values were lost that the ledger holds commitments of; empty: none were.
  [[nodiscard]] std::string redaction_error() const;
  [[nodiscard]] LedgerKeeping ledger_keeping() const;
  // How far the journal is hashed; zeros without one.
  [[nodiscard]] ingest::JournalHashing journal_hashing() const;

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace grace::pipeline
