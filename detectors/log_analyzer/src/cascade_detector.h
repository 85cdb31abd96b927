#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "grace/core/detector.h"
#include "grace/core/topology.h"
#include "grace/log_analyzer/log_analyzer.h"
#include "tables.h"

namespace grace::log_analyzer {

// "Errors spread": components that were quiet begin to err one after the other. Each component has
// a learned rate of such onsets; several within the window are a cascade when chance hardly makes
// as many. Where the topology is known, only components that depend on each other count, and each
// onset that follows that of a dependency confirms it; where it is not, order in time alone must
// do.
//
// Bounds: components_max (the least recently seen makes room, counted), kOnsetsMax onsets in the
// window (further ones are counted and not listed). Thread: the ordered stage's.
class CascadeDetector final : public core::OrderedDetector {
 public:
  CascadeDetector(const LogAnalyzerConfig& config, const core::Topology& topology);
  void on_observation(const core::Observation& observation, std::uint64_t sequence,
                      core::FindingSink& sink) override;
  void on_tick(const core::Tick& tick, core::FindingSink& sink) override;
  [[nodiscard]] std::uint64_t turned_away_count() const noexcept { return turned_away_count_; }

 private:
  struct Component {
    std::string_view service;
    std::uint32_t node = core::Topology::kNoNode;  // as of nodes_version_
    std::int64_t seen_since_ns = 0;
    std::int64_t last_error_ns = 0;
    std::int64_t reported_ns = 0;  // when it last was part of a reported cascade
    double onsets = 0.0;
    double hours = 0.0;  // exposure before seen_since_ns, after halving
    bool erred = false;
    bool reported = false;
  };
  struct Onset {
    std::uint64_t component_key = 0;
    std::string_view service, domain, action, result_text;
    std::int64_t ts_ns = 0;
    std::uint64_t sequence = 0;
    double chance = 0.0;  // of an onset of this component within a window
  };
  struct Chain {
    std::vector<const Onset*> onsets;  // by time of onset
    std::uint32_t edges = 0;           // onsets that follow that of a dependency
    double expected = 0.0;             // onsets that chance makes in the window
    double prior_odds = 0.0;
  };

  [[nodiscard]] Component& component_of(const core::Observation& observation);
  // Numbers the components as the topology does, when that has changed.
  void renumber();
  [[nodiscard]] double onset_chance(const Component& component, std::int64_t now_ns) const;
  void add_onset(const core::Observation& observation, double chance);
  void judge(std::int64_t now_ns, core::FindingSink& sink);
  [[nodiscard]] Chain make_chain(std::int64_t now_ns);
  [[nodiscard]] core::Finding describe(const Chain& chain, double confidence,
                                       std::int64_t now_ns) const;

  static constexpr std::size_t kOnsetsMax = 64;

  const core::Topology& topology_;
  std::int64_t window_ns_, settle_ns_, quiet_ns_;
  std::size_t components_min_;
  LruTable<Component> components_;   // by hash of the service
  std::uint64_t nodes_version_ = 0;  // the topology's, of the components' nodes
  std::vector<Onset> onsets_;        // of the last window, by (ts, sequence)
  std::int64_t joined_ns_ = 0;       // when the last onset became known
  std::size_t judged_count_ = 0;     // onsets when last judged: more of them, or it is old news
  std::uint64_t turned_away_count_ = 0;
};

}  // namespace grace::log_analyzer
