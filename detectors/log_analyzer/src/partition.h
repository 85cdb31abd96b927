#pragma once
#include <cstdint>
#include <vector>

#include "action.h"
#include "action_observer.h"
#include "duration_rule.h"
#include "error_rule.h"
#include "grace/core/detector.h"
#include "grace/core/symbol_table.h"
#include "grace/log_analyzer/log_analyzer.h"
#include "grace/models/template_miner.h"
#include "sequence_rule.h"
#include "tables.h"

namespace grace::log_analyzer {

// The keyed part: what every actor of one partition does. One probe finds the pattern of an action
// (actor, action, resource); it remembers where its pair, its errors and its durations are. Actions
// whose name is a sentence or holds an identifier are one pattern for each template of names; those
// are not found at once, and cost the mining each time.
//
// Bounds: see LogAnalyzerConfig; a pattern that is evicted while a burst of it is pending is judged
// first. A pattern whose texts the intern table refuses is not watched, and counted.
// Steady state: no allocation, unless there is something to report or more is known than ever
// before. Thread: the partition's worker.
class LogPartition final : public core::PartitionDetector {
 public:
  explicit LogPartition(const LogAnalyzerConfig& config);
  void on_event(const core::Event& event, core::FindingSink& sink) override;
  [[nodiscard]] bool wants(core::EventKind kind) const override {
    return kind == core::EventKind::kAction;
  }
  void on_tick(const core::Tick& tick, core::FindingSink& sink) override;
  [[nodiscard]] std::uint64_t late_count() const override { return late_count_; }
  [[nodiscard]] std::uint64_t evicted_count() const override;

 private:
  // In the order of use: a successful action touches the first two cache lines, the table's own
  // fields before them included. What is beyond them, a replay waits for: patterns are thousands.
  struct Pattern {
    std::uint64_t pair_key = 0;
    std::uint32_t pair_slot = kNoSlot;
    std::uint32_t session_slot = kNoSlot;
    std::uint32_t symbol = 0;
    std::uint32_t actions_total = 0;
    std::uint64_t class_key = 0;
    std::uint32_t error_slot = kNoSlot;
    std::uint32_t duration_slot = kNoSlot;
    DurationBin duration_bin{};
    PatternWindow window{};  // of which the open bucket
    ActionNames names{};
  };
  [[nodiscard]] std::uint64_t actor_hash(const core::Event& event) const noexcept {
    return event.actor.size_bytes != 0 ? event.route_key : no_actor_hash_;
  }
  [[nodiscard]] std::uint64_t pattern_key(const core::Event& event,
                                          std::uint64_t name_key) const noexcept;
  // The slot of an action that was not found by its name; kNoSlot when it cannot be watched.
  std::uint32_t find_by_template(const core::Event& event, core::FindingSink& sink);
  struct NewPattern {
    std::uint64_t key = 0;
    std::uint64_t name_key = 0;
    std::string_view name;
  };
  std::uint32_t admit(const NewPattern& found, const core::Event& event, core::FindingSink& sink);
  void evict(std::uint32_t slot, std::int64_t now_ns, core::FindingSink& sink);
  void on_error(std::uint32_t slot, const core::Event& event);
  void on_duration(Pattern& pattern, const core::Event& event, core::FindingSink& sink);
  void begin_bin(Pattern& pattern, const core::Event& event, core::FindingSink& sink);
  void judge(std::uint32_t slot, std::int64_t now_ns, core::FindingSink& sink);

  // What each action needs of the partition itself comes first, in one cache line.
  const std::uint64_t no_actor_hash_;
  std::uint64_t late_count_ = 0;
  std::int32_t stamp_ = 0;  // of the watermark, for the tables' order of use
  ErrorRule error_rule_;
  DurationRule duration_rule_;
  core::SymbolTable symbols_;
  models::TemplateMiner templates_;
  LruTable<Pattern> patterns_;
  Pool<ErrorState> errors_;
  Pool<DurationState> durations_;
  ActionObserver observer_;
  SequenceRule sequences_;
  std::vector<std::uint32_t> pending_;  // patterns with an unsettled burst; at most patterns_max
  std::uint64_t evicted_count_ = 0;
  std::uint64_t refused_count_ = 0;
};

}  // namespace grace::log_analyzer
