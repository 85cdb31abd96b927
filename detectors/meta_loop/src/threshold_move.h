#pragma once
#include <string>
#include <string_view>

#include "grace/core/finding.h"
#include "grace/core/learned_state.h"

namespace grace::meta_loop {

// "ml.min_confidence": the adjustable minimum of a source, as the limit stage declares it.
[[nodiscard]] std::string_view minimum_of(core::Source source) noexcept;

// One step of an adjustable that can be taken now.
struct ThresholdMove {
  std::string parameter;
  double from = 0.0;
  double to = 0.0;
  [[nodiscard]] bool possible() const noexcept { return from != to; }
};

// A step up or down by at most `step_share` of the value and the adjustable's own step and bounds.
// Not possible when it is undeclared, at its bound, or was moved less than a period ago.
[[nodiscard]] ThresholdMove plan_move(const core::LearnedState& learned, std::string_view name,
                                      bool up, double step_share, std::int64_t now_ns);

// Metadata `parameter`, `from`, `to`, and the sentence about it.
void describe_move(const ThresholdMove& move, core::Finding& finding);

// A number as people write it: at most `decimals` places, no trailing zeros.
[[nodiscard]] std::string number_text(double value, int decimals = 3);
[[nodiscard]] std::string percent_text(double share);

}  // namespace grace::meta_loop
