#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "config.h"
#include "generator.h"
#include "grace/core/clock.h"
#include "grace/ingest/journal.h"
#include "grace/ingest/memory_source.h"
#include "grace/schedule/replay_executors.h"
#include "session.h"
#include "stream.h"

namespace grace::testing {

// Runs whole streams through the engine with the production detectors, in this process.
struct RunOptions {
  std::size_t workers = 1;
  std::size_t chunk_bytes = 256 * 1024;
  std::string ledger;
  std::string journal;
  schedule::Mode mode = schedule::Mode::kAuto;
  std::function<void(tools::AppConfig&)> adjust;
  // Where steps go; null: a dry run in which every step succeeds.
  core::StepExecutor* executor = nullptr;
  // Takes the place of the stream in memory.
  std::function<std::unique_ptr<ingest::Source>()> make_source;
  // Changes the list of subsystems before the engine is built.
  std::function<void(core::SubsystemList&)> adjust_subsystems;
  pipeline::ProgressListener* progress = nullptr;
  // Looks at the engine after the stream has ended.
  std::function<void(const pipeline::OrderedView&)> look;
};

inline std::string generate_stream(const tools::GeneratorOptions& options) {
  std::ostringstream out;
  EXPECT_TRUE(tools::generate(options, out).has_value());
  return std::move(out).str();
}

// Recordings arrive at one fixed time: what is "too far ahead" does not depend on today's date.
inline constexpr std::int64_t kArrivalNs = 1'798'761'600'000'000'000;  // 2027-01-01

inline tools::Summary run_stream(std::string text, const RunOptions& options = {}) {
  tools::AppConfig config;
  config.engine.workers = options.workers;
  config.engine.ingest.chunk_target_bytes = options.chunk_bytes;
  config.engine.ingest.fixed_arrival_ns = kArrivalNs;
  config.engine.schedule.trust.mode = options.mode;
  config.engine.ledger_directory = options.ledger;
  config.engine.journal_directory = options.journal;
  if (options.adjust) options.adjust(config);
  auto checked = tools::check_config(std::move(config));
  EXPECT_TRUE(checked.has_value()) << (checked ? "" : checked.error().message);
  tools::Summary summary;
  if (!checked) return summary;
  const core::SystemClock clock;
  schedule::DryRunExecutor dry_run;
  core::StepExecutor& executor = options.executor == nullptr ? dry_run : *options.executor;
  core::SubsystemList subsystems = tools::make_subsystems(checked->app);
  if (options.adjust_subsystems) options.adjust_subsystems(subsystems);
  std::vector<std::unique_ptr<ingest::Source>> sources;
  sources.push_back(options.make_source ? options.make_source()
                                        : std::make_unique<ingest::MemorySource>(std::move(text)));
  auto engine = pipeline::Engine::open(
      checked->app.engine, {subsystems, std::move(sources), nullptr, executor, checked->playbooks,
                            meta_loop::declare_adjustables, clock, options.progress});
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : engine.error().message);
  if (!engine) return summary;
  (*engine)->start();
  const auto ended = (*engine)->wait();
  EXPECT_TRUE(ended.has_value()) << (ended ? "" : ended.error().message);
  EXPECT_TRUE(tools::collect(**engine, summary));
  if (options.look) (*engine)->inspect(options.look);
  // Conservation, in every test that moves events.
  EXPECT_EQ(summary.counts.received,
            summary.counts.accepted + summary.counts.rejected_total() + summary.counts.dropped);
  return summary;
}

// For RunOptions::make_source: what a journal holds, again.
inline std::function<std::unique_ptr<ingest::Source>()> journal_source(std::string journal) {
  return [journal = std::move(journal)]() -> std::unique_ptr<ingest::Source> {
    auto source = ingest::JournalSource::open(journal);
    EXPECT_TRUE(source.has_value()) << (source ? "" : source.error().message);
    return source ? std::move(*source) : nullptr;
  };
}

// A directive that moves this threshold from 0.70 to 0.69, and the time it takes to.
inline constexpr std::string_view kMovedThreshold = "ml.min_confidence";
inline Stream stream_that_moves_a_threshold() {
  Stream stream;
  stream.mesh("meta_loop.directive", "api",
              R"({"diagnosis_code":"threshold_adjustment","confidence":0.95,)"
              R"("suggested_playbooks":["adjust_threshold"],"what":"ml.min_confidence",)"
              R"("metadata":{"parameter":"ml.min_confidence","from":0.70,"to":0.69}})");
  for (int i = 0; i < 60; ++i, stream.pass(5 * kNsPerSecond)) {
    stream.action("gateway", "call", "api", "core", "success");
  }
  return stream;
}
// Where it stands when the stream has ended; 0: it was never moved.
inline double threshold_after(const std::string& text, RunOptions options) {
  double value = 0.0;
  options.look = [&value](const pipeline::OrderedView& view) {
    value = view.learned.adjusted(kMovedThreshold, 0.0);
  };
  run_stream(text, options);
  return value;
}

}  // namespace grace::testing
