#pragma once
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grace/agentic_spine/agentic_spine.h"
#include "grace/core/finding.h"
#include "grace/core/topology.h"

namespace grace::agentic_spine {

using Names = std::set<std::string, std::less<>>;

// A service that is ill now. Views: good until its health changes.
struct IllService {
  std::string_view service;
  std::string_view domain;
  double health = 1.0;
  double confidence = 0.0;  // that it is ill
  double chance = 0.0;      // of falling ill by itself within the cascade window
  std::int64_t onset_ns = 0;
  const std::vector<core::Evidence>* evidence = nullptr;  // never null in use
};

// "Two domains fall ill, and one rests on the other": groups ill services that dependencies join,
// and reports a group that spans domains, once, and again only when a further domain joins it.
// Where the topology knows none of the services, three domains must fall ill almost at once, and
// the confidence is lower: coincidence alone is no finding.
//
// Bounds: kReportsMax remembered reports, the oldest is forgotten. Thread: the ordered stage's.
class CrossDomain {
 public:
  CrossDomain(const AgenticSpineConfig& config, const core::Topology& topology);
  // `ill`: by onset. Findings come in order of their group's onset.
  [[nodiscard]] std::vector<core::Finding> on_tick(const std::vector<IllService>& ill,
                                                   std::int64_t now_ns);

 private:
  using Group = std::vector<const IllService*>;  // by onset
  struct Report {
    Names services;
    Names domains;
    std::int64_t ts_ns = 0;
  };
  [[nodiscard]] std::vector<Group> joined_groups(const std::vector<IllService>& ill) const;
  [[nodiscard]] Group unknown_group(const std::vector<IllService>& ill) const;
  [[nodiscard]] const IllService& root_of(const Group& group) const;
  [[nodiscard]] double link_probability(const Group& group, const IllService& root,
                                        bool dependent) const;
  void consider(const Group& group, bool dependent, std::int64_t now_ns,
                std::vector<core::Finding>& found);
  [[nodiscard]] core::Finding describe(const Group& group, const IllService& root, bool dependent,
                                       double confidence, std::int64_t now_ns) const;
  [[nodiscard]] bool told(const Group& group, const Names& domains) const;
  void remember(const Group& group, Names domains, std::int64_t now_ns);
  void forget_healed(const std::vector<IllService>& ill);

  static constexpr std::size_t kReportsMax = 64;

  std::int64_t window_ns_, settle_ns_;
  const core::Topology& topology_;
  std::vector<Report> reports_;
  // What was looked at last, when all of it had settled: nothing new is to be found in it.
  std::vector<std::pair<std::string, double>> seen_;
};

}  // namespace grace::agentic_spine
