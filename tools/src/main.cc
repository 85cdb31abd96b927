#include <exception>
#include <iostream>

#include "command.h"

int main(int argc, char** argv) {
  using namespace grace::tools;
  CLI::App app{"Grace: a self-healing trigger engine for telemetry streams", "grace"};
  app.set_version_flag("--version", GRACE_VERSION);
  app.require_subcommand(1);
  int exit_code = kExitOk;
  add_run_command(app, exit_code);
  add_replay_command(app, exit_code);
  add_gen_command(app, exit_code);
  add_ledger_command(app, exit_code);
  add_journal_command(app, exit_code);
  add_control_commands(app, exit_code);
  add_check_command(app, exit_code);
  add_explain_command(app, exit_code);
  add_completion_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  } catch (const std::exception& error) {
    std::cerr << "grace: " << error.what() << '\n';
    return kExitNegative;
  }
  return exit_code;
}
