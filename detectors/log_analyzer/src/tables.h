#pragma once
#include <cstdint>
#include <vector>

#include "grace/core/assert.h"
#include "grace/core/bounded_growth.h"
#include "grace/core/lru_table.h"

namespace grace::log_analyzer {

using core::kNoSlot;
using core::LruTable;

// The grain of "recently seen": event time in tens of seconds.
inline constexpr std::int64_t kStampSeconds = 10;

// Numbered slots without keys, for the rarer parts of a keyed slot. Bound: given at the start; the
// caller holds at most one for each of its own bounded slots. take() may move the slots.
template <typename Slot>
class Pool {
 public:
  explicit Pool(std::uint32_t slots_max) : slots_max_(slots_max) {}
  std::uint32_t take() {
    if (free_.empty()) {
      GRACE_ASSERT(slots_.size() < slots_max_);
      if (slots_.size() == slots_.capacity()) {
        slots_.reserve(core::grown_capacity(slots_.size(), slots_max_, sizeof(Slot)));
      }
      slots_.emplace_back();
      return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    slots_[slot] = Slot{};
    return slot;
  }
  void give_back(std::uint32_t slot) { free_.push_back(slot); }
  Slot& operator[](std::uint32_t slot) noexcept { return slots_[slot]; }

 private:
  std::uint32_t slots_max_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace grace::log_analyzer
