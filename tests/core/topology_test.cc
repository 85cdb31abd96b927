#include "grace/core/topology.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "stress_value.h"

namespace grace::core {
namespace {

ServiceNode node(std::string service, std::vector<std::string> depends_on,
                 Criticality criticality = Criticality::kMedium) {
  ServiceNode out;
  out.service = std::move(service);
  out.depends_on = std::move(depends_on);
  out.criticality = criticality;
  return out;
}

// web -> api -> db, batch -> db, mobile -> api
Topology example() {
  Topology topology;
  topology.upsert(node("web", {"api"}, Criticality::kCritical));
  topology.upsert(node("mobile", {"api"}));
  topology.upsert(node("api", {"db"}));
  topology.upsert(node("batch", {"db"}, Criticality::kLow));
  topology.upsert(node("db", {}, Criticality::kHigh));
  return topology;
}

TEST(Topology, BlastRadiusIsWhoDependsDirectlyOrNot) {
  const Topology topology = example();
  const BlastRadius db = topology.blast_radius("db");
  EXPECT_TRUE(db.known);
  EXPECT_EQ(db.services, 4U);
  EXPECT_EQ(db.dependents, (std::vector<std::string>{"api", "batch", "mobile", "web"}));
  EXPECT_DOUBLE_EQ(db.fleet_fraction, 1.0);
  EXPECT_EQ(db.highest, Criticality::kCritical);
  const BlastRadius api = topology.blast_radius("api");
  EXPECT_EQ(api.dependents, (std::vector<std::string>{"mobile", "web"}));
  EXPECT_DOUBLE_EQ(api.fleet_fraction, 0.6);
  const BlastRadius batch = topology.blast_radius("batch");
  EXPECT_TRUE(batch.known);
  EXPECT_EQ(batch.services, 0U);
  EXPECT_EQ(batch.highest, Criticality::kLow);
}

TEST(Topology, UnknownServiceHasAnUnknownRadius) {
  Topology topology = example();
  topology.upsert(node("edge", {"cdn"}));
  EXPECT_FALSE(topology.blast_radius("nobody").known);
  EXPECT_FALSE(topology.blast_radius("cdn").known) << "named as a dependency, never declared";
}

TEST(Topology, CyclesEndAndDoNotCountTheTargetItself) {
  Topology topology;
  topology.upsert(node("a", {"b", "a"}));
  topology.upsert(node("b", {"c"}));
  topology.upsert(node("c", {"a"}));
  EXPECT_EQ(topology.blast_radius("a").dependents, (std::vector<std::string>{"b", "c"}));
  EXPECT_TRUE(topology.depends("a", "a"));
  EXPECT_EQ(topology.distance("a", "c"), 1U);
  EXPECT_EQ(topology.distance("a", "a"), 0U);
}

TEST(Topology, ReplacingANodeMovesItsEdges) {
  Topology topology = example();
  EXPECT_TRUE(topology.upsert(node("api", {"cache", "cache"})));
  EXPECT_EQ(topology.size(), 5U);
  EXPECT_EQ(topology.find("api")->depends_on, (std::vector<std::string>{"cache"}));
  EXPECT_EQ(topology.blast_radius("db").dependents, (std::vector<std::string>{"batch"}));
  EXPECT_FALSE(topology.depends("web", "db"));
  EXPECT_TRUE(topology.depends("web", "cache"));
}

TEST(Topology, DistanceFollowsDependencyInEitherDirectionOnly) {
  const Topology topology = example();
  EXPECT_EQ(topology.distance("web", "db"), 2U);
  EXPECT_EQ(topology.distance("db", "web"), 2U);
  EXPECT_FALSE(topology.distance("web", "batch")) << "siblings share no directed path";
  EXPECT_FALSE(topology.distance("web", "nobody"));
  EXPECT_EQ(topology.distance("web", "db", 2), 2U);
  EXPECT_FALSE(topology.distance("web", "db", 1));
}

TEST(Topology, LinksLeadOverEdgesInAnyDirection) {
  Topology topology = example();
  EXPECT_TRUE(topology.linked("web", "web", 0));
  EXPECT_TRUE(topology.linked("web", "api", 1));
  EXPECT_TRUE(topology.linked("api", "web", 1));
  EXPECT_FALSE(topology.linked("web", "mobile", 1));
  EXPECT_TRUE(topology.linked("web", "mobile", 2)) << "both depend on api";
  EXPECT_FALSE(topology.linked("mobile", "batch", 2));
  EXPECT_TRUE(topology.linked("mobile", "batch", 3)) << "api, db";
  EXPECT_FALSE(topology.linked("web", "nobody", 9));
  topology.upsert(node("island", {}));
  EXPECT_FALSE(topology.linked("web", "island", kHopsUnlimited));
}

TEST(Topology, RefusesPastItsBoundsAndCounts) {
  Topology topology(2);
  EXPECT_TRUE(topology.upsert(node("a", {})));
  EXPECT_TRUE(topology.upsert(node("b", {})));
  EXPECT_FALSE(topology.upsert(node("c", {})));
  EXPECT_TRUE(topology.upsert(node("a", {"b"}))) << "a known service may change at the bound";
  EXPECT_EQ(topology.refused_count(), 1U);
  EXPECT_EQ(topology.services(), (std::vector<std::string>{"a", "b"}));
}

TEST(Topology, RefusesANodeWithTooManyDependencies) {
  Topology topology;
  std::vector<std::string> many;
  for (std::size_t i = 0; i <= kDependenciesMax; ++i) many.push_back(std::to_string(i));
  EXPECT_FALSE(topology.upsert(node("a", many)));
  EXPECT_EQ(topology.find("a"), nullptr);
  EXPECT_EQ(topology.refused_count(), 1U);
  many.pop_back();
  EXPECT_TRUE(topology.upsert(node("a", many)));
}

// Against the definition, computed by brute force.
TEST(Topology, AgreesWithTransitiveClosureOnRandomGraphs) {
  std::mt19937_64 random(stress_seed());
  for (int round = 0; round < 50; ++round) {
    constexpr std::size_t kCount = 12;
    Topology topology;
    bool reaches[kCount][kCount] = {};
    const auto name = [](std::size_t i) { return "s" + std::to_string(i); };
    // Twice, so that edges of the first pass must be forgotten.
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t i = 0; i < kCount; ++i) {
        std::vector<std::string> depends_on;
        for (std::size_t j = 0; j < kCount; ++j) {
          reaches[i][j] = random() % 8 == 0;
          if (reaches[i][j]) depends_on.push_back(name(j));
        }
        std::shuffle(depends_on.begin(), depends_on.end(), random);
        topology.upsert(node(name(i), depends_on));
      }
    }
    for (std::size_t k = 0; k < kCount; ++k) {
      for (std::size_t i = 0; i < kCount; ++i) {
        for (std::size_t j = 0; j < kCount; ++j) {
          reaches[i][j] = reaches[i][j] || (reaches[i][k] && reaches[k][j]);
        }
      }
    }
    for (std::size_t i = 0; i < kCount; ++i) {
      std::set<std::string> expected;
      for (std::size_t j = 0; j < kCount; ++j) {
        ASSERT_EQ(topology.depends(name(i), name(j)), reaches[i][j]);
        if (i != j && reaches[j][i]) expected.insert(name(j));
      }
      const BlastRadius radius = topology.blast_radius(name(i));
      ASSERT_EQ(radius.dependents, std::vector<std::string>(expected.begin(), expected.end()));
      ASSERT_EQ(radius.services, expected.size());
    }
  }
}

