#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "relacy_sharing.h"

namespace grace::ledger::internal {

struct Search {
  rl::scheduler_type_e scheduler = rl::sched_random;
  std::uint64_t count = 0;     // executions; only with sched_random, the others know when to end
  std::uint64_t seed = 1;      // to kSeedsMax: which executions
  unsigned switches_max = 0;   // from a thread that could go on; only with sched_bound
  bool tells_history = false;  // of the execution that failed, each operation
};

struct Outcome {
  rl::test_result_e result = rl::test_result_success;
  std::uint64_t executions = 0;
  std::string history;

  [[nodiscard]] bool is_success() const { return result == rl::test_result_success; }
};

// A few threads and what must hold of them in each execution.
struct Model {
  const char* name;
  Outcome (*run)(const Search& search);
  // Small enough for all executions, or those with few switches (0: not even that).
  bool all_executions = false;
  unsigned switches_max = 0;
  // Uses the production code as its comments forbid: the models' own proof that they notice.
  bool must_fail = false;
};

std::span<const Model> ring_models();
std::span<const Model> hand_off_models();
std::span<const Model> watermark_models();

// Relacy draws an execution from its number: the lower half of it is counted up, and these are what
// its generator takes of the upper half.
inline constexpr std::uint64_t kSeedsMax = 256;

// No model needs as many steps in one execution: more is a thread that waits for ever.
inline constexpr unsigned kStepsMax = 20'000;

template <typename Suite>
Outcome run_suite(const Search& search) {
  rl::ostringstream story;  // its memory is not counted: Relacy writes to it while it counts
  rl::test_params params;
  params.search_type = search.scheduler;
  const std::uint64_t before = (search.seed - 1) << 32;
  if (search.scheduler == rl::sched_random) {
    params.initial_state = std::to_string(before + 1);
    params.iteration_count = before + search.count;
  }
  params.context_bound = search.switches_max;
  params.execution_depth_limit = kStepsMax;
  params.output_stream = &story;
  params.progress_stream = &story;
  // With its own output of the history Relacy does not repeat the execution to record it.
  params.output_history = !search.tells_history;
  (void)rl::simulate<Suite>(params);
  std::uint64_t executions = params.stop_iteration;
  if (search.scheduler == rl::sched_random) executions -= before;
  return {params.test_result, executions, search.tells_history ? story.str().c_str() : ""};
}

inline void yield() {
  rl::yield(1, RL_INFO);
}

// A word on a disk, or of whatever else a thread leaves for others to find.
using Word = rl::var<std::uint64_t>;
inline void write(Word& word, std::uint64_t value) {
  word(RL_INFO).store(value);
}
inline std::uint64_t read(const Word& word) {
  return word(RL_INFO).load();
}

}  // namespace grace::ledger::internal
