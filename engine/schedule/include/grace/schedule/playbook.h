#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/finding.h"
#include "grace/core/step_executor.h"
#include "grace/schedule/pattern.h"

namespace grace::schedule {

// Where in the configuration something was written, for messages: "grace.toml:41". The loader fills
// it in for each table; line 0 means built in.
struct SourcePlace {
  std::string file;
  std::uint32_t line = 0;
};
[[nodiscard]] std::string to_string(const SourcePlace& place);

enum class Risk : std::uint8_t { kLow = 0, kMedium, kHigh };
[[nodiscard]] std::string_view to_string(Risk risk) noexcept;
[[nodiscard]] std::optional<Risk> risk_from(std::string_view text) noexcept;

// One thing to do. Texts may contain {parameter}; see Playbook::parameters. argv goes to execve as
// it is: there is no shell, and no word splitting, so one argument stays one argument.
struct ActionSpec {
  SourcePlace place;
  core::StepKind kind = core::StepKind::kExec;
  std::vector<std::string>
      argv;                     // exec: argv[0] literal, absolute, in ScheduleConfig::exec_allowed
  std::string url;              // http: "http://127.0.0.1:8080/scale?n=2", "unix:/run/x.sock:/path"
  std::string method = "POST";  // http: GET, POST, PUT, PATCH, DELETE, HEAD
  std::string body;             // http; values are JSON-escaped into it
  std::string event_type;       // emit: type of the mesh event
  std::string builtin;          // builtin: a name of builtin_actions()
  std::chrono::milliseconds timeout{30'000};  // (0, 1 h]
};

struct StepSpec {
  std::string name;  // "step 2" when empty
  ActionSpec action;
  // May be done twice without harm. Only such a step is done again after a crash in its middle.
  bool idempotent = false;
  std::optional<ActionSpec> rollback;  // undoes the step; run in reverse order after a failure
};

// A typed parameter. Values: the incident gives `service`, `diagnosis`, `root_cause`, `domain`,
// `incident_id`, `run_id`; any other name takes `default_value`. A value that does not match the
// pattern stops the run before it is proposed. A value that begins with '-' is always refused.
struct ParameterSpec {
  SourcePlace place;
  std::string name;  // [a-z][a-z0-9_]*
  std::string pattern = "[A-Za-z0-9_][A-Za-z0-9_.:-]{0,126}";
  std::optional<std::string> default_value;
};

enum class CheckKind : std::uint8_t {
  kInRange = 0,  // |deviation| < value (learned range), for warm series only
  kBelow,        // bin mean < value
  kAbove,        // bin mean > value
  kErrors,       // errors of all actors on the service in an observation period <= value
  kHeadroom,     // capacity >= demand x value
};
[[nodiscard]] std::string_view to_string(CheckKind kind) noexcept;
[[nodiscard]] std::optional<CheckKind> check_kind_from(std::string_view text) noexcept;

// A condition on what the stream says about the run's service.
struct CheckSpec {
  SourcePlace place;
  CheckKind kind = CheckKind::kInRange;
  // Glob over metric names. "*" with in_range means the metrics for which worse has a direction:
  // latency, errors, saturation, health.
  std::string metric = "*";
  double value = 3.0;
};

// How a run learns that it healed: at least one check has seen data, and none has been violated,
// for `hold`, before `within` has passed since the last step. Data from before the last step's end
// does not count. With hold 0 the first good data is enough, whatever other series say later: give
// a hold of at least one bin where several matter. A check whose metric the service does not have
// is silent: neither good nor bad; when all are silent the verification fails at `within`. Or a
// probe: an action that must succeed, tried every probe_every.
struct VerificationSpec {
  SourcePlace place;
  std::vector<CheckSpec> checks;
  std::optional<ActionSpec> probe;  // exec or http; instead of checks
  std::chrono::seconds probe_every{30};
  std::chrono::seconds hold{0};
  std::chrono::seconds within{600};
};

struct Playbook {
  SourcePlace place;
  std::string name;
  std::string description;
  Risk risk = Risk::kMedium;
  std::chrono::seconds cooldown{600};  // for each (playbook, service), from the last run's end
  std::uint32_t concurrency_max = 1;   // runs of this playbook at once
  std::vector<ParameterSpec> parameters;
  std::vector<StepSpec> steps;
  // Required unless all steps are built in: a change to the world is never taken on trust.
  std::optional<VerificationSpec> verification;
  // Looks, asks, or changes the engine only: all steps must be built in. Such a run touches no
  // service, so its blast radius is 0, and its success heals nothing.
  bool diagnostic = false;
};

// Names a builtin step may have: adjust_threshold, investigate_root_cause, immediate_investigation.
[[nodiscard]] const std::vector<std::string>& builtin_actions();
// The three built-in playbooks.
[[nodiscard]] std::vector<Playbook> builtin_playbooks();
// The names of the document's catalogue that a user has to fill in.
[[nodiscard]] const std::vector<std::string>& template_playbooks();

struct PlaybookLimits {
  std::vector<std::string> exec_allowed;  // absolute paths
  std::vector<std::string> http_hosts;    // numeric addresses besides loopback
};

// The playbooks of one configuration, checked. Immutable. Looked up by name.
class PlaybookSet {
 public:
  // Adds the built-in playbooks where `playbooks` does not define the name. kConfig with
  // "FILE:LINE: playbook 'x': field ..." for the first thing that is unknown or outside its bounds.
  [[nodiscard]] static core::Result<PlaybookSet> build(std::vector<Playbook> playbooks,
                                                       const PlaybookLimits& limits);
  [[nodiscard]] const Playbook* find(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, Playbook, std::less<>>& all() const {
    return playbooks_;
  }
  // Changes whenever what the playbook does changes; a run is not continued across a change.
  [[nodiscard]] std::uint64_t digest(const Playbook& playbook) const;
  // kConfig when a configured list (a detector's or policy's suggestions) names an unknown
  // playbook.
  [[nodiscard]] core::Result<void> require(std::string_view name, const SourcePlace& place,
                                           std::string_view where) const;

 private:
  std::map<std::string, Playbook, std::less<>> playbooks_;
};

using Parameters = std::map<std::string, std::string, std::less<>>;

// The values of the playbook's parameters; kInvalidArgument names the parameter that does not match
// (the value itself is quoted and cut, never interpreted).
[[nodiscard]] core::Result<Parameters> resolve_parameters(const Playbook& playbook,
                                                          const Parameters& from_incident);
// The action with parameters filled in. `parameters` came from resolve_parameters.
[[nodiscard]] core::StepCommand command_of(const ActionSpec& action, const Parameters& parameters,
                                           std::string_view run_id, std::uint32_t step_index);

}  // namespace grace::schedule
