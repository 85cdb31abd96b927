#pragma once
#include <string>
#include <string_view>

#include "grace/core/record_sink.h"
#include "grace/core/step_executor.h"
#include "scheduler_impl.h"

namespace grace::schedule {

// How the scheduler's decisions look in the ledger. recovery.cc reads the same fields back.
inline constexpr std::string_view kSchedulerActor = "scheduler";
inline constexpr std::string_view kTrustActor = "trust_core";
inline constexpr std::string_view kSelfHeal = "self_heal";
inline constexpr std::string_view kRunAction = "playbook_run";
inline constexpr std::string_view kStepAction = "playbook_step";
inline constexpr std::string_view kApprovalAction = "decision_approval";
inline constexpr std::string_view kProposalAction = "decision_proposal";
inline constexpr std::string_view kBreakerAction = "decision_breaker";
inline constexpr std::string_view kPauseAction = "decision_pause";

[[nodiscard]] std::string run_payload(const Run& run);
[[nodiscard]] std::string decision_payload(const Run& run, const TrustDecision& decision);
// At most `bytes_max` bytes, cut at a UTF-8 boundary; for texts that people and commands supply.
[[nodiscard]] std::string_view shortened(std::string_view text, std::size_t bytes_max = 256);

}  // namespace grace::schedule
