#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "grace/core/error.h"

namespace grace::core {

struct ProcessSpec {
  std::vector<std::string> argv;         // argv[0]: an absolute path. No shell, no search path
  std::vector<std::string> environment;  // NAME=value; empty: an empty environment
  std::string directory = "/";
  // Limits of the process and what it starts; 0: inherited.
  std::uint64_t cpu_seconds_max = 0;
  std::uint64_t memory_bytes_max = 0;  // address space
  std::uint64_t file_bytes_max = 0;    // largest file it may write
  std::uint64_t open_files_max = 0;
  // Of stdout and stderr together, the last this many bytes are kept; the rest is read and dropped,
  // so that a talkative process is not held up.
  std::size_t output_bytes_max = 1024;
};

struct ExitStatus {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  [[nodiscard]] bool ok() const noexcept { return exit_code == 0; }
};

// A child in a process group of its own. The destructor kills the group if it still runs, and reaps
// the child. One thread at a time.
class Process {
 public:
  virtual ~Process() = default;
  // Never waits. Also drains output, so call it now and then. nullopt: still running.
  virtual std::optional<ExitStatus> poll() = 0;
  // SIGKILL to the whole group: what it started in the group dies too. poll() tells when it is
  // over.
  virtual void kill() = 0;
  // What was kept of the output so far; complete once poll() gave a status.
  [[nodiscard]] virtual const std::string& output_tail() const = 0;
};

// The seam for child processes (the executor's).
class ProcessSpawner {
 public:
  virtual ~ProcessSpawner() = default;
  // Error when the program cannot be started (os_error says why); stdin is /dev/null, and no other
  // descriptor is inherited.
  virtual Result<std::unique_ptr<Process>> spawn(const ProcessSpec& spec) = 0;
};

[[nodiscard]] std::unique_ptr<ProcessSpawner> make_system_process_spawner();

}  // namespace grace::core
