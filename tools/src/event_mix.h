#pragma once
#include <string>

#include "generator.h"

namespace grace::tools {

// Makes `options` generate a mix of events, by name: `mixed` and `realistic` are the profiles with
// shares of their own; `metrics`, `actions` and `errors` are of that kind alone, and `M:A:E` shares
// of the three (`60:35:5`), both in the profile that `options` has. kInvalidArgument: says what is
// wrong with `text`.
[[nodiscard]] core::Result<void> set_event_mix(const std::string& text, GeneratorOptions& options);

// For --help.
inline constexpr const char* kEventMixHelp =
    "Mix of events: mixed, realistic, metrics, actions, errors, or shares of "
    "metrics:actions:errors such as 60:35:5";

}  // namespace grace::tools
