#include <algorithm>
#include <exception>
#include <iostream>

#include "command.h"

namespace {

// The first word that should be a command and is none; null when there is no such word. CLI11 only
// says that a command is missing.
const char* unknown_command(const CLI::App& root, int argc, char** argv) {
  const CLI::App* app = &root;
  for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
    const auto commands = app->get_subcommands([](const CLI::App*) { return true; });
    if (commands.empty()) return nullptr;
    const auto named = std::find_if(commands.begin(), commands.end(), [&](const CLI::App* command) {
      return command->get_name() == argv[i];
    });
    if (named == commands.end()) return argv[i];
    app = *named;
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace grace::tools;
  CLI::App app{"Grace: a self-healing trigger engine for telemetry streams", "grace"};
  app.set_version_flag("--version", GRACE_VERSION);
  app.require_subcommand(1);
  int exit_code = kExitOk;
  add_run_command(app, exit_code);
  add_replay_command(app, exit_code);
  add_gen_command(app, exit_code);
  add_bench_command(app, exit_code);
  add_ledger_command(app, exit_code);
  add_journal_command(app, exit_code);
  add_control_commands(app, exit_code);
  add_score_command(app, exit_code);
  add_check_command(app, exit_code);
  add_explain_command(app, exit_code);
  add_completion_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (const char* word = unknown_command(app, argc, argv)) {
      std::cerr << "grace: there is no command '" << word << "'; see grace --help\n";
      return kExitUsage;
    }
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  } catch (const std::exception& error) {
    std::cerr << "grace: " << error.what() << '\n';
    return kExitNegative;
  }
  return exit_code;
}
