#include "cross_domain.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "grace/core/json_writer.h"
#include "grace/core/probability.h"
#include "grace/core/time.h"
#include "text.h"

namespace grace::agentic_spine {
namespace {

// Prior probability that an illness spreads along a dependency within the window.
constexpr double kSpreadsDown = 0.20;  // from a dependency to what rests on it
constexpr double kSpreadsUp = 0.05;    // the other way: overload, retries
constexpr double kSpreadsUnknown = 0.02;
constexpr std::int64_t kOnsetSlackNs = 30 * core::kNsPerSecond;  // onsets are known to a period
constexpr std::int64_t kUnknownSpanNs = core::kNsPerMinute;
constexpr std::size_t kUnknownDomainsMin = 3;
constexpr std::size_t kIllMax = 64;

Names domains_of(const std::vector<const IllService*>& group) {
  Names domains;
  for (const IllService* const member : group) domains.emplace(member->domain);
  return domains;
}

std::string json_list(const std::vector<std::string>& texts) {
  std::string list;
  core::JsonWriter writer(list);
  writer.begin_array();
  for (const std::string& text : texts) writer.value(text);
  writer.end_array();
  return list;
}

}  // namespace

CrossDomain::CrossDomain(const AgenticSpineConfig& config, const core::Topology& topology)
    : window_ns_(config.cascade_window.count() * core::kNsPerSecond),
      settle_ns_(config.cascade_settle.count() * core::kNsPerSecond),
      topology_(topology) {}

std::vector<CrossDomain::Group> CrossDomain::joined_groups(
    const std::vector<IllService>& ill) const {
  const std::size_t count = std::min(ill.size(), kIllMax);
  std::vector<std::size_t> leader(count);
  std::iota(leader.begin(), leader.end(), std::size_t{0});
  const auto find = [&](std::size_t i) {
    while (leader[i] != i) i = leader[i];
    return i;
  };
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = i + 1; j < count; ++j) {
      if (ill[j].onset_ns - ill[i].onset_ns > window_ns_) break;
      if (!topology_.depends(ill[j].service, ill[i].service) &&
          !topology_.depends(ill[i].service, ill[j].service)) {
        continue;
      }
      const std::size_t a = find(i);
      const std::size_t b = find(j);
      leader[std::max(a, b)] = std::min(a, b);  // the earliest leads
    }
  }
  std::vector<Group> groups(count);
  for (std::size_t i = 0; i < count; ++i) groups[find(i)].push_back(&ill[i]);
  std::erase_if(groups, [](const Group& group) { return domains_of(group).size() < 2; });
  return groups;
}

CrossDomain::Group CrossDomain::unknown_group(const std::vector<IllService>& ill) const {
  // The longest run of onsets within the span among services the topology does not know.
  Group all;
  for (const IllService& service : ill) {
    if (topology_.find(service.service) == nullptr) all.push_back(&service);
  }
  Group best;
  for (std::size_t first = 0, end = 0; first < all.size(); ++first) {
    while (end < all.size() && all[end]->onset_ns <= all[first]->onset_ns + kUnknownSpanNs) ++end;
    if (end - first <= best.size()) continue;
    best.assign(all.begin() + static_cast<std::ptrdiff_t>(first),
                all.begin() + static_cast<std::ptrdiff_t>(end));
  }
  if (domains_of(best).size() < kUnknownDomainsMin) best.clear();
  return best;
}

// The one that most of the others rest on; the earliest where there are several.
const IllService& CrossDomain::root_of(const Group& group) const {
  const IllService* root = group.front();
  std::size_t most = 0;
  for (const IllService* const member : group) {
    std::size_t dependents = 0;
    for (const IllService* const other : group) {
      if (other != member && topology_.depends(other->service, member->service)) ++dependents;
    }
    if (dependents > most) most = dependents, root = member;
  }
  return *root;
}

double CrossDomain::link_probability(const Group& group, const IllService& root,
                                     bool dependent) const {
  // For each further domain: that its illness came over, against that it came by itself. The
  // member of the domain that is linked best counts.
  Names open = domains_of(group);
  open.erase(std::string(root.domain));
  double all = 1.0;
  for (const std::string& domain : open) {
    double best = 0.0;
    for (const IllService* const member : group) {
      if (member->domain != domain) continue;
      double spreads = kSpreadsUnknown;
      if (dependent) {
        const bool down = topology_.depends(member->service, root.service) &&
                          root.onset_ns <= member->onset_ns + kOnsetSlackNs;
        spreads = down ? kSpreadsDown : kSpreadsUp;
      }
      const double alone = (1.0 - spreads) * member->chance;
      best = std::max(best, spreads / (spreads + alone));
    }
    all *= best;
  }
  return all;
}

bool CrossDomain::told(const Group& group, const Names& domains) const {
  for (const Report& report : reports_) {
    const bool same = std::any_of(group.begin(), group.end(), [&](const IllService* member) {
      return report.services.contains(member->service);
    });
    if (same && std::includes(report.domains.begin(), report.domains.end(), domains.begin(),
                              domains.end())) {
      return true;
    }
  }
  return false;
}

void CrossDomain::remember(const Group& group, Names domains, std::int64_t now_ns) {
  Report report;
  for (const IllService* const member : group) report.services.emplace(member->service);
  report.domains = std::move(domains);
  report.ts_ns = now_ns;
  if (reports_.size() == kReportsMax) reports_.erase(reports_.begin());
  reports_.push_back(std::move(report));
}

