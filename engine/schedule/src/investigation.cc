#include "investigation.h"

#include <algorithm>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"

namespace grace::schedule {
namespace {

constexpr std::size_t kListedMax = 32;

template <typename Items>
void write_bounded(core::JsonWriter& json, std::string_view name, const Items& items) {
  json.key(name).begin_array();
  for (std::size_t i = 0; i < std::min(items.size(), kListedMax); ++i) json.value(items[i]);
  json.end_array();
}

}  // namespace

std::string investigate(const core::Incident& incident, const core::Topology& topology) {
  const std::string& begun = incident.root_cause.empty() ? incident.service : incident.root_cause;
  const core::BlastRadius radius = topology.blast_radius(begun);
  const core::ServiceNode* node = topology.find(begun);
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("incident_id", incident.incident_id)
      .field("diagnosis_code", incident.diagnosis_code)
      .field("probable_root_cause", begun)
      .field("confidence", incident.confidence)
      .field("opened", core::format_rfc3339(incident.opened_ts_ns));
  // Strongest first, so that the first line answers "why do we believe this?".
  std::vector<core::Contribution> contributions = incident.contributions;
  std::stable_sort(contributions.begin(), contributions.end(),
                   [](const auto& a, const auto& b) { return a.log_odds > b.log_odds; });
  json.key("contributions").begin_array();
  for (std::size_t i = 0; i < std::min(contributions.size(), kListedMax); ++i) {
    const auto& contribution = contributions[i];
    json.begin_object()
        .field("source", core::to_string(contribution.source))
        .field("trigger_id", contribution.trigger_id)
        .field("confidence", contribution.confidence)
        .field("log_odds", contribution.log_odds)
        .field("independent", contribution.independent)
        .end_object();
  }
  json.end_array();
  write_bounded(json, "services", incident.services);
  json.field("in_topology", radius.known);
  write_bounded(json, "dependents", radius.dependents);
  write_bounded(json, "depends_on",
                node == nullptr ? std::vector<std::string>{} : node->depends_on);
  json.end_object();
  return out;
}

}  // namespace grace::schedule
