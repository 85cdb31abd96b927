#pragma once
#include <iosfwd>
#include <vector>

#include "generator.h"

namespace grace::tools {

// The founding document's three scenarios as raw telemetry: what the services would have reported
// had the remediation been carried out at the time the document says.
std::vector<GroundTruth> write_scenario_1(const GeneratorOptions& options, std::ostream& out);
std::vector<GroundTruth> write_scenario_2(const GeneratorOptions& options, std::ostream& out);
std::vector<GroundTruth> write_scenario_3(const GeneratorOptions& options, std::ostream& out);

}  // namespace grace::tools
