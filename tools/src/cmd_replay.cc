#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include "command.h"
#include "grace/core/time.h"
#include "grace/harness/machine.h"
#include "grace/ingest/file_source.h"
#include "grace/ingest/journal.h"
#include "grace/ingest/stdin_source.h"
#include "grace/schedule/replay_executors.h"
#include "paced_source.h"
#include "session.h"
#include "stop_signal.h"
#include "toml_reader.h"

namespace grace::tools {
namespace {

constexpr unsigned kWorkersUnasked = 4;

struct ReplayArguments {
  std::vector<std::string> inputs;
  std::string config_path;
  std::string ledger;
  std::string mode;
  std::string speed = "max";
  std::string chunk;
  std::string arrival;
  std::string dead_letters;
  std::optional<std::size_t> workers;
  bool execute = false;
  bool json = false;
};

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::optional<double> parse_speed(const std::string& text) {
  if (text == "max") return 0.0;
  char* end = nullptr;
  const double speed = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || std::string_view(end) != "x" || !(speed > 0)) return std::nullopt;
  return speed;
}

core::Result<std::unique_ptr<ingest::Source>> open_input(const std::vector<std::string>& inputs) {
  using SourcePtr = std::unique_ptr<ingest::Source>;
  if (inputs.size() == 1 && inputs[0] == "-") {
    return SourcePtr(std::make_unique<ingest::StdinSource>(ingest::StdinSourceConfig{}));
  }
  if (inputs.size() == 1 && is_directory(inputs[0])) {
    auto journal = ingest::JournalSource::open(inputs[0]);
    if (!journal) return tl::unexpected<core::Error>(journal.error());
    return SourcePtr(std::move(*journal));
  }
  ingest::FileSourceConfig files;
  files.paths = inputs;
  auto source = ingest::FileSource::open(files);
  if (!source) return tl::unexpected<core::Error>(source.error());
  return SourcePtr(std::move(*source));
}

core::Result<void> apply_arguments(const ReplayArguments& arguments, AppConfig& config) {
  pipeline::EngineConfig& engine = config.engine;
  if (arguments.workers) {
    engine.workers = *arguments.workers;
  } else if (!config.workers_given) {
    // Decisions do not depend on it, and nobody waits for anything but the end.
    engine.workers = std::clamp(harness::usable_cpus(), 1U, kWorkersUnasked);
  }
  engine.ledger_directory = arguments.ledger;
  engine.journal_directory.clear();
  // A recording can wait: every rejected line is copied, up to the file's bounds.
  engine.dead_letters.path = arguments.dead_letters;
  engine.dead_letters.lines_per_second_max = 0;
  engine.dead_letters.wait_when_full = true;
  engine.ingest.tick_interval = std::chrono::nanoseconds(0);
  const auto bad = [](const std::string& message) {
    return core::make_error(core::ErrorCode::kInvalidArgument, message);
  };
  if (!arguments.chunk.empty()) {
    const auto bytes = parse_bytes(arguments.chunk);
    if (!bytes) return bad("--chunk: '" + arguments.chunk + "' is not a size");
    engine.ingest.chunk_target_bytes = static_cast<std::size_t>(*bytes);
  }
  if (!arguments.mode.empty()) {
    const auto mode = schedule::mode_from(arguments.mode);
    if (!mode) return bad("--mode: '" + arguments.mode + "' is not observe, suggest or auto");
    engine.schedule.trust.mode = *mode;
  }
  if (!arguments.arrival.empty()) {
    const auto arrival = core::parse_rfc3339(arguments.arrival);
    if (!arrival) return bad("--arrival: '" + arguments.arrival + "' is not an RFC 3339 time");
    engine.ingest.fixed_arrival_ns = *arrival;
  } else if (!engine.ingest.fixed_arrival_ns) {
    // One time for all chunks: the verdict on future timestamps must not change during the replay.
    engine.ingest.fixed_arrival_ns = core::SystemClock().wall_ns();
  }
  return {};
}

core::Result<std::unique_ptr<core::StepExecutor>> make_executor(const ReplayArguments& arguments,
                                                                const AppConfig& config,
                                                                bool from_journal) {
  using ExecutorPtr = std::unique_ptr<core::StepExecutor>;
  if (arguments.execute) {
    schedule::ExecutorConfig executor = config.executor;
    executor.program = {"/proc/self/exe", "executor"};
    auto started = schedule::ProcessExecutor::start(executor, nullptr);
    if (!started) return tl::unexpected<core::Error>(started.error());
    return ExecutorPtr(std::move(*started));
  }
  if (from_journal) return ExecutorPtr(std::make_unique<schedule::RecordedExecutor>());
  return ExecutorPtr(std::make_unique<schedule::DryRunExecutor>());
}

void show_progress(pipeline::Engine& engine) {
  const bool terminal = isatty(STDERR_FILENO) == 1;
  auto next = std::chrono::steady_clock::now();
  while (!engine.finished()) {
    if (stop_requested()) engine.request_stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (!terminal || std::chrono::steady_clock::now() < next) continue;
    next = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
    std::fprintf(stderr, "\r%llu events ",
                 static_cast<unsigned long long>(engine.counts().received));
  }
  if (terminal) std::fputs("\r                         \r", stderr);
}

int fail(const core::Error& error, int code) {
  std::cerr << "grace replay: " << error.message << '\n';
  return code;
}

int exit_code_of(const core::Error& error) {
  // An input that is not there is a wrong argument, as a missing ledger or configuration is.
  const bool usage = error.code == core::ErrorCode::kInvalidArgument ||
                     error.code == core::ErrorCode::kConfig ||
                     error.code == core::ErrorCode::kNotFound || error.os_error == ENOENT;
  return usage ? kExitUsage : kExitNegative;
}

int replay(const ReplayArguments& arguments) {
  const auto speed = parse_speed(arguments.speed);
  if (!speed) {
    std::cerr << "grace replay: --speed: '" << arguments.speed << "' is not max, 1x, 60x ...\n";
    return kExitUsage;
  }
  auto config = load_config(arguments.config_path);
  if (!config) return fail(config.error(), kExitUsage);
  if (auto applied = apply_arguments(arguments, *config); !applied) {
    return fail(applied.error(), kExitUsage);
  }
  auto checked = check_config(std::move(*config));
  if (!checked) return fail(checked.error(), kExitUsage);
  auto source = open_input(arguments.inputs);
  if (!source) return fail(source.error(), exit_code_of(source.error()));
  const core::SystemClock clock;
  const bool from_journal = (*source)->traits().replays;
  if (*speed > 0) source = std::make_unique<PacedSource>(std::move(*source), *speed, clock);
  auto executor = make_executor(arguments, checked->app, from_journal);
  if (!executor) return fail(executor.error(), kExitNegative);

  const core::SubsystemList subsystems = make_subsystems(checked->app);
  std::vector<std::unique_ptr<ingest::Source>> sources;
  sources.push_back(std::move(*source));
  const auto begin = std::chrono::steady_clock::now();
  auto engine = pipeline::Engine::open(
      checked->app.engine, {subsystems, std::move(sources), nullptr, **executor, checked->playbooks,
                            meta_loop::declare_adjustables, clock});
  if (!engine) return fail(engine.error(), exit_code_of(engine.error()));
  install_stop_signals();
  (*engine)->start();
  show_progress(**engine);
  const auto ended = (*engine)->wait();
  Summary summary;
  summary.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  summary.workers = checked->app.engine.workers;
  static_cast<void>(collect(**engine, summary));  // the engine has stopped: it always answers
  std::cout << (arguments.json ? to_json(summary) + "\n" : to_text(summary));
  if (!ended) return fail(ended.error(), kExitNegative);
  for (const ingest::SourceFigures& figures : summary.ingest.sources) {
    if (figures.read_errors > 0) std::cerr << "grace replay: " << figures.first_error << '\n';
  }
  return read_errors(summary.ingest) == 0 ? kExitOk : kExitNegative;
}

}  // namespace

