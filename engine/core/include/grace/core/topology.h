#pragma once
#include <cstdint>
#include <functional>  // std::equal_to
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grace/core/hash.h"

namespace grace::core {

enum class Criticality : std::uint8_t { kLow = 0, kMedium, kHigh, kCritical };

struct ServiceNode {
  std::string service;
  std::string domain;
  std::vector<std::string> depends_on;  // direct dependencies, sorted, unique
  std::uint32_t replicas = 1;
  Criticality criticality = Criticality::kMedium;
};

struct BlastRadius {
  bool known = false;          // false: the service is not in the topology; larger than any limit
  std::uint32_t services = 0;  // services that depend on the target, directly or not
  double fleet_fraction = 0;   // (services + 1) / all services
  Criticality highest = Criticality::kLow;  // among target and dependents
  std::vector<std::string> dependents;      // sorted
};

inline constexpr std::uint32_t kHopsUnlimited = 0xffffffff;
// Direct dependencies of one service. More would be a mistake, and memory from outside's choice.
inline constexpr std::size_t kDependenciesMax = 1024;

// Who depends on whom. From configuration and `topology` control events; calls observed later
// replace nothing that was declared. Cycles are allowed. Bounded: services_max nodes with at
// most kDependenciesMax dependencies each; others are refused and counted. Thread: the ordered
// stage's, which owns it.
class Topology {
 public:
  explicit Topology(std::size_t services_max = 10'000) : services_max_(services_max) {}
  // Adds or replaces one service. False: a bound is reached, and nothing is changed.
  bool upsert(ServiceNode node);
  [[nodiscard]] const ServiceNode* find(std::string_view service) const;
  // Services that reach `service` over depends_on edges (its dependents), without itself.
  [[nodiscard]] BlastRadius blast_radius(std::string_view service) const;
  // Edges on the shortest path between two services in either direction of dependency; nullopt when
  // no directed path of at most `hops_max` edges joins them. Small `hops_max`: small search.
  [[nodiscard]] std::optional<std::uint32_t> distance(
      std::string_view a, std::string_view b, std::uint32_t hops_max = kHopsUnlimited) const;
  // True when a path of at most `hops_max` edges joins two services, whatever the edges'
  // directions: also two that share a dependency or a dependent. Small `hops_max`: small search.
  [[nodiscard]] bool linked(std::string_view a, std::string_view b, std::uint32_t hops_max) const;
  // True when `dependent` reaches `dependency` over depends_on edges.
  [[nodiscard]] bool depends(std::string_view dependent, std::string_view dependency) const;
  // The same for many questions about few services: numbers are good until the next upsert().
  // kNoNode: the topology does not know the name; it depends on nothing.
  static constexpr std::uint32_t kNoNode = 0xffffffff;
  [[nodiscard]] std::uint32_t node_of(std::string_view service) const;
  [[nodiscard]] bool depends(std::uint32_t dependent, std::uint32_t dependency) const;
  [[nodiscard]] std::optional<std::uint32_t> distance(std::uint32_t a, std::uint32_t b,
                                                      std::uint32_t hops_max) const;
  [[nodiscard]] bool linked(std::uint32_t a, std::uint32_t b, std::uint32_t hops_max) const;
  // Changes with every upsert() that was not refused.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] std::vector<std::string> services() const;  // sorted
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] std::uint64_t refused_count() const noexcept { return refused_count_; }

 private:
  template <typename Value>
  using ByName = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

  // A search breadth first; what it needs is kept, since a finding asks for some thirty paths.
  struct Walk {
    std::vector<std::uint32_t> frontier;
    std::vector<std::uint32_t> next;
    std::vector<std::uint32_t> seen;  // by id: the walk that saw it last
    std::uint32_t mark = 0;           // this walk
    void begin(std::uint32_t from, std::size_t ids);
    void step(const std::vector<std::vector<std::uint32_t>>& edges);
    [[nodiscard]] bool has_seen(std::uint32_t id) const { return seen[id] == mark; }
  };

  // The graph over numbers, made at the first question after a change: detectors ask tens of
  // thousands of times between two changes. Names are views into nodes_.
  struct Index {
    std::unordered_map<std::string_view, std::uint32_t, TextHash> ids;  // and all they depend on
    std::vector<std::vector<std::uint32_t>> depends_on;                 // by id
    std::vector<std::vector<std::uint32_t>> neighbours;  // by id, both directions, sorted
    // Bit set of what an id reaches; empty until asked for. Memory: ids^2 / 8 bytes at most.
    std::vector<std::vector<std::uint64_t>> reaches;
    Walk walk;
  };
  [[nodiscard]] Index& index() const;
  [[nodiscard]] static const std::vector<std::uint64_t>& reach(Index& index, std::uint32_t from);

  std::size_t services_max_;
  std::uint64_t refused_count_ = 0;
  std::uint64_t version_ = 0;
  ByName<ServiceNode> nodes_;
  ByName<std::vector<std::string>> dependents_;  // reverse edges, sorted
  mutable std::unique_ptr<Index> index_;         // null after a change
};

}  // namespace grace::core
