#pragma once
#include "command_line.h"

namespace grace::tools {

// Exit codes of every command.
inline constexpr int kExitOk = 0;        // done, or a positive finding
inline constexpr int kExitNegative = 1;  // a negative finding, or the work failed
inline constexpr int kExitUsage = 2;     // wrong use: arguments, configuration

// Each command adds itself to the program and leaves its exit code behind when it was the one.
void add_run_command(Command& app, int& exit_code);
void add_replay_command(Command& app, int& exit_code);
void add_bench_command(Command& app, int& exit_code);
void add_gen_command(Command& app, int& exit_code);
void add_ledger_command(Command& app, int& exit_code);
void add_journal_command(Command& app, int& exit_code);
void add_control_commands(Command& app, int& exit_code);  // runs, stats, feedback, pause ...
void add_score_command(Command& app, int& exit_code);
void add_check_command(Command& app, int& exit_code);
void add_explain_command(Command& app, int& exit_code);
void add_completion_command(Command& app, int& exit_code);

}  // namespace grace::tools
