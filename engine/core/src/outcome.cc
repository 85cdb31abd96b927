#include "grace/core/outcome.h"

#include <array>

namespace grace::core {

std::string_view to_string(OutcomeKind kind) noexcept {
  static constexpr std::array<std::string_view, 6> kNames{
      "verified_run", "came_true", "did_not_come_true", "prevented", "right", "wrong"};
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace grace::core
