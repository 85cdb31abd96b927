#pragma once
#include <cstdint>
#include <string_view>

#include "grace/core/event.h"

namespace grace::log_analyzer {

// The texts of a pattern, interned for the partition's life.
struct ActionNames {
  std::string_view actor;
  std::string_view action;
  std::string_view resource;
  std::string_view domain;
  std::string_view subsystem;
  // What a finding or observation is about: the resource, or the actor where there is none.
  [[nodiscard]] std::string_view service() const noexcept {
    return resource.empty() ? actor : resource;
  }
};

}  // namespace grace::log_analyzer
