#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace grace::core {

//  proposed -+-> awaiting_approval -+-> approved -> executing -> verifying -+-> succeeded
//            |                      |     |  |          |          |
//            +-> approved           |     |  |          +----+-----+
//            +-> denied             +-> denied, expired      v
//                                                          failed -> rolling_back -> rolled_back
//                                                             ^            |
//                                                             +------------+ a rollback step failed
enum class RunState : std::uint8_t {
  kProposed = 0,
  kApproved,
  kAwaitingApproval,
  kDenied,
  kExpired,
  kExecuting,
  kVerifying,
  kSucceeded,
  kFailed,
  kRollingBack,
  kRolledBack,
};
inline constexpr std::size_t kRunStateCount = 11;
[[nodiscard]] std::string_view to_string(RunState state) noexcept;
[[nodiscard]] std::optional<RunState> run_state_from(std::string_view text) noexcept;
// Whether the picture above has an arrow from `from` to `to`.
[[nodiscard]] bool is_legal_transition(RunState from, RunState to) noexcept;
// No transition into healing is left. A failed run may still be rolled back: see
// PlaybookRun::ended.
[[nodiscard]] constexpr bool is_final(RunState state) noexcept {
  return state == RunState::kDenied || state == RunState::kExpired ||
         state == RunState::kSucceeded || state == RunState::kFailed ||
         state == RunState::kRolledBack;
}

// A PlaybookRun as others see it (ledger, statistics, meta loop, explain). The scheduler owns it.
struct PlaybookRun {
  std::string run_id;  // derives from incident, playbook and sequence
  std::string incident_id;
  std::string playbook;
  std::string service;
  std::string diagnosis_code;
  RunState state = RunState::kProposed;
  std::int64_t proposed_ts_ns = 0;
  std::int64_t changed_ts_ns = 0;
  std::int64_t expires_ts_ns = 0;  // awaiting_approval, approved: not executed at or after this
  std::uint32_t blast_radius = 0;
  bool blast_radius_known = false;
  std::string risk;          // low, medium, high
  std::string requested_by;  // "intelligent_triggers"
  std::string approved_by;   // rule or person
  std::string reason;        // of the last transition
  double confidence = 0.0;   // fused confidence when proposed
  bool proactive = false;    // heals something that is only predicted
  // Reads, asks, or changes the engine's own settings: it heals nothing, whatever its state.
  bool diagnostic = false;
  // This change decides whether the run healed. True in exactly one change of each run that was
  // executed: its succeeded, or its first failed. Count outcomes by this, not by states.
  bool settles = false;
  // No change of this run follows.
  bool ended = false;
};

}  // namespace grace::core
