#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "grace/core/learned_state.h"
#include "grace/core/trigger.h"

namespace grace::core {

[[nodiscard]] std::string_view to_string(OutcomeKind kind) noexcept;  // "verified_run"
[[nodiscard]] std::optional<OutcomeKind> outcome_kind_from(std::string_view text) noexcept;
// True for the outcomes that say that the trigger was right.
[[nodiscard]] constexpr bool is_right(OutcomeKind kind) noexcept {
  return kind == OutcomeKind::kVerifiedRun || kind == OutcomeKind::kForecastCameTrue ||
         kind == OutcomeKind::kPrevented || kind == OutcomeKind::kFeedbackRight;
}

// How a trigger turned out, after it was recorded and learned from. Numbers that were not seen are
// NaN.
struct Outcome {
  Trigger trigger;
  OutcomeKind kind = OutcomeKind::kVerifiedRun;
  std::int64_t settled_ts_ns = 0;
  LearnedState::WeightChange weight;  // what it did to the weight of the trigger's source
  std::string run_id;                 // the verified run that answered the trigger, if any
  std::string playbook;
  double predicted_value = std::numeric_limits<double>::quiet_NaN();
  double observed_value = std::numeric_limits<double>::quiet_NaN();   // worst seen in its time
  double capacity_before = std::numeric_limits<double>::quiet_NaN();  // when it was predicted
  double capacity_after = std::numeric_limits<double>::quiet_NaN();   // when it was settled
};

}  // namespace grace::core
