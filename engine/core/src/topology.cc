#include "grace/core/topology.h"

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <utility>

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
  ++version_;
  index_.reset();  // before nodes_ changes: it holds views of its names
  std::string service = node.service;
  nodes_.insert_or_assign(std::move(service), std::move(node));
  return true;
}

Topology::Index& Topology::index() const {
  if (index_ != nullptr) return *index_;
  index_ = std::make_unique<Index>();
  const auto id_of = [&](const std::string& name) {
    return index_->ids.emplace(name, static_cast<std::uint32_t>(index_->ids.size())).first->second;
  };
  for (const auto& [name, node] : nodes_) {
    id_of(name);
    for (const std::string& dependency : node.depends_on) id_of(dependency);
  }
  index_->depends_on.resize(index_->ids.size());
  index_->reaches.resize(index_->ids.size());
  for (const auto& [name, node] : nodes_) {
    std::vector<std::uint32_t>& edges = index_->depends_on[id_of(name)];
    for (const std::string& dependency : node.depends_on) edges.push_back(id_of(dependency));
  }
  index_->neighbours = index_->depends_on;
  for (std::uint32_t from = 0; from < index_->depends_on.size(); ++from) {
    for (const std::uint32_t to : index_->depends_on[from]) index_->neighbours[to].push_back(from);
  }
  for (std::vector<std::uint32_t>& neighbours : index_->neighbours) {
    std::sort(neighbours.begin(), neighbours.end());
  }
  return *index_;
}

const std::vector<std::uint64_t>& Topology::reach(Index& index, std::uint32_t from) {
  std::vector<std::uint64_t>& bits = index.reaches[from];
  if (!bits.empty()) return bits;
  bits.resize(index.ids.size() / 64 + 1);
  std::vector<std::uint32_t> open{from};
  while (!open.empty()) {
    const std::uint32_t at = open.back();
    open.pop_back();
    for (const std::uint32_t next : index.depends_on[at]) {
      const std::uint64_t bit = std::uint64_t{1} << (next % 64);
      if ((bits[next / 64] & bit) != 0) continue;
      bits[next / 64] |= bit;
      open.push_back(next);
    }
  }
  return bits;
}

const ServiceNode* Topology::find(std::string_view service) const {
  const auto at = nodes_.find(service);
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
  return a == b ? 0 : distance(node_of(a), node_of(b), hops_max);
}

void Topology::Walk::begin(std::uint32_t from, std::size_t ids) {
  if (seen.size() != ids || ++mark == 0) {
    seen.assign(ids, 0);
    mark = 1;
  }
  frontier.assign(1, from);
  seen[from] = mark;
}

void Topology::Walk::step(const std::vector<std::vector<std::uint32_t>>& edges) {
  next.clear();
  for (const std::uint32_t at : frontier) {
    for (const std::uint32_t to : edges[at]) {
      if (std::exchange(seen[to], mark) != mark) next.push_back(to);
    }
  }
  std::swap(frontier, next);
}

std::optional<std::uint32_t> Topology::distance(std::uint32_t from, std::uint32_t to,
                                                std::uint32_t hops_max) const {
  if (from == kNoNode || to == kNoNode) return std::nullopt;
  if (from == to) return 0;
  Index& graph = index();
  // Breadth first over what is known to lead there at all.
  const auto directed = [&](std::uint32_t begin,
                            std::uint32_t end) -> std::optional<std::uint32_t> {
    if ((reach(graph, begin)[end / 64] >> (end % 64) & 1) == 0) return std::nullopt;
    Walk& walk = graph.walk;
    walk.begin(begin, graph.ids.size());
    for (std::uint32_t depth = 1; depth <= hops_max && !walk.frontier.empty(); ++depth) {
      walk.step(graph.depends_on);
      if (walk.has_seen(end)) return depth;
    }
    return std::nullopt;
  };
  const auto forward = directed(from, to);
  const auto backward = directed(to, from);
  if (forward && backward) return std::min(*forward, *backward);
  return forward ? forward : backward;
}

bool Topology::linked(std::string_view a, std::string_view b, std::uint32_t hops_max) const {
  return a == b || linked(node_of(a), node_of(b), hops_max);
}

bool Topology::linked(std::uint32_t from, std::uint32_t to, std::uint32_t hops_max) const {
  if (from == kNoNode || to == kNoNode) return false;
  if (from == to) return true;
  Index& graph = index();
  // Breadth first, but the last edge is looked up from its end: a shared dependency that half of
  // the fleet has is not walked through.
  const std::vector<std::uint32_t>& ends = graph.neighbours[to];
  Walk& walk = graph.walk;
  walk.begin(from, graph.ids.size());
  for (std::uint32_t depth = 1; depth <= hops_max && !walk.frontier.empty(); ++depth) {
    for (const std::uint32_t at : walk.frontier) {
      if (std::binary_search(ends.begin(), ends.end(), at)) return true;
    }
    if (depth == hops_max) return false;
    walk.step(graph.neighbours);
  }
  return false;
}

std::uint32_t Topology::node_of(std::string_view service) const {
  const Index& graph = index();
  const auto at = graph.ids.find(service);
  return at == graph.ids.end() ? kNoNode : at->second;
}

bool Topology::depends(std::uint32_t dependent, std::uint32_t dependency) const {
  if (dependent == kNoNode || dependency == kNoNode) return false;
  return (reach(index(), dependent)[dependency / 64] >> (dependency % 64) & 1) != 0;
}

bool Topology::depends(std::string_view dependent, std::string_view dependency) const {
  return depends(node_of(dependent), node_of(dependency));
}

std::vector<std::string> Topology::services() const {
  std::vector<std::string> names;
  names.reserve(nodes_.size());
  for (const auto& [name, node] : nodes_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace grace::core
