#include "grace/core/topology.h"

#include <algorithm>
#include <deque>
#include <unordered_set>

namespace grace::core {
namespace {

void insert_sorted(std::vector<std::string>& items, const std::string& item) {
  const auto at = std::lower_bound(items.begin(), items.end(), item);
  if (at == items.end() || *at != item) items.insert(at, item);
}

void erase_sorted(std::vector<std::string>& items, const std::string& item) {
  const auto at = std::lower_bound(items.begin(), items.end(), item);
  if (at != items.end() && *at == item) items.erase(at);
}

}  // namespace

bool Topology::upsert(ServiceNode node) {
  std::sort(node.depends_on.begin(), node.depends_on.end());
  node.depends_on.erase(std::unique(node.depends_on.begin(), node.depends_on.end()),
                        node.depends_on.end());
  const auto old = nodes_.find(node.service);
  if ((old == nodes_.end() && nodes_.size() >= services_max_) ||
      node.depends_on.size() > kDependenciesMax) {
    ++refused_count_;
    return false;
  }
  if (old != nodes_.end()) {
    for (const std::string& dependency : old->second.depends_on) {
      std::vector<std::string>& dependents = dependents_[dependency];
      erase_sorted(dependents, node.service);
      // Dependencies that come and go must not leave empty lists behind.
      if (dependents.empty()) dependents_.erase(dependency);
    }
  }
  for (const std::string& dependency : node.depends_on) {
    insert_sorted(dependents_[dependency], node.service);
  }
  std::string service = node.service;
  nodes_.insert_or_assign(std::move(service), std::move(node));
  return true;
}

const ServiceNode* Topology::find(std::string_view service) const {
  const auto at = nodes_.find(std::string(service));
  return at == nodes_.end() ? nullptr : &at->second;
}

BlastRadius Topology::blast_radius(std::string_view service) const {
  BlastRadius radius;
  const ServiceNode* const target = find(service);
  if (target == nullptr) return radius;
  radius.known = true;
  radius.highest = target->criticality;
  std::unordered_set<std::string> seen{target->service};
  std::deque<std::string> open{target->service};
  while (!open.empty()) {
    const auto edges = dependents_.find(open.front());
    open.pop_front();
    if (edges == dependents_.end()) continue;
    for (const std::string& dependent : edges->second) {
      if (!seen.insert(dependent).second) continue;
      open.push_back(dependent);
      radius.dependents.push_back(dependent);
      if (const ServiceNode* node = find(dependent); node != nullptr) {
        radius.highest = std::max(radius.highest, node->criticality);
      }
    }
  }
  std::sort(radius.dependents.begin(), radius.dependents.end());
  radius.services = static_cast<std::uint32_t>(radius.dependents.size());
  radius.fleet_fraction =
      static_cast<double>(radius.services + 1) / static_cast<double>(nodes_.size());
  return radius;
}

std::optional<std::uint32_t> Topology::distance(std::string_view a, std::string_view b,
                                                std::uint32_t hops_max) const {
  if (a == b) return 0;
  const auto directed = [&](std::string_view from,
                            std::string_view to) -> std::optional<std::uint32_t> {
    std::unordered_map<std::string, std::uint32_t> depth{{std::string(from), 0}};
    std::deque<std::string> open{std::string(from)};
    while (!open.empty()) {
      const std::string at = open.front();
      open.pop_front();
      const ServiceNode* const node = find(at);
      if (node == nullptr || depth[at] >= hops_max) continue;
      for (const std::string& next : node->depends_on) {
        if (!depth.emplace(next, depth[at] + 1).second) continue;
        if (next == to) return depth[next];
        open.push_back(next);
      }
    }
    return std::nullopt;
  };
  const auto forward = directed(a, b);
  const auto backward = directed(b, a);
  if (forward && backward) return std::min(*forward, *backward);
  return forward ? forward : backward;
}

bool Topology::depends(std::string_view dependent, std::string_view dependency) const {
  std::unordered_set<std::string> seen{std::string(dependent)};
  std::deque<std::string> open{std::string(dependent)};
  while (!open.empty()) {
    const ServiceNode* const node = find(open.front());
    open.pop_front();
    if (node == nullptr) continue;
    for (const std::string& next : node->depends_on) {
      if (next == dependency) return true;
      if (seen.insert(next).second) open.push_back(next);
    }
  }
  return false;
}

std::vector<std::string> Topology::services() const {
  std::vector<std::string> names;
  names.reserve(nodes_.size());
  for (const auto& [name, node] : nodes_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace grace::core
