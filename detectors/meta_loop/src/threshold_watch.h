#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include "grace/core/detector.h"
#include "grace/meta_loop/meta_loop.h"
#include "playbook_watch.h"

namespace grace::meta_loop {

// Directives: which threshold should move, from outcomes. Says nothing while a threshold's period
// has not passed. Thread: the ordered stage's. Bounds: fixed.
class ThresholdWatch {
 public:
  ThresholdWatch(const MetaLoopConfig& config, const core::OrderedContext& context,
                 const PlaybookWatch& playbooks)
      : config_(config), context_(context), playbooks_(playbooks) {}

  void on_outcome(const core::Outcome& outcome, core::FindingSink& sink);

 private:
  void check_capacity(const core::Outcome& outcome, core::FindingSink& sink);
  void capacity_was_right(const core::Outcome& outcome, core::FindingSink& sink);
  void capacity_was_wrong(const core::Outcome& outcome, core::FindingSink& sink);
  void check_minimum(const core::Outcome& outcome, core::FindingSink& sink);
  [[nodiscard]] core::Finding directive_of(const core::Outcome& outcome) const;

  const MetaLoopConfig& config_;
  const core::OrderedContext& context_;
  const PlaybookWatch& playbooks_;
  // Settled outcomes of a source when a directive about its minimum was last made.
  std::array<double, core::kSourceCount> outcomes_at_directive_{};
  std::int64_t capacity_directive_ts_ns_ = std::numeric_limits<std::int64_t>::min();
};

}  // namespace grace::meta_loop
