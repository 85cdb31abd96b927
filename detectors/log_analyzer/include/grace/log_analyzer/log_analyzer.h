#pragma once
#include <chrono>
#include <cstdint>
#include <memory>

#include "grace/core/detector.h"
#include "grace/core/error.h"

namespace grace::log_analyzer {

// What the log analyzer looks for in actions. All times are event time. The bounds are those of
// one partition (there are core::kPartitionCount), except where `ordered` is said.
struct LogAnalyzerConfig {
  // --- recurring errors: the same (actor, action, resource) fails again and again ---
  // Errors within the window that make a pattern. Smaller: earlier and more findings.
  std::uint32_t error_count_min = 3;
  std::chrono::seconds error_window{600};
  // A burst is reported when no further error came for error_settle, at the latest
  // error_settle_max after the threshold was reached, at once when it is storm_factor times the
  // threshold. Longer: fuller counts, later findings.
  std::chrono::seconds error_settle{10};
  std::chrono::seconds error_settle_max{60};
  std::uint32_t error_storm_factor = 10;
  // Reported again only when the count in the window has grown by this factor ...
  double error_growth_factor = 2.0;
  // ... or when the pattern recurs after it was quiet this long.
  std::chrono::seconds error_quiet{600};
  // Share of errors and errors per window taken for normal while nothing is known, as the weight
  // (pseudo actions, pseudo windows) of half an error. Larger: less tolerance for a new pattern.
  double prior_actions = 200.0;
  double prior_windows = 20.0;

  // --- slowdowns: duration_ms of an action trends up ---
  std::chrono::seconds duration_bin{60};
  // Bins of the trend test (Mann-Kendall); 8 to 24. More: surer and later.
  std::uint32_t duration_trend_bins = 12;
  // Bins that must have been learned before a trend can be reported.
  std::uint32_t duration_warmup_bins = 30;
  // Rise over the trend, as a share of the level before it, that is worth reporting.
  double duration_rise_min = 0.30;

  // --- sequences: what an actor does next, given what it did ---
  // Transitions a class of actors must have shown before its surprises count.
  std::uint32_t sequence_warmup = 1000;
  // A transition is surprising when so small a share of the class's transitions was as improbable.
  double sequence_surprise_share = 0.01;
  // Surprising transitions among the last sequence_run_max that make an unusual sequence.
  std::uint32_t sequence_run_min = 3;
  std::uint32_t sequence_run_max = 8;

  // --- sessions: what an actor does under one session or trace id, as a whole ---
  // A session is over when nothing came of it for this long. Shorter: found sooner, and sessions
  // that pause are cut in two.
  std::chrono::seconds session_idle{300};

  // --- cascades (ordered): errors that spread over components ---
  std::chrono::seconds cascade_window{60};
  std::uint32_t cascade_components_min = 3;
  // Reported when no further component joined for this long, at the latest after the window.
  std::chrono::seconds cascade_settle{15};

  // --- cost ---
  // Period of the kActions observations. Shorter: faster health and cascades, more observations.
  std::chrono::seconds observation_period{10};
  // Past the bounds the least recently seen is evicted and counted. Memory is touched as it fills:
  // about 350 bytes a pattern (and 450 more if it erred, 350 if it has durations), 250 a pair,
  // 500 a session, 1,000 more if it has an id, 150 a grammar node.
  std::uint32_t patterns_max = 4096;        // (actor, action, resource)
  std::uint32_t pairs_max = 2048;           // (actor, resource)
  std::uint32_t sessions_max = 2048;        // (actor, session)
  std::uint32_t grammar_nodes_max = 4096;   // full: new contexts wait until an old one is idle
  std::uint32_t grammar_classes_max = 512;  // actor classes: subsystem, or actor where it has none
  std::uint32_t session_models_max = 4;     // actor classes whose sessions are judged; 2 MiB each
  std::uint32_t templates_max = 512;        // of action names that hold identifiers
  std::uint32_t symbols_max = 65'536;       // interned texts; past it new patterns are refused
  std::uint32_t symbol_bytes_max = 4U << 20;
  std::uint32_t components_max = 4096;  // ordered
};

// Every field inside its bounds, else an error that names the field and its value.
[[nodiscard]] core::Result<LogAnalyzerConfig> validated(LogAnalyzerConfig config);

// Source immutable_log: pattern_detected (recurring_error, performance_degradation) and
// anomaly_sequence (unusual_sequence, unusual_session, error_cascade). `config` must be validated.
[[nodiscard]] std::unique_ptr<core::Subsystem> make_log_analyzer(LogAnalyzerConfig config);

}  // namespace grace::log_analyzer
