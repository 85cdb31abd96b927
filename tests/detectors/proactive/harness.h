#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../../models/dice.h"
#include "grace/core/detector.h"
#include "grace/core/hash.h"
#include "grace/core/learned_state.h"
#include "grace/core/time.h"
#include "grace/core/topology.h"
#include "grace/proactive/proactive.h"

namespace grace::proactive::test {

inline constexpr std::int64_t kSecond = core::kNsPerSecond;
inline constexpr std::int64_t kMinute = core::kNsPerMinute;
inline constexpr std::int64_t kHour = core::kNsPerHour;
inline std::int64_t at(const char* rfc3339) {
  return *core::parse_rfc3339(rfc3339);
}

using testing::Dice;

// One metric event with its own text.
class MetricEvent {
 public:
  MetricEvent(std::string_view service, std::string_view metric, std::string_view labels = {}) {
    text_.append(service).append("core").append(metric).append(labels);
    const auto size = [](std::string_view s) { return static_cast<std::uint32_t>(s.size()); };
    event_.service = {0, size(service)};
    event_.domain = {size(service), 4};
    event_.name = {size(service) + 4, size(metric)};
    event_.detail = {size(service) + 4 + size(metric), size(labels)};
    event_.service_key = core::hash_bytes(service);
    event_.route_key = core::combine(
        event_.service_key, core::combine(core::hash_bytes(metric), core::hash_bytes(labels)));
    event_.kind = core::EventKind::kMetric;
  }
  const core::Event& with(std::uint64_t sequence, std::int64_t ts_ns, double value) {
    event_.text = text_.data();
    event_.sequence = sequence;
    event_.ts_ns = ts_ns;
    event_.value = value;
    return event_;
  }
  [[nodiscard]] std::uint64_t key() const { return event_.route_key; }

 private:
  std::string text_;
  core::Event event_;
};

// All partitions and the ordered part, run by hand: what the pipeline does, without threads.
class Engine final : public core::FindingSink {
 public:
  explicit Engine(ProactiveConfig config = {})
      : subsystem_(make_proactive(validated(std::move(config)).value())),
        ordered_(subsystem_->make_ordered({topology, learned})) {}

  void metric(MetricEvent& series, std::int64_t ts_ns, double value) {
    sequence_ += 100;
    const core::Event& event = series.with(sequence_, ts_ns, value);
    auto& partition = partitions_[event.partition()];
    if (partition == nullptr) partition = subsystem_->make_partition(event.partition());
    now_.clear();
    partition->on_event(event, *this);
    const std::vector<core::Observation> news = now_;
    for (const core::Observation& o : news) ordered_->on_observation(o, sequence_, *this);
  }
  // The watermark moves to `to_ns`, for every partition.
  void tick(std::int64_t to_ns) {
    sequence_ += 100;
    const core::Tick tick{sequence_, to_ns, watermark_ns_};
    watermark_ns_ = to_ns;
    ordered_->on_tick(tick, *this);
    now_.clear();
    for (const auto& partition : partitions_) {
      if (partition != nullptr) partition->on_tick(tick, *this);
    }
    const std::vector<core::Observation> news = now_;
    for (const core::Observation& o : news) ordered_->on_observation(o, sequence_, *this);
  }
  void deploy(const std::string& service, std::int64_t ts_ns) {
    core::Event event;
    event.kind = core::EventKind::kControl;
    event.control = core::ControlKind::kDeploy;
    event.text = service.data();
    event.service = {0, static_cast<std::uint32_t>(service.size())};
    event.ts_ns = ts_ns;
    event.sequence = sequence_ += 100;
    ordered_->on_control(event, *this);
  }
  void actions(const char* service, std::int64_t ts_ns, double errors, double expected,
               std::uint32_t count) {
    core::Observation o;
    o.kind = core::ObservationKind::kActions;
    o.service = service;
    o.domain = "core";
    o.name = "auth";
    o.ts_ns = ts_ns;
    o.value = errors;
    o.baseline = expected;
    o.count = count;
    o.warm = true;
    ordered_->on_observation(o, sequence_ += 100, *this);
  }

  [[nodiscard]] std::vector<core::Finding> of(core::TriggerType type) const {
    std::vector<core::Finding> out;
    for (const core::Finding& f : findings) {
      if (f.type == type) out.push_back(f);
    }
    return out;
  }
  [[nodiscard]] std::uint64_t late() const {
    std::uint64_t sum = 0;
    for (const auto& p : partitions_) sum += p == nullptr ? 0 : p->late_count();
    return sum;
  }
  [[nodiscard]] std::uint64_t evicted() const {
    std::uint64_t sum = 0;
    for (const auto& p : partitions_) sum += p == nullptr ? 0 : p->evicted_count();
    return sum;
  }
  core::OrderedDetector& ordered() { return *ordered_; }

  void finding(core::Finding&& f) override { findings.push_back(std::move(f)); }
  void observe(const core::Observation& o) override {
    now_.push_back(o);
    if (keep_observations) observations.push_back(o);
  }

  core::Topology topology;
  core::LearnedState learned;
  std::vector<core::Finding> findings;
  std::vector<core::Observation> observations;
  bool keep_observations = true;

 private:
  std::unique_ptr<core::Subsystem> subsystem_;
  std::unique_ptr<core::OrderedDetector> ordered_;
  std::array<std::unique_ptr<core::PartitionDetector>, core::kPartitionCount> partitions_;
  std::vector<core::Observation> now_;
  std::uint64_t sequence_ = 0;
  std::int64_t watermark_ns_ = 0;
};

// Everything a finding says, on one line: equal lines, equal findings.
inline std::string line_of(const core::Finding& f) {
  std::string out(core::to_string(f.type));
  out += '|' + f.service + '|' + f.domain + '|' + f.diagnosis_code + '|' + f.what + '|' +
         std::to_string(f.confidence) + '|' + std::string(core::to_string(f.impact)) + '|' +
         core::format_rfc3339(f.ts_ns) + '|' + core::format_rfc3339(f.predicted_ts_ns);
  for (const auto& r : f.reasoning) out += '|' + r;
  for (const auto& p : f.suggested_playbooks) out += '|' + p;
  for (const auto& [k, v] : f.metadata) out += '|' + k + '=' + v;
  for (const auto& e : f.evidence) out += '|' + std::to_string(e.ts_ns) + e.note;
  return out;
}

inline std::string metadata(const core::Finding& f, std::string_view key) {
  for (const auto& [k, v] : f.metadata) {
    if (k == key) return v;
  }
  return {};
}

inline const std::int64_t kStart = at("2025-01-15T00:00:00Z");

// `truth(minute)` each minute, with noise.
template <typename Truth>
void run(Engine& engine, MetricEvent& series, int from, int to, Truth truth, double noise_sd,
         Dice& noise) {
  for (int minute = from; minute < to; ++minute) {
    for (int part = 0; part < 4; ++part) {
      engine.metric(series, kStart + minute * kMinute + part * 15 * kSecond,
                    truth(minute + 0.25 * part) + noise_sd * noise.normal());
    }
  }
}
inline double ramp(double minute, double begin, double from, double per_minute) {
  return minute < begin ? from : from + per_minute * (minute - begin);
}

}  // namespace grace::proactive::test
