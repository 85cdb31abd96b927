#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "grace/core/finding.h"
#include "grace/core/trigger.h"

namespace grace::correlate {

// One trigger as fusing sees it.
struct Opinion {
  core::Source source = core::Source::kImmutableLog;
  std::string trigger_id;
  double confidence = 0.0;
  std::vector<std::uint64_t> evidence;  // sequences, sorted, unique
};

struct Fused {
  double confidence = 0.0;
  double log_odds = 0.0;  // exactly the sum of contributions' log_odds, in their order
  std::vector<core::Contribution> contributions;  // one a source, strongest first
};

// Share of the smaller set that both have; 0 when either is empty: no evidence, no overlap shown.
[[nodiscard]] double shared_evidence(const std::vector<std::uint64_t>& a,
                                     const std::vector<std::uint64_t>& b);

// Fuses what independent sources say about one incident.
//
// 1. Each source speaks once, with its strongest opinion that does not rest on the same events as
//    the opinion of a stronger source (overlap of at least `shared_evidence_min`). A source that
//    has only such opinions is listed with independent = false and adds nothing.
// 2. The log-odds l_i of those that speak are pooled with reliability weights w_i and extremised:
//      L = f(n) * sum(w_i * l_i) / sum(w_i),   n = sum(w_i)^2 / sum(w_i^2)
//    with f = core::extremising_factor and n Kish's effective sample size: n sources of equal
//    weight count as n, and a source of vanishing weight counts as none, so L is continuous in the
//    weights. At equal weight this is the published formula; one source alone keeps its confidence.
// 3. Every opinion says "there is a problem", some less surely. A mean would let a hesitant one
//    lower the result, but its agreement is no evidence against: of the pools of the k strongest
//    sources, k = 1..n, the one with the highest L counts. Sources outside add 0.
//
// `weights` is indexed by source; every weight is over 0. Ties go to the earlier opinion.
[[nodiscard]] Fused fuse(const std::vector<Opinion>& opinions,
                         const std::array<double, core::kSourceCount>& weights,
                         double shared_evidence_min);

}  // namespace grace::correlate
