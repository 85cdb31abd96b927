#pragma once
#include <string_view>

#include "grace/core/control.h"
#include "grace/core/error.h"
#include "grace/core/event.h"
#include "grace/core/finding.h"

namespace grace::parse {

// Decoding of mesh and control events for the ordered stage: cold, allocates, any thread. The event
// must be one that ChunkParser accepted (then neither call fails), its chunk still alive.

// payload of a mesh event -> Finding. Fields: diagnosis_code | code (required), confidence |
// likelihood (required, [0, 1]), impact (default medium), reasoning | reasons, suggested_playbooks,
// what, title, domain, trigger_id (-> upstream_id), metadata (object; raw JSON values kept, with
// `predicted_time` -> predicted_ts_ns). Of two names of one thing the first named here wins. Any
// other payload field (affected_domains, blast_radius ...) is kept as metadata under its own name.
[[nodiscard]] core::Result<core::Finding> parse_mesh(const core::Event& event);

// A control event's fields, from the line's top level or its payload.
[[nodiscard]] core::Result<core::ControlEvent> parse_control(const core::Event& event);

}  // namespace grace::parse
