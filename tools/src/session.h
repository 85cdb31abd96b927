#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config.h"
#include "grace/core/detector.h"
#include "grace/core/error.h"
#include "grace/ingest/source.h"
#include "grace/pipeline/engine.h"

namespace grace::tools {

// The four subsystems, in the order of their `source` numbers. The one place that names concrete
// detectors: adding one is a folder below detectors/ and a line here.
[[nodiscard]] core::SubsystemList make_subsystems(const AppConfig& config);

// A --source of `grace run`: "host", "stdin" or "-", "tcp:ADDRESS:PORT", "unix:PATH", "file:PATH",
// "journal:DIR"; a bare path is a file. kInvalidArgument says what is wrong. `clock` outlives the
// source.
[[nodiscard]] core::Result<std::unique_ptr<ingest::Source>> make_source(const std::string& spec,
                                                                        const AppConfig& config,
                                                                        const core::Clock& clock);

// What a finished (or running) engine did, as `grace replay --json` prints it.
struct Summary {
  pipeline::EventCounts counts;
  std::string trigger_stats_json = "{}";  // get_stats() shape
  std::string suppressed_json = "{}";     // by gate
  std::uint64_t incidents = 0;
  std::map<std::string, std::uint64_t> runs;  // by status
  std::string decision_digest;
  std::uint64_t record_count = 0;
  std::uint64_t observations_dropped = 0;
  core::RiskCounts risk;
  double wall_seconds = 0.0;
  std::uint64_t peak_rss_bytes = 0;
  std::size_t workers = 0;
  parse::DeadLetterCounters dead_letters;
  ingest::IngestFigures ingest;
  std::uint64_t durable_sequence = 0;
  std::uint64_t signed_sequence = 0;
  std::string checkpoint_error;
  std::string ledger_error;
  std::string redaction_error;
  pipeline::LedgerKeeping ledger_keeping;
  ingest::JournalHashing journal;
};
// How often a source could not be read: its input is not complete.
[[nodiscard]] std::uint64_t read_errors(const ingest::IngestFigures& figures);

// False when the engine did not answer in time.
[[nodiscard]] bool collect(pipeline::Engine& engine, Summary& summary);
[[nodiscard]] std::string to_json(const Summary& summary);
// For people: a few lines.
[[nodiscard]] std::string to_text(const Summary& summary);
// Highest resident memory of this process so far.
[[nodiscard]] std::uint64_t peak_rss_bytes();

}  // namespace grace::tools
