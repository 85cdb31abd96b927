#include "shift_confirmation.h"

#include <algorithm>

#include "grace/models/change_points.h"

namespace grace::proactive {

ShiftConfirmation RecentResiduals::confirm(std::uint32_t bins_max) const noexcept {
  models::ChangePointDetector detector;
  ShiftConfirmation found;
  const auto size = std::min<std::uint32_t>(count_, kCapacity);
  for (std::uint32_t i = count_ - size; i != count_; ++i) {
    for (const models::ChangePoint& change :
         detector.push(static_cast<double>(ring_[i % kCapacity]))) {
      const std::uint32_t since = size - static_cast<std::uint32_t>(change.index);
      if (since <= bins_max) found = {change.probability, since};
    }
  }
  return found;
}

}  // namespace grace::proactive
