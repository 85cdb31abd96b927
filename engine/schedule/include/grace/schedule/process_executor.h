#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/step_executor.h"

namespace grace::schedule {

// Limits of every command. 0 leaves the inherited limit.
struct ExecutorConfig {
  // Program and arguments that end in executor_main(3): {"/proc/self/exe", "executor"} or
  // {"/usr/libexec/grace-executor"}.
  std::vector<std::string> program;
  std::uint32_t concurrency_max = 8;                        // further steps are refused, not queued
  std::uint64_t memory_bytes_max = std::uint64_t{1} << 30;  // RLIMIT_AS
  std::uint64_t files_max = 256;                            // RLIMIT_NOFILE
  std::uint64_t processes_max = 0;  // RLIMIT_NPROC; counts all processes of the user
  std::uint64_t file_bytes_max = std::uint64_t{1} << 30;  // RLIMIT_FSIZE
  // Commands cannot gain rights (setuid, sudo). Off for playbooks that must.
  bool no_new_privileges = true;
  // Restarts of a dead executor in the engine's life; then submit() refuses.
  std::uint32_t restarts_max = 16;
  std::vector<std::string>
      http_hosts;  // numeric addresses that http steps may reach besides loopback
};
[[nodiscard]] core::Result<ExecutorConfig> validated(ExecutorConfig config);

// Runs steps in a separate process, so that a command's memory, signals and descriptors are not the
// engine's.
//
//   engine -- socketpair --> executor -- fork --> guard (one for each step) -- exec --> command
//
// The guard is a subreaper and its command a process group of its own: when the command ends, times
// out, or the guard's parent dies, everything that descends from it is killed, also what left the
// group. When the engine dies the executor reads end-of-file, stops its guards and ends.
//
// Threads: submit() and run() from any thread; `on_result` is called on the executor's reader
// thread, once for each accepted step. If the executor process dies, its steps are reported as
// failed ("executor ended") and it is started again, restarts_max times.
// Full: submit() returns false, nothing was started.
class ProcessExecutor final : public core::StepExecutor {
 public:
  using OnResult = std::function<void(core::StepResult&&)>;
  // Call before other threads exist, where possible: the child is fork+exec, so later is safe too.
  // A null `on_result` makes it synchronous(): run() waits for the step (replay with --execute).
  [[nodiscard]] static core::Result<std::unique_ptr<ProcessExecutor>> start(ExecutorConfig config,
                                                                            OnResult on_result);
  ~ProcessExecutor() override;  // kills what still runs; no callback afterwards
  [[nodiscard]] bool synchronous() const noexcept override;
  core::StepResult run(const core::StepCommand& command) override;
  [[nodiscard]] bool submit(const core::StepCommand& command) override;
  [[nodiscard]] int executor_pid() const;  // 0: not running
  [[nodiscard]] std::uint32_t restart_count() const;

 private:
  class Impl;
  explicit ProcessExecutor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The executor process's main function: `socket_fd` is what start() passes (descriptor 3). Single
// thread. Returns the exit status when the engine's end is closed.
int executor_main(int socket_fd);

}  // namespace grace::schedule
