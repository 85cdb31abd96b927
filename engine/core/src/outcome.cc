#include "grace/core/outcome.h"

#include <array>

namespace grace::core {

namespace {
constexpr std::array<std::string_view, 6> kNames{"verified_run", "came_true", "did_not_come_true",
                                                 "prevented",    "right",     "wrong"};
}  // namespace

std::string_view to_string(OutcomeKind kind) noexcept {
  return kNames[static_cast<std::size_t>(kind)];
}

std::optional<OutcomeKind> outcome_kind_from(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<OutcomeKind>(i);
  }
  return std::nullopt;
}

}  // namespace grace::core
