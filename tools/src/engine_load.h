#pragma once
#include <cstdint>
#include <functional>
#include <optional>

#include "config.h"
#include "grace/harness/load.h"
#include "grace/pipeline/engine.h"
#include "load_stream.h"
#include "publish_load.h"

namespace grace::tools {

// What an engine is put under. All outlive the run.
struct EngineLoad {
  const CheckedConfig& config;
  const LoadStream& stream;
  const harness::ArrivalConfig& arrivals;
  const harness::LoadSpan& span;
  // Events in a second of event time; 0: as many as arrive in a second, as with live telemetry.
  double event_rate = 0.0;
  // Called every few milliseconds with the time since the begin, on the thread of the caller.
  // May be empty.
  std::function<void(std::int64_t now_ns)> watch = {};
  // Given, the events are published without JSON by a thread of their own. Of `stream`.
  const PublishStream* published = nullptr;
};

struct EngineRun {
  harness::LoadResult load;
  pipeline::EventCounts counts;  // zeros for an engine elsewhere
  std::uint64_t rejected = 0;
  std::optional<double> foreign_share;  // of all CPUs' time meanwhile
  std::uint64_t resident_bytes = 0;     // of the process, with the engine full, less before
  std::optional<double> cpu_s;          // of this process, from start to the end of the drain
  std::uint64_t marks_left_out = 0;     // see DecidedMarks
};

// The production pipeline in this process under an open loop: from the intended arrival of an event
// to the moment when all of its chunk is decided and recorded.
//
//   ingest stage's thread: LoadSource == chunks ==> the engine ==> ordered stage's: DecidedMarks
//   (or a generator's thread: PublishLoad == ring ==> ingest stage's thread)
//   this thread: sleeps, and counts when the run is over
//
// Conservation is checked afterwards: an engine that does not account for each event that it was
// sent gives an error, no figures.
[[nodiscard]] core::Result<EngineRun> run_engine_load(const EngineLoad& load);

// The same generator and observer around a service that does nothing but hand chunks on, from
// thread to thread where the engine's `threads` (workers, threading, idle) would: what the harness
// itself adds, the floor under every figure.
[[nodiscard]] core::Result<harness::LoadResult> run_null_load(
    const LoadStream& stream, const harness::ArrivalConfig& arrivals, const harness::LoadSpan& span,
    const pipeline::EngineConfig& threads, const PublishStream* published = nullptr);

}  // namespace grace::tools
