#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "grace/core/event.h"
#include "grace/core/finding.h"
#include "grace/core/step_executor.h"
#include "grace/core/topology.h"

namespace grace::core {

[[nodiscard]] std::string_view to_string(ControlKind kind) noexcept;     // "approve", "step_result"
[[nodiscard]] ControlKind control_from(std::string_view text) noexcept;  // kNone when unknown

// Who may send it. Everyone: feedback, outcome, topology, deploy.
[[nodiscard]] constexpr bool is_internal(ControlKind kind) noexcept {
  return kind == ControlKind::kTick || kind == ControlKind::kStepResult;
}
[[nodiscard]] constexpr bool is_operator(ControlKind kind) noexcept {
  return kind == ControlKind::kApprove || kind == ControlKind::kReject ||
         kind == ControlKind::kSilence || kind == ControlKind::kPause ||
         kind == ControlKind::kResume || kind == ControlKind::kAck || kind == ControlKind::kUndo ||
         kind == ControlKind::kLog;
}

// What each control says beside its kind, time, actor and reason. On the wire the fields stand at
// the top level of the line or in its `payload`; the top level wins.
// approve, reject. The run is named by its id or, where that is empty, as the one run of `playbook`
// on `service` that waits for approval: a recorded operator cannot know an id in advance.
struct RunDecision {
  std::string run_id;
  std::string service;
  std::string playbook;
};
struct FeedbackControl {
  std::string trigger_id;
  bool right = false;  // wire: `right` boolean, or `verdict` "right" | "wrong"
};
// How somebody else's run of a playbook ended: one that we proposed (run_id), or one of their own
// (then playbook and service say what it was).
struct OutcomeControl {
  std::string run_id;
  std::string service;
  std::string playbook;
  bool success = false;  // wire: `success` boolean, or `result` / `status` as an action has them
};
struct DeployControl {
  std::string service;
  std::string version;
};
// Matches a trigger when every text that is not empty equals the trigger's.
struct SilenceControl {
  std::string id;  // add: derived from the line when absent; expire: required
  std::string service;
  std::string domain;
  std::string diagnosis_code;
  std::optional<Source> source;
  std::int64_t starts_ts_ns = 0;  // default: the event's time
  std::int64_t ends_ts_ns = 0;    // wire: `ends` (ts), or `duration_s`
  bool expire = false;            // wire: `action` "add" (default) | "expire"
};
struct AckControl {
  std::string what;  // breaker name; wire: `what` or `breaker`
};
struct UndoControl {
  std::string name;  // an Adjustable's name
};
// Another program's ledger entry: {"actor","action","resource","subsystem","result","payload"} as
// JSON text, the payload an object. In one field, so that none of its names meets the line's own.
struct LogControl {
  static constexpr std::size_t kEntryBytesMax = 32 * 1024;
  std::string entry;
};

// A control event, decoded. Made by parse::parse_control from an accepted Event; owns its texts.
struct ControlEvent {
  ControlKind kind = ControlKind::kNone;
  std::uint64_t sequence = 0;
  std::int64_t ts_ns = 0;
  bool trusted = false;
  std::string actor;
  std::string reason;
  // monostate: pause, resume, tick (its time is ts_ns).
  std::variant<std::monostate, RunDecision, FeedbackControl, OutcomeControl, ServiceNode,
               DeployControl, SilenceControl, AckControl, UndoControl, StepResult, LogControl>
      body;
};

// The wire form, one line without its newline; parse gives the same event back (but for sequence
// and trusted, which belong to the source). For the executor, the clock and the control tools.
[[nodiscard]] std::string to_json_line(const ControlEvent& control);

}  // namespace grace::core
