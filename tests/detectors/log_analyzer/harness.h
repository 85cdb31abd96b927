#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../models/dice.h"
#include "grace/core/detector.h"
#include "grace/core/hash.h"
#include "grace/core/learned_state.h"
#include "grace/core/time.h"
#include "grace/core/topology.h"

namespace grace::testing {

inline constexpr std::int64_t kSecond = core::kNsPerSecond;
inline constexpr std::int64_t kMinute = core::kNsPerMinute;
inline constexpr std::int64_t kHour = core::kNsPerHour;
// 2025-01-15T00:00:00Z
inline constexpr std::int64_t kMidnight = 1'736'899'200LL * kSecond;

struct ActionText {
  std::string_view actor = "auth";
  std::string_view action = "auth_validate";
  std::string_view resource = "auth_service";
  std::string_view result = "success";
  std::string_view domain = "core";
  std::string_view subsystem = "";
  std::string_view session = "";
  double duration_ms = std::numeric_limits<double>::quiet_NaN();
};

// An action event over a caller's buffer, as the parser would make it.
inline core::Event make_action(const ActionText& text, std::int64_t ts_ns, std::uint64_t sequence,
                               std::array<char, 512>& buffer) {
  core::Event event;
  std::uint32_t used = 0;
  const auto put = [&](std::string_view part) {
    const core::TextRef ref{used, static_cast<std::uint32_t>(part.size())};
    std::copy(part.begin(), part.end(), buffer.begin() + used);
    used += static_cast<std::uint32_t>(part.size());
    return ref;
  };
  event.text = buffer.data();
  event.sequence = sequence;
  event.ts_ns = ts_ns;
  event.actor = put(text.actor);
  event.name = put(text.action);
  event.service = put(text.resource);
  event.domain = put(text.domain);
  event.subsystem = put(text.subsystem);
  event.result_text = put(text.result);
  event.value = text.duration_ms;
  event.kind = core::EventKind::kAction;
  event.route_key = core::hash_bytes(text.actor);
  event.service_key = core::hash_bytes(text.resource);
  event.name_key = core::hash_bytes(text.action);
  if (!text.session.empty()) {
    event.session_key = static_cast<std::uint32_t>(core::hash_bytes(text.session)) | 1U;
  }
  const bool error = text.result == "error" || text.result == "failed" || text.result == "blocked";
  event.result = error ? core::ActionResult::kError : core::ActionResult::kSuccess;
  return event;
}

// The engine in small: one thread, all partitions of the given subsystems, ticks of one second in
// event time, the ordered detectors behind them in sequence order.
class Engine final : public core::FindingSink {
 public:
  explicit Engine(core::SubsystemList subsystems) : subsystems_(std::move(subsystems)) {}

  core::Topology& topology() { return topology_; }

  void action(const ActionText& text, std::int64_t ts_ns) {
    start();
    advance(ts_ns);
    std::array<char, 512> buffer;
    const core::Event event = make_action(text, ts_ns, next_sequence(), buffer);
    for (auto& set : partitions_) {
      auto& partition = set[event.partition()];
      if (partition != nullptr && partition->wants(event.kind)) partition->on_event(event, *this);
    }
    flush(event.sequence);
  }

  // An observation straight to the ordered detectors, as another subsystem's partition would.
  void observe_now(const core::Observation& observation) {
    start();
    advance(observation.ts_ns);
    pending_.push_back(observation);
    flush(next_sequence());
  }

  void deploy(std::string_view service, std::int64_t ts_ns) {
    start();
    advance(ts_ns);
    core::Event event;
    event.text = service.data();
    event.service = {0, static_cast<std::uint32_t>(service.size())};
    event.kind = core::EventKind::kControl;
    event.control = core::ControlKind::kDeploy;
    event.ts_ns = ts_ns;
    event.sequence = next_sequence();
    for (auto& ordered : ordered_) ordered->on_control(event, *this);
  }

  // Event time moves on, second by second.
  void advance(std::int64_t to_ns) {
    start();
    const std::int64_t to_tick = to_ns / kSecond * kSecond;
    if (watermark_ns_ == 0) watermark_ns_ = to_tick - kSecond;
    while (watermark_ns_ < to_tick) {
      const core::Tick tick{next_sequence(), watermark_ns_ + kSecond, watermark_ns_};
      watermark_ns_ += kSecond;
      for (auto& set : partitions_) {
        for (auto& partition : set) {
          if (partition != nullptr) partition->on_tick(tick, *this);
        }
      }
      flush(tick.sequence);
      for (auto& ordered : ordered_) ordered->on_tick(tick, *this);
    }
  }

  void finding(core::Finding&& finding) override { findings.push_back(std::move(finding)); }
  void observe(const core::Observation& observation) override { pending_.push_back(observation); }

  [[nodiscard]] std::uint64_t evicted_count() const {
    std::uint64_t sum = 0;
    for (const auto& set : partitions_) {
      for (const auto& partition : set) {
        if (partition != nullptr) sum += partition->evicted_count();
      }
    }
    return sum;
  }
  [[nodiscard]] std::vector<core::Finding> of(std::string_view diagnosis) const {
    std::vector<core::Finding> found;
    for (const core::Finding& finding : findings) {
      if (finding.diagnosis_code == diagnosis) found.push_back(finding);
    }
    return found;
  }

  std::vector<core::Finding> findings;
  std::vector<core::Observation> observations;

 private:
  void start() {
    if (!partitions_.empty() || !ordered_.empty()) return;
    const core::OrderedContext context{topology_, learned_};
    for (const auto& subsystem : subsystems_) {
      auto& set = partitions_.emplace_back();
      for (std::size_t i = 0; i < core::kPartitionCount; ++i) {
        set[i] = subsystem->make_partition(i);
      }
      if (auto ordered = subsystem->make_ordered(context)) {
        ordered_.push_back(std::move(ordered));
      }
    }
  }
  std::uint64_t next_sequence() { return sequence_ += 100; }
  void flush(std::uint64_t sequence) {
    if (pending_.empty()) return;
    std::stable_sort(pending_.begin(), pending_.end(),
                     [](const auto& a, const auto& b) { return a.order_key < b.order_key; });
    for (const core::Observation& observation : pending_) {
      observations.push_back(observation);
      for (auto& ordered : ordered_) ordered->on_observation(observation, sequence, *this);
    }
    pending_.clear();
  }

  core::SubsystemList subsystems_;
  core::Topology topology_;
  core::LearnedState learned_;
  std::vector<std::array<std::unique_ptr<core::PartitionDetector>, core::kPartitionCount>>
      partitions_;
  std::vector<std::unique_ptr<core::OrderedDetector>> ordered_;
  std::vector<core::Observation> pending_;
  std::int64_t watermark_ns_ = 0;
  std::uint64_t sequence_ = 0;
};

}  // namespace grace::testing
