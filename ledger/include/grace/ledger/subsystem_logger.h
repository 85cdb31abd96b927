#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/writer.h"

namespace grace::ledger {

// Where loggers put their records.
class RecordAppender {
 public:
  virtual ~RecordAppender() = default;
  [[nodiscard]] virtual AppendStatus append(RecordType type, std::string_view payload) = 0;
};

// Appends through a producer of its own; waits while the ring is full.
class ProducerAppender final : public RecordAppender {
 public:
  explicit ProducerAppender(Producer producer) : producer_(std::move(producer)) {}
  [[nodiscard]] AppendStatus append(RecordType type, std::string_view payload) override {
    return producer_.append_or_wait(type, as_bytes(payload));
  }
  [[nodiscard]] Producer& producer() { return producer_; }

 private:
  Producer producer_;
};

// One entry as everybody logs it. `payload` is a JSON object, or empty for {}; anything else is
// stored as {"text": ...}, so that a record always parses.
struct ActionEntry {
  std::string_view actor;
  std::string_view action;
  std::string_view resource;
  std::string_view result;
  std::string_view payload = {};
};
struct ErrorEntry {
  std::string_view actor;
  std::string_view action;
  std::string_view resource;
  std::string_view error;            // what happened
  std::string_view error_type = {};  // its class, where it has one
};
struct DecisionEntry {
  std::string_view actor;
  std::string_view decision_type;
  std::string_view resource;
  std::string_view decision;
  std::span<const std::string> reasoning = {};
  double confidence = 0;
};
struct PredictionEntry {
  std::string_view actor;
  std::string_view prediction_type;
  std::string_view resource;
  double predicted_value = 0;
  double confidence = 0;
  std::optional<double> current_value = {};
};

struct SubsystemStats {
  std::map<std::string, std::uint64_t, std::less<>> event_counts;  // by action
  std::uint64_t total_events = 0;
  std::uint64_t failed_events = 0;  // the log did not take them
  std::int64_t last_logged_ns = 0;  // 0: never

  // One more event. Beyond SubsystemRegistry::kActionsMax kinds, further ones are "other".
  void count(std::string_view action, std::int64_t ts_ns);
};
using SubsystemStatsMap = std::map<std::string, SubsystemStats, std::less<>>;
// {"name":{"event_counts":{...},"total_events":n,"last_logged":"2025-01-15T14:30:22Z"},...}
[[nodiscard]] std::string to_json(const SubsystemStatsMap& stats);

class SubsystemRegistry;

// A subsystem's way to the log. Got from its registry, which owns it. Any thread; a mutex inside:
// for things worth recording, not for the way of an event.
class SubsystemLogger {
 public:
  // ts_ns: when it happened, since the epoch; 0 asks the registry's clock.
  AppendStatus log_action(const ActionEntry& entry, std::int64_t ts_ns = 0);
  AppendStatus log_error(const ErrorEntry& entry, std::int64_t ts_ns = 0);
  AppendStatus log_decision(const DecisionEntry& entry, std::int64_t ts_ns = 0);
  AppendStatus log_prediction(const PredictionEntry& entry, std::int64_t ts_ns = 0);
  AppendStatus log_start(std::string_view actor, std::int64_t ts_ns = 0);
  AppendStatus log_stop(std::string_view actor, std::int64_t ts_ns = 0);
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  friend class SubsystemRegistry;
  SubsystemLogger(SubsystemRegistry& registry, std::string name)
      : registry_(registry), name_(std::move(name)) {}
  SubsystemRegistry& registry_;
  std::string name_;
};

// All subsystems that log to one log, and how much each has logged. Owned by the composition root;
// there is no global one. Bounds: subsystems_max loggers; beyond actions_max kinds of action, a
// subsystem's further kinds are counted together as "other".
class SubsystemRegistry {
 public:
  using Clock = std::int64_t (*)();
  // `appender` is borrowed and outlives the registry. Null clock: the system's.
  explicit SubsystemRegistry(RecordAppender& appender, Clock clock = nullptr);

  // The logger of that name, made on first use. Null once subsystems_max others exist.
  [[nodiscard]] SubsystemLogger* get_subsystem_logger(std::string_view name);
  // An entry of any subsystem, whose logger is made on first use: kFull where there is no room for
  // one more.
  AppendStatus append(std::string_view subsystem, const ActionEntry& entry, std::int64_t ts_ns = 0);
  [[nodiscard]] SubsystemStatsMap get_subsystem_stats() const;
  [[nodiscard]] std::string subsystem_stats_json() const { return to_json(get_subsystem_stats()); }

  static constexpr std::size_t kSubsystemsMax = 256;
  static constexpr std::size_t kActionsMax = 256;

 private:
  friend class SubsystemLogger;
  AppendStatus append_known(const std::string& subsystem, const ActionEntry& entry,
                            std::int64_t ts_ns);

  RecordAppender& appender_;
  Clock clock_;
  mutable std::mutex mutex_;
  std::string buffer_;
  std::map<std::string, std::unique_ptr<SubsystemLogger>, std::less<>> loggers_;
  SubsystemStatsMap stats_;
};

}  // namespace grace::ledger
