#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace grace::core {

enum class StepKind : std::uint8_t { kExec = 0, kHttp, kEmit, kBuiltin };

// One playbook step, parameters already filled in and checked. Never given to a shell.
struct StepCommand {
  std::string run_id;
  // Steps count up from 0; the rollback of step n is kRollbackStepBase + n; probes kProbeStepIndex.
  std::uint32_t step_index = 0;
  StepKind kind = StepKind::kExec;
  std::vector<std::string> argv;  // exec: argv[0] is an absolute path from the allow-list
  std::string url, method, body;  // http
  std::chrono::milliseconds timeout{30'000};
};
inline constexpr std::uint32_t kRollbackStepBase = 1000;
inline constexpr std::uint32_t kProbeStepIndex = 2000;

struct StepResult {
  std::string run_id;
  std::uint32_t step_index = 0;
  bool ok = false;
  bool timed_out = false;  // its process group was killed
  int exit_code = -1;      // -1: killed by a signal or never started
  std::int64_t duration_ms = 0;
  std::string output_tail;  // last 1 KiB of stdout and stderr, control characters replaced
};

// Where the scheduler sends steps. submit() never blocks on the step itself. Results come back as
// a trusted `step_result` control event through the ingest stage, so that they have a place in the
// journal and a replay sees the same result at the same sequence. An executor that is stepped
// synchronously (replay with --execute, simulation) says so and is asked for the result at once.
class StepExecutor {
 public:
  virtual ~StepExecutor() = default;
  // True: run() is to be used, the result is known when it returns.
  [[nodiscard]] virtual bool synchronous() const noexcept = 0;
  virtual StepResult run(const StepCommand& command) = 0;
  // False: the executor is gone or its bounded queue is full; the step has not been started.
  [[nodiscard]] virtual bool submit(const StepCommand& command) = 0;
};

}  // namespace grace::core
