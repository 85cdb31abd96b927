#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace grace::schedule {

// [a-z][a-z0-9_]*
[[nodiscard]] bool is_parameter_name(std::string_view name);
// Filled in from the incident: service, diagnosis, root_cause, domain, incident_id, run_id.
[[nodiscard]] bool is_incident_parameter(std::string_view name);
// Names in {braces}, in order, repetitions included.
[[nodiscard]] std::vector<std::string> placeholders_of(std::string_view text);

}  // namespace grace::schedule
