#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "action.h"
#include "grace/core/detector.h"
#include "grace/core/symbol_table.h"
#include "grace/log_analyzer/log_analyzer.h"
#include "tables.h"

namespace grace::log_analyzer {

// Condenses the actions of each (actor, resource) into one kActions observation for each period of
// event time in which there were any.
//
// Bound: pairs_max; the least recently seen is evicted (its open period is sent first) and counted.
// Thread: the partition's.
class ActionObserver {
 public:
  explicit ActionObserver(const LogAnalyzerConfig& config);

  // Slot of the pair; `hint` is a slot it had before.
  std::uint32_t slot_of(std::uint64_t key, std::uint32_t hint, const ActionNames& names,
                        std::int32_t stamp, core::FindingSink& sink);
  void prefetch(std::uint32_t slot) const noexcept { pairs_.prefetch(slot); }
  // Hot path: counts one action, closing the open period when it belongs to a later one.
  void on_action(std::uint32_t slot, std::int64_t ts_ns, core::FindingSink& sink);
  // The same action was an error. After on_action().
  void on_error(std::uint32_t slot, const ActionNames& names, std::string_view result_text,
                std::int64_t ts_ns, std::uint64_t sequence);
  // Sends every period that has ended, in the order in which the periods were opened.
  void on_tick(std::int64_t now_ns, core::FindingSink& sink);
  [[nodiscard]] std::uint64_t evicted_count() const noexcept { return evicted_count_; }

 private:
  struct Pair {
    std::int64_t period_end_ns = 0;
    std::uint32_t count = 0;
    std::uint32_t errors = 0;
    double base_actions = 0.0;  // learned share of errors, from closed periods
    double base_errors = 0.0;
    std::int64_t first_error_ts_ns = 0;
    std::uint64_t first_error_sequence = 0;
    std::uint64_t last_error_sequence = 0;
    std::string_view actor, service, domain, subsystem, action, result_text;
  };
  void open_period(std::uint32_t slot, std::int64_t ts_ns);
  void close_period(std::uint32_t slot, core::FindingSink& sink);

  std::int64_t period_ns_;
  LruTable<Pair> pairs_;
  std::vector<std::uint32_t> open_;    // slots with an open period; at most pairs_max
  std::vector<std::uint8_t> is_open_;  // by slot: is in open_
  core::SymbolTable result_texts_;     // few words are expected; anything may come
  std::uint64_t evicted_count_ = 0;
};

}  // namespace grace::log_analyzer
