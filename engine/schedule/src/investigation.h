#pragma once
#include <string>

#include "grace/core/topology.h"
#include "grace/core/trigger.h"

namespace grace::schedule {

// What a person would look up first: which sources agree and how much each adds, what depends on
// the service and what it depends on, and where it is believed to have begun. A raw JSON object.
[[nodiscard]] std::string investigate(const core::Incident& incident,
                                      const core::Topology& topology);

}  // namespace grace::schedule