void add_replay_command(Command& app, int& exit_code) {
  auto arguments = std::make_shared<ReplayArguments>();
  Command* replay_app =
      app.add_subcommand("replay", "Run a recording through the engine, bit for bit");
  replay_app->footer(
      "Example: grace replay firehose.ndjson.zst --workers 2 --json\n"
      "A directory is a journal that `grace run --record` wrote; - is standard input.");
  replay_app->add_option("input", arguments->inputs, "Files, one journal directory, or -")
      ->required();
  replay_app->add_option("--config", arguments->config_path, "Configuration file (TOML)");
  replay_app->add_option("--ledger", arguments->ledger, "Write the decisions to this ledger");
  replay_app->add_option("--workers", arguments->workers,
                         "Worker threads (default: one a CPU, at most 4)");
  replay_app->add_option("--chunk", arguments->chunk, "Bytes in a chunk, 4KiB to 1MiB");
  replay_app->add_option("--speed", arguments->speed, "max, 1x, 60x ...")->show_default();
  replay_app->add_option("--mode", arguments->mode, "observe, suggest or auto");
  replay_app->add_option("--arrival", arguments->arrival,
                         "Arrival time for lines without one, RFC 3339");
  replay_app->add_option("--dead-letters", arguments->dead_letters,
                         "Copy rejected lines to this file");
  replay_app->add_flag("--execute", arguments->execute, "Really execute playbooks");
  replay_app->add_flag("--json", arguments->json, "Print one JSON object");
  replay_app->callback([arguments, &exit_code] { exit_code = replay(*arguments); });
}

}  // namespace grace::tools
