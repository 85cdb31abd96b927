#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "grace/core/trigger.h"

namespace grace::meta_loop {

// What the supervisor remembers of an incident: who raised it, and where in the input.
struct IncidentNote {
  core::Source source = core::Source::kImmutableLog;
  std::uint64_t sequence = 0;
  std::int64_t ts_ns = 0;
};

// The first acting trigger of recent incidents. Bounded: the oldest makes room, which costs later
// findings that evidence line only.
class IncidentNotes {
 public:
  explicit IncidentNotes(std::size_t incidents_max) : incidents_max_(incidents_max) {}

  void on_trigger(const core::Trigger& trigger) {
    if (trigger.weak || trigger.incident_id.empty()) return;
    const auto [at, is_new] = notes_.try_emplace(
        trigger.incident_id, IncidentNote{trigger.source, trigger.sequence, trigger.created_ts_ns});
    static_cast<void>(at);
    if (!is_new) return;
    order_.push_back(trigger.incident_id);
    if (order_.size() <= incidents_max_) return;
    notes_.erase(order_.front());
    order_.pop_front();
  }

  [[nodiscard]] const IncidentNote* find(std::string_view incident_id) const {
    const auto at = notes_.find(incident_id);
    return at == notes_.end() ? nullptr : &at->second;
  }

 private:
  std::size_t incidents_max_;
  std::map<std::string, IncidentNote, std::less<>> notes_;
  std::deque<std::string> order_;
};

}  // namespace grace::meta_loop
