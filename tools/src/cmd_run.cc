#include <sys/stat.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "command.h"
#include "control_api.h"
#include "control_server.h"
#include "grace/schedule/process_executor.h"
#include "paths.h"
#include "session.h"
#include "stop_signal.h"

namespace grace::tools {
namespace {

struct RunArguments {
  std::string config_path;
  std::vector<std::string> sources;
  std::string ledger;
  std::string record;
  std::string mode;
  std::string socket;
  std::optional<std::size_t> workers;
  bool json = false;
};

// Carries step results from the executor's thread into the input. The executor outlives the engine
// and its sources, so the way is cut before they go.
class ResultRelay {
 public:
  void attach(ingest::InternalSource* source) {
    const std::lock_guard lock(mutex_);
    source_ = source;
  }
  void deliver(core::StepResult&& result) {
    core::ControlEvent control;
    control.kind = core::ControlKind::kStepResult;
    control.ts_ns = core::SystemClock().wall_ns();
    control.actor = "executor";
    control.body = std::move(result);
    const std::string line = core::to_json_line(control);
    for (int attempt = 0; attempt < 1000; ++attempt) {
      {
        const std::lock_guard lock(mutex_);
        if (source_ == nullptr || source_->push(line)) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // full: the input is behind
    }
    std::cerr << "grace run: a step's result found no room in the input; its run will time out\n";
  }

 private:
  std::mutex mutex_;
  ingest::InternalSource* source_ = nullptr;
};

int fail(const core::Error& error, int code) {
  std::cerr << "grace run: " << error.message << '\n';
  return code;
}

core::Result<void> apply_arguments(const RunArguments& arguments, AppConfig& config) {
  pipeline::EngineConfig& engine = config.engine;
  if (arguments.workers) engine.workers = *arguments.workers;
  if (!arguments.ledger.empty()) engine.ledger_directory = arguments.ledger;
  if (engine.ledger_directory.empty()) engine.ledger_directory = kDefaultLedger;
  if (!arguments.record.empty()) engine.journal_directory = arguments.record;
  if (!arguments.mode.empty()) {
    const auto mode = schedule::mode_from(arguments.mode);
    if (!mode) {
      return core::make_error(core::ErrorCode::kInvalidArgument,
                              "--mode: '" + arguments.mode + "' is not observe, suggest or auto");
    }
    engine.schedule.trust.mode = *mode;
  }
  engine.ingest.tick_interval = std::chrono::seconds(1);
  if (!arguments.socket.empty()) config.control_socket = arguments.socket;
  if (config.control_socket.empty()) {
    config.control_socket = engine.ledger_directory + "/control.sock";
  }
  if (config.unix_socket.path.empty()) {
    config.unix_socket.path = engine.ledger_directory + "/ingest.sock";
  }
  if (config.tcp.port == 0) config.tcp.port = kDefaultTcpPort;
  return make_directories(engine.ledger_directory);
}

// What a bare `grace run` watches: this host, and whoever sends.
std::vector<std::string> source_specs(const RunArguments& arguments, const AppConfig& config) {
  if (!arguments.sources.empty()) return arguments.sources;
  std::vector<std::string> specs{
      "host", "unix:" + config.unix_socket.path,
      "tcp:" + config.tcp.address + ":" + std::to_string(config.tcp.port)};
  if (!config.shared_memory.path.empty()) specs.push_back("shared:" + config.shared_memory.path);
  return specs;
}

class Sidecar {
 public:
  explicit Sidecar(const RunArguments& arguments) : arguments_(arguments) {}

