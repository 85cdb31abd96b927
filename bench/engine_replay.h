#pragma once
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "grace/core/clock.h"
#include "grace/harness/machine.h"
#include "grace/ingest/file_source.h"
#include "grace/ingest/publish_source.h"
#include "grace/schedule/replay_executors.h"
#include "session.h"
#include "typed_events.h"

// The engine with the production detectors, from the bytes of a file, or from typed events that a
// thread publishes, to recorded decisions.
namespace grace::bench {

struct Threads {
  std::size_t workers = 1;
  core::IdlePolicy idle = pipeline::EngineConfig{}.idle;
  pipeline::Threading threading = pipeline::EngineConfig{}.threading;
  void put_into(pipeline::EngineConfig& config) const {
    config.workers = workers;
    config.idle = idle;
    config.threading = threading;
  }
};

// What gets most out of so many workers on two CPUs: one has a thread beside it, more have none.
constexpr Threads threads_for(std::size_t workers) {
  return {.workers = workers,
          .threading = workers == 1 ? pipeline::Threading::kPipeline
                                    : pipeline::Threading::kRunToCompletion};
}

struct ReplayOptions {
  Threads threads = {};
  std::string journal = {};  // recorded there; empty: not
  std::string ledger = {};   // decisions are kept there; empty: only their digest
  std::string config = {};   // its file; empty: defaults
  // The time counts from when so many events were accepted: what fills tables comes before.
  std::uint64_t events_before = 0;
};

struct Replay {
  double wall_s = 0.0;
  double before_s = 0.0;  // of `events_before`
  std::map<std::string, double> thread_cpu_s;
  tools::Summary summary;
};

// CPU time of this process's threads by name, from the scheduler's own books.
inline std::map<std::string, double> thread_cpu_seconds() {
  std::map<std::string, double> seconds;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    double cpu_ns = 0.0;
    std::ifstream(task.path() / "schedstat") >> cpu_ns;
    seconds[name] += cpu_ns * 1e-9;
  }
  return seconds;
}

// `started` is called when the engine runs.
inline core::Result<Replay> replay(
    const std::function<core::Result<std::unique_ptr<ingest::Source>>()>& make_source,
    const ReplayOptions& options, const std::function<void()>& started = {}) {
  const auto failed = [](const core::Error& error) { return tl::unexpected<core::Error>(error); };
  auto config = tools::load_config(options.config);
  if (!config) return failed(config.error());
  options.threads.put_into(config->engine);
  config->engine.journal_directory = options.journal;
  config->engine.ledger_directory = options.ledger;
  config->engine.ingest.tick_interval = std::chrono::nanoseconds(0);
  config->engine.ingest.fixed_arrival_ns = std::int64_t{1'900'000'000'000'000'000};
  auto checked = tools::check_config(std::move(*config));
  if (!checked) return failed(checked.error());
  const core::SystemClock clock;
  schedule::DryRunExecutor executor;
  const core::SubsystemList subsystems = tools::make_subsystems(checked->app);
  auto source = make_source();
  if (!source) return failed(source.error());
  std::vector<std::unique_ptr<ingest::Source>> sources;
  sources.push_back(std::move(*source));

  Replay run;
  double begin_s = harness::now_s();
  auto engine = pipeline::Engine::open(
      checked->app.engine, {subsystems, std::move(sources), nullptr, executor, checked->playbooks,
                            meta_loop::declare_adjustables, clock});
  if (!engine) return failed(engine.error());
  (*engine)->start();
  if (started) started();
  constexpr std::chrono::microseconds kGlance{500};
  if (options.events_before > 0) {
    while (!(*engine)->finished() && (*engine)->counts().accepted < options.events_before) {
      std::this_thread::sleep_for(kGlance);
    }
    run.before_s = harness::now_s() - begin_s;
    begin_s += run.before_s;
  }
  while (!(*engine)->finished()) std::this_thread::sleep_for(kGlance);
  run.thread_cpu_s = thread_cpu_seconds();
  if (const auto ended = (*engine)->wait(); !ended) return failed(ended.error());
  run.wall_s = harness::now_s() - begin_s;
  if (!tools::collect(**engine, run.summary)) {
    return core::make_error(core::ErrorCode::kTimeout, "the engine does not answer");
  }
  return run;
}

inline core::Result<Replay> replay_file(const std::string& path, const ReplayOptions& options) {
  return replay(
      [&]() -> core::Result<std::unique_ptr<ingest::Source>> {
        ingest::FileSourceConfig files;
        files.paths = {path};
        return ingest::FileSource::open(files);
      },
      options);
}

// Published by one thread as fast as the engine takes them, without JSON.
inline core::Result<Replay> replay_published(const tools::TypedEvents& events,
                                             const ReplayOptions& options) {
  std::optional<Publisher> publisher;
  std::thread thread;
  const auto publish_all = [&] {
    for (const auto& event : events.events()) {
      std::visit(
          [&](const auto& typed) {
            if (publisher->add(typed) == ingest::PublishStatus::kOk) return;
            static_cast<void>(publisher->publish(typed, std::chrono::minutes(1)));
          },
          event);
    }
    publisher.reset();  // the source ends with it
  };
  auto run = replay(
      [&]() -> core::Result<std::unique_ptr<ingest::Source>> {
        ingest::PublishConfig config;
        config.end_with_publishers = true;
        config.operator_allowed = true;
        auto source = ingest::PublishSource::create(config);
        if (!source) return tl::unexpected<core::Error>(source.error());
        auto made = (*source)->publisher();
        if (!made) return tl::unexpected<core::Error>(made.error());
        publisher.emplace(std::move(*made));
        return std::move(*source);
      },
      options, [&] { thread = std::thread(publish_all); });
  if (thread.joinable()) thread.join();
  return run;
}

// Empty: all `events` were accepted and `digest`, unless it is empty and set now, is the same.
inline std::string wrong_with(const Replay& run, std::uint64_t events, std::string& digest) {
  const auto& counts = run.summary.counts;
  if (counts.received != events || counts.accepted != events || counts.dropped != 0) {
    return "the engine accepted " + std::to_string(counts.accepted) + " of " +
           std::to_string(events) + " events";
  }
  if (digest.empty()) digest = run.summary.decision_digest;
  if (run.summary.decision_digest != digest) return "the decision digest differs between runs";
  return "";
}

}  // namespace grace::bench
