#include "grace/core/run.h"

#include <array>

namespace grace::core {
namespace {

constexpr std::array<std::string_view, kRunStateCount> kNames{
    "proposed",  "approved", "awaiting_approval", "denied",     "expired", "executing", "verifying",
    "succeeded", "failed",   "rolling_back",      "rolled_back"};

constexpr std::uint32_t bit(RunState state) {
  return 1U << static_cast<std::uint32_t>(state);
}

// For each state, the states that may follow it. The drawing is in run.h.
constexpr std::array<std::uint32_t, kRunStateCount> kNext{
    /* proposed          */ bit(RunState::kApproved) | bit(RunState::kAwaitingApproval) |
        bit(RunState::kDenied),
    /* approved          */ bit(RunState::kExecuting) | bit(RunState::kDenied) |
        bit(RunState::kExpired),
    /* awaiting_approval */ bit(RunState::kApproved) | bit(RunState::kDenied) |
        bit(RunState::kExpired),
    /* denied            */ 0,
    /* expired           */ 0,
    /* executing         */ bit(RunState::kVerifying) | bit(RunState::kFailed),
    /* verifying         */ bit(RunState::kSucceeded) | bit(RunState::kFailed),
    /* succeeded         */ 0,
    /* failed            */ bit(RunState::kRollingBack),
    /* rolling_back      */ bit(RunState::kRolledBack) | bit(RunState::kFailed),
    /* rolled_back       */ 0,
};

}  // namespace

std::string_view to_string(RunState state) noexcept {
  return kNames[static_cast<std::size_t>(state)];
}

std::optional<RunState> run_state_from(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<RunState>(i);
  }
  return std::nullopt;
}

bool is_legal_transition(RunState from, RunState to) noexcept {
  return (kNext[static_cast<std::size_t>(from)] & bit(to)) != 0;
}

}  // namespace grace::core