// Edges on the shortest way, step by step over all nodes; nullopt beyond `hops_max`.
std::optional<std::uint32_t> walked(const std::vector<std::vector<bool>>& edges, std::size_t from,
                                    std::size_t to, std::uint32_t hops_max) {
  std::vector<bool> at(edges.size());
  at[from] = true;
  for (std::uint32_t depth = 0; depth <= hops_max; ++depth) {
    if (at[to]) return depth;
    std::vector<bool> next = at;
    for (std::size_t i = 0; i < edges.size(); ++i) {
      for (std::size_t j = 0; at[i] && j < edges.size(); ++j) next[j] = next[j] || edges[i][j];
    }
    at = std::move(next);
  }
  return std::nullopt;
}

TEST(Topology, AnswersAsAWalkOverTheEdgesDoes) {
  constexpr std::size_t kServices = 30;
  std::mt19937_64 random(11);
  Topology topology;
  std::vector<std::vector<bool>> depends(kServices, std::vector<bool>(kServices));
  const auto name = [](std::size_t service) { return "s" + std::to_string(service); };
  for (std::size_t change = 0; change < kServices + 5; ++change) {
    const std::size_t changed = change % kServices;
    ServiceNode node;
    node.service = name(changed);
    for (std::size_t other = 0; other < kServices; ++other) {
      depends[changed][other] = other != changed && random() % 25 == 0;
      if (depends[changed][other]) node.depends_on.push_back(name(other));
    }
    ASSERT_TRUE(topology.upsert(node));
    if (change + 1 < kServices) continue;
    auto joined = depends;
    for (std::size_t a = 0; a < kServices; ++a) {
      for (std::size_t b = 0; b < kServices; ++b) joined[a][b] = depends[a][b] || depends[b][a];
    }
    for (std::size_t ask = 0; ask < 2 * kServices * kServices; ++ask) {
      const std::size_t a = random() % kServices;
      const std::size_t b = random() % kServices;
      const std::uint32_t hops_max = 1 + static_cast<std::uint32_t>(random() % 3);
      const auto there = walked(depends, a, b, hops_max);
      const auto back = walked(depends, b, a, hops_max);
      const auto nearest = there && back ? std::min(*there, *back) : there ? there : back;
      ASSERT_EQ(topology.distance(name(a), name(b), hops_max), nearest) << a << " " << b;
      ASSERT_EQ(topology.linked(name(a), name(b), hops_max),
                walked(joined, a, b, hops_max).has_value())
          << a << " " << b << " " << hops_max;
    }
  }
}

}  // namespace
}  // namespace grace::core
