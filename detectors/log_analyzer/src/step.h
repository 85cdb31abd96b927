#pragma once
#include <cstdint>

#include "action.h"

namespace grace::log_analyzer {

// An action as one step of what its actor does.
struct Step {
  const ActionNames& names;  // interned: kept
  std::uint64_t class_key = 0;
  std::uint64_t session_key = 0;
  std::uint32_t symbol = 0;  // of the action's name; at most 31 bits
  std::int64_t ts_ns = 0;
  std::uint64_t sequence = 0;
  bool error = false;
  bool has_session_id = false;  // the event named its session or trace
};

// No symbol is.
inline constexpr std::uint32_t kNoSymbol = 0xffffffffU;

// One candidate in a thousand, a run of odd steps or an odd session, means something.
inline constexpr double kOddPriorLogOdds = -6.9;

}  // namespace grace::log_analyzer
