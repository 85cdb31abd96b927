#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config.h"
#include "grace/core/json_writer.h"
#include "grace/harness/load.h"
#include "grace/harness/machine.h"
#include "grace/harness/search.h"
#include "load_stream.h"

namespace grace::tools {

inline constexpr double kServicesMax = 1e6;
inline constexpr std::uint64_t kRulesMax = 10'000;

// What every `grace bench` command may be told, as typed.
struct BenchArguments {
  std::string rate, slo, headroom = "0%";
  std::string arrivals = "poisson";
  std::string warmup = "500ms", duration = "2s", drain = "1s";
  std::string event_rate;
  std::string input, profile = "mixed", config_path, out, from;
  std::string mix;                     // see set_event_mix; empty: the profile's
  std::optional<std::uint64_t> rules;  // of idle_rules; empty: those of the configuration
  std::string over = "load", values;
  std::string socket, control;
  std::uint64_t events = 200'000;
  std::uint32_t services = 200;
  std::uint64_t seed = 1;
  std::optional<std::size_t> workers;
  std::size_t repetitions = 3;
  std::size_t retries = 2;  // of a run that others disturbed
  bool ledger = false, record = false, publish = false, json = false;
};

// The same, understood.
struct BenchSettings {
  double rate = 0.0;
  std::optional<harness::Objective> objective;
  harness::ArrivalConfig arrivals;
  harness::LoadSpan span;
  double event_rate = 0.0;  // 0: event time goes as the clock does
};
// kInvalidArgument names the option. `needs_rate`, `needs_slo`: it must be given.
struct BenchNeeds {
  bool rate = false;
  bool slo = false;
};
[[nodiscard]] core::Result<BenchSettings> understood(const BenchArguments& arguments,
                                                     const BenchNeeds& needs);

// The engine's configuration for a run; logs go to `scratch` where they are wanted.
[[nodiscard]] core::Result<CheckedConfig> bench_config(const BenchArguments& arguments,
                                                       const std::string& scratch);
[[nodiscard]] core::Result<LoadStream> bench_stream(const BenchArguments& arguments,
                                                    std::size_t line_bytes_max);

// A folder that goes when this does.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }  // empty: none was made

 private:
  std::string path_;
};

// Runs `work` in a process of its own and gives what it returns: each measurement begins with fresh
// memory, and the caller never has a thread. kClosed: the process ended before.
[[nodiscard]] core::Result<std::string> in_own_process(
    const std::function<core::Result<std::string>()>& work);

// On a terminal a bar, elsewhere nothing. Thread: one.
class Progress {
 public:
  explicit Progress(std::size_t total) : total_(total) {}
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void done(const std::string& what);

 private:
  std::size_t total_;
  std::size_t count_ = 0;
};

// What the generated lines are, in a word; the profile goes before where it is not the usual one.
[[nodiscard]] std::string mix_name(const BenchArguments& arguments);

// Parts of a result.
void write_machine(core::JsonWriter& json, const harness::MachineReport& machine);
void write_settings(core::JsonWriter& json, const BenchArguments& arguments);
void write_conditions(core::JsonWriter& json, const harness::Conditions& conditions,
                      const std::optional<harness::Objective>& objective);
void write_load(core::JsonWriter& json, const harness::LoadResult& load);
void write_search(core::JsonWriter& json, const harness::SearchResult& search);

}  // namespace grace::tools
