#pragma once
#include <iosfwd>
#include <vector>

#include "generator.h"

namespace grace::tools {

// Days of 500 series at a sample a minute (100 services, five metrics each), with two faults of
// each of 20 kinds, one fault a service, after the first two sevenths of the time. Faults know
// nothing of the detectors: their places, lengths and sizes come from wide distributions (kinds:
// see bench/quality/generated.md). Series have daily and weekly shapes, autocorrelated noise, and
// levels of their own. Truth is in order of time; slow faults say when they cross their limit.
std::vector<GroundTruth> write_week(const GeneratorOptions& options, std::ostream& out);

}  // namespace grace::tools
