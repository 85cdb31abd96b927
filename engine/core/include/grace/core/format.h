#pragma once
#include <string>

namespace grace::core {

// Numbers in the sentences of findings and in their metadata. Cold paths.

// Fixed point: decimal(0.314, 2) is "0.31". "null" for NaN and infinities, so that it is JSON.
[[nodiscard]] std::string decimal(double value, int digits);
// Whole percent, one digit below ten: "58%", "0.4%".
[[nodiscard]] std::string percent(double share);

}  // namespace grace::core