void CrossDomain::forget_healed(const std::vector<IllService>& ill) {
  std::erase_if(reports_, [&](const Report& report) {
    return std::none_of(ill.begin(), ill.end(), [&](const IllService& service) {
      return report.services.contains(service.service);
    });
  });
}

std::vector<core::Finding> CrossDomain::on_tick(const std::vector<IllService>& ill,
                                                std::int64_t now_ns) {
  std::vector<core::Finding> found;
  forget_healed(ill);
  if (ill.size() < 2) {
    seen_.clear();
    return found;
  }
  const bool seen =
      std::equal(ill.begin(), ill.end(), seen_.begin(), seen_.end(),
                 [](const IllService& service, const auto& before) {
                   return service.service == before.first && service.confidence == before.second;
                 });
  if (seen) return found;
  seen_.clear();
  if (now_ns - ill.back().onset_ns >= settle_ns_) {
    for (const IllService& service : ill) seen_.emplace_back(service.service, service.confidence);
  }
  for (const Group& group : joined_groups(ill)) consider(group, true, now_ns, found);
  if (const Group group = unknown_group(ill); !group.empty()) {
    consider(group, false, now_ns, found);
  }
  return found;
}

void CrossDomain::consider(const Group& group, bool dependent, std::int64_t now_ns,
                           std::vector<core::Finding>& found) {
  Names domains = domains_of(group);
  if (told(group, domains) || now_ns - group.back()->onset_ns < settle_ns_) return;
  // Each domain's illness is evidence of its own: pooled as independent sources are, so two at 0.8
  // give 0.86; then that they belong together.
  double log_odds = 0.0;
  for (const std::string& domain : domains) {
    double best = 0.0;
    for (const IllService* const member : group) {
      if (member->domain == domain) best = std::max(best, member->confidence);
    }
    log_odds += core::logit(best);
  }
  const double count = static_cast<double>(domains.size());
  const double ill_together = core::logistic(core::extremising_factor(count) * log_odds / count);
  const IllService& root = root_of(group);
  const double confidence = ill_together * link_probability(group, root, dependent);
  if (confidence < core::kFindingFloor) return;
  found.push_back(describe(group, root, dependent, confidence, now_ns));
  remember(group, std::move(domains), now_ns);
}

core::Finding CrossDomain::describe(const Group& group, const IllService& root, bool dependent,
                                    double confidence, std::int64_t now_ns) const {
  core::Finding finding;
  std::vector<std::string> domains;  // by onset, then those at risk by name
  Names services;
  auto highest = core::Criticality::kLow;
  const auto add_domain = [&](std::string_view domain) {
    const bool fresh =
        !domain.empty() && std::find(domains.begin(), domains.end(), domain) == domains.end();
    if (fresh) domains.emplace_back(domain);
    return fresh;
  };
  std::vector<std::string> details;
  for (const IllService* const member : group) {
    services.emplace(member->service);
    if (add_domain(member->domain)) {
      finding.reasoning.push_back(domain_title(member->domain) +
                                  (domains.size() == 1 ? " domain degradation"
                                   : dependent         ? " domain dependency affected"
                                                       : " domain degradation at the same time"));
    }
    details.push_back(
        std::string(member->service) + " health " + decimal(member->health, 2) + " since " +
        core::format_rfc3339(member->onset_ns / core::kNsPerSecond * core::kNsPerSecond));
    for (const core::Evidence& evidence : *member->evidence) {
      if (finding.evidence.size() == core::kEvidenceMax) break;
      finding.evidence.push_back(evidence);
    }
  }
  const std::size_t ill_domains = domains.size();
  Names at_risk;
  for (const IllService* const member : group) {
    const core::BlastRadius radius = topology_.blast_radius(member->service);
    highest = std::max(highest, radius.highest);
    for (const std::string& dependent_service : radius.dependents) {
      services.insert(dependent_service);
      const auto* const node = topology_.find(dependent_service);
      if (node != nullptr) at_risk.insert(node->domain);
    }
  }
  for (const std::string& domain : at_risk) {
    if (add_domain(domain)) finding.reasoning.push_back(domain_title(domain) + " domain at risk");
  }
  if (!dependent) details.emplace_back("No dependency is known: together in time alone");
  for (std::string& detail : details) {
    if (finding.reasoning.size() < core::kReasonsMax)
      finding.reasoning.push_back(std::move(detail));
  }
  finding.reasoning.resize(std::min(finding.reasoning.size(), core::kReasonsMax));
  std::sort(finding.evidence.begin(), finding.evidence.end(),
            [](const auto& a, const auto& b) { return a.sequence < b.sequence; });

  finding.type = core::TriggerType::kCrossDomainAlert;
  finding.confidence = confidence;
  finding.service = root.service;
  finding.domain = root.domain;
  finding.diagnosis_code = "cross_domain_cascade";
  for (std::size_t i = 0; i < ill_domains; ++i) finding.what += (i == 0 ? "" : ",") + domains[i];
  const bool critical = ill_domains >= 3 || highest == core::Criticality::kCritical;
  finding.impact = critical ? core::Impact::kCritical : core::Impact::kHigh;
  finding.suggested_playbooks = {"restart_service", "rollback_flag"};
  finding.ts_ns = now_ns;
  finding.metadata = {{"affected_domains", json_list(domains)},
                      {"blast_radius", std::to_string(services.size())},
                      {"degraded_services", std::to_string(group.size())},
                      {"topology_known", dependent ? "true" : "false"}};
  return finding;
}

}  // namespace grace::agentic_spine
