#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace grace::core {

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
[[nodiscard]] std::string_view to_string(RunState state) noexcept;
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
  std::uint32_t blast_radius = 0;
  std::string risk;           // low, medium, high
  std::string requested_by;   // "intelligent_triggers"
  std::string approved_by;    // rule or person
  std::string reason;         // of the last transition
  double confidence = 0.0;    // fused confidence when proposed
  bool proactive = false;     // heals something that is only predicted
  bool diagnostic = false;    // reads or asks; changes nothing, so it heals nothing
};

}  // namespace grace::core
