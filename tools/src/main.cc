#include <exception>
#include <iostream>

#include "command.h"

int main(int argc, char** argv) {
  using namespace grace::tools;
  CommandLine line("grace", "Grace: a self-healing trigger engine for telemetry streams",
                   GRACE_VERSION);
  Command& app = line.root();
  app.require_subcommand();
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
    if (!line.parse(argc, argv)) return kExitUsage;
  } catch (const std::exception& error) {
    std::cerr << "grace: " << error.what() << '\n';
    return kExitNegative;
  }
  return exit_code;
}