  int run() {
    auto config = load_config(arguments_.config_path);
    if (!config) return fail(config.error(), kExitUsage);
    if (auto applied = apply_arguments(arguments_, *config); !applied) {
      return fail(applied.error(), kExitUsage);
    }
    auto checked = check_config(std::move(*config));
    if (!checked) return fail(checked.error(), kExitUsage);
    checked_.emplace(std::move(*checked));
    install_stop_signals();
    if (const int code = start(); code != kExitOk) return code;
    while (!stop_requested() && !engine_->finished()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return stop();
  }

 private:
  int start() {
    schedule::ExecutorConfig executor = checked_->app.executor;
    executor.program = {"/proc/self/exe", "executor"};
    auto started = schedule::ProcessExecutor::start(
        executor, [this](core::StepResult&& result) { relay_.deliver(std::move(result)); });
    if (!started) return fail(started.error(), kExitNegative);
    executor_ = std::move(*started);

    std::vector<std::unique_ptr<ingest::Source>> sources;
    auto internal = std::make_unique<ingest::InternalSource>();
    ingest::InternalSourceConfig command_config;
    command_config.name = "control";
    command_config.trusted = false;
    auto commands = std::make_unique<ingest::InternalSource>(command_config);
    ingest::InternalSource* const internal_source = internal.get();
    ingest::InternalSource* const command_source = commands.get();
    sources.push_back(std::move(internal));
    sources.push_back(std::move(commands));
    for (const std::string& spec : source_specs(arguments_, checked_->app)) {
      auto source = make_source(spec, checked_->app, clock_);
      if (!source) {
        return fail(source.error(), source.error().code == core::ErrorCode::kInvalidArgument
                                        ? kExitUsage
                                        : kExitNegative);
      }
      std::cerr << "grace run: source " << (*source)->traits().name << '\n';
      sources.push_back(std::move(*source));
    }
    subsystems_ = make_subsystems(checked_->app);
    auto engine = pipeline::Engine::open(
        checked_->app.engine, {subsystems_, std::move(sources), internal_source, *executor_,
                               checked_->playbooks, meta_loop::declare_adjustables, clock_});
    if (!engine) return fail(engine.error(), kExitNegative);
    engine_ = std::move(*engine);
    relay_.attach(internal_source);
    const std::string mode(schedule::to_string(checked_->app.engine.schedule.trust.mode));
    api_.emplace(*engine_, *command_source, mode);
    engine_->start();
    auto server = ControlServer::start(checked_->app.control_socket,
                                       [this](std::string_view request, const std::string& actor) {
                                         return api_->handle(request, actor);
                                       });
    if (!server) return fail(server.error(), kExitNegative);
    server_ = std::move(*server);
    std::cerr << "grace run: mode " << mode << ", ledger " << checked_->app.engine.ledger_directory
              << ", control " << checked_->app.control_socket << '\n';
    return kExitOk;
  }

  int stop() {
    server_.reset();
    engine_->request_stop();
    const auto ended = engine_->wait();
    relay_.attach(nullptr);
    executor_.reset();
    Summary summary;
    summary.wall_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    summary.workers = checked_->app.engine.workers;
    static_cast<void>(collect(*engine_, summary));  // the engine has stopped: it always answers
    std::cout << (arguments_.json ? to_json(summary) + "\n" : to_text(summary));
    if (!ended) return fail(ended.error(), kExitNegative);
    return kExitOk;
  }

  const RunArguments& arguments_;
  const core::SystemClock clock_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::optional<CheckedConfig> checked_;
  core::SubsystemList subsystems_;
  ResultRelay relay_;
  std::unique_ptr<schedule::ProcessExecutor> executor_;
  std::unique_ptr<pipeline::Engine> engine_;
  std::optional<ControlApi> api_;
  std::unique_ptr<ControlServer> server_;
};

}  // namespace

void add_run_command(Command& app, int& exit_code) {
  auto arguments = std::make_shared<RunArguments>();
  Command* run_app = app.add_subcommand("run", "Watch live telemetry and heal: the sidecar");
  run_app->footer(
      "Example: grace run --config grace.toml --source tcp:127.0.0.1:7171 --ledger /var/lib/grace\n"
      "Sources: host, stdin, tcp:ADDRESS:PORT, unix:PATH, shared:PATH (memory shared with programs "
      "on this host), file:PATH, journal:DIR. With none given "
      "it watches this host and listens on a unix socket and loopback TCP.");
  run_app->add_option("--config", arguments->config_path, "Configuration file (TOML)");
  run_app->add_option("--source", arguments->sources, "Where telemetry comes from; repeatable");
  run_app->add_option("--ledger", arguments->ledger, "Directory of the decision ledger");
  run_app->add_option("--record", arguments->record, "Record the input in this journal directory");
  run_app->add_option("--mode", arguments->mode, "observe, suggest (default) or auto");
  run_app->add_option("--workers", arguments->workers, "Worker threads");
  run_app->add_option("--socket", arguments->socket,
                      "Control socket (default LEDGER/control.sock)");
  run_app->add_flag("--json", arguments->json, "Print the closing summary as JSON");
  run_app->callback([arguments, &exit_code] { exit_code = Sidecar(*arguments).run(); });
  Command* executor_app = app.add_subcommand("executor", "");  // internal: the executor process
  executor_app->hide();
  executor_app->callback([&exit_code] { exit_code = schedule::executor_main(3); });
}

}  // namespace grace::tools
