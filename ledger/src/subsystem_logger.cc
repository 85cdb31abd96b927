#include "grace/ledger/subsystem_logger.h"

#include <chrono>
#include <ctime>

#include "json.h"

namespace grace::ledger {
namespace {

using internal::JsonText;

std::int64_t system_clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// "2025-01-15T14:30:22Z": whole seconds, as the subsystem statistics have always shown them.
std::string rfc3339_seconds(std::int64_t ts_ns) {
  const std::time_t seconds = static_cast<std::time_t>(ts_ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

}  // namespace

AppendStatus SubsystemLogger::log_action(const ActionEntry& entry, std::int64_t ts_ns) {
  return registry_.append_known(name_, entry, ts_ns);
}

AppendStatus SubsystemLogger::log_error(const ErrorEntry& entry, std::int64_t ts_ns) {
  std::string payload;
  JsonText json(payload);
  json.begin_object().field("error", entry.error);
  if (!entry.error_type.empty()) json.field("error_type", entry.error_type);
  json.end_object();
  return registry_.append_known(
      name_, {entry.actor, entry.action, entry.resource, "error", payload}, ts_ns);
}

AppendStatus SubsystemLogger::log_decision(const DecisionEntry& entry, std::int64_t ts_ns) {
  const std::string action = "decision_" + std::string(entry.decision_type);
  std::string payload;
  JsonText json(payload);
  json.begin_object().field("decision_type", entry.decision_type);
  json.field("decision", entry.decision).key("reasoning").begin_array();
  for (const std::string& sentence : entry.reasoning) json.value(sentence);
  json.end_array().field("confidence", entry.confidence).end_object();
  return registry_.append_known(
      name_, {entry.actor, action, entry.resource, entry.decision, payload}, ts_ns);
}

AppendStatus SubsystemLogger::log_prediction(const PredictionEntry& entry, std::int64_t ts_ns) {
  const std::string action = "prediction_" + std::string(entry.prediction_type);
  std::string payload;
  JsonText json(payload);
  json.begin_object().field("prediction_type", entry.prediction_type);
  json.field("predicted_value", entry.predicted_value).key("current_value");
  if (entry.current_value) {
    json.value(*entry.current_value);
  } else {
    json.raw("null");
  }
  json.field("confidence", entry.confidence).end_object();
  return registry_.append_known(name_, {entry.actor, action, entry.resource, "predicted", payload},
                                ts_ns);
}

AppendStatus SubsystemLogger::log_start(std::string_view actor, std::int64_t ts_ns) {
  return registry_.append_known(name_, {actor, "start", name_, "started"}, ts_ns);
}

AppendStatus SubsystemLogger::log_stop(std::string_view actor, std::int64_t ts_ns) {
  return registry_.append_known(name_, {actor, "stop", name_, "stopped"}, ts_ns);
}

SubsystemRegistry::SubsystemRegistry(RecordAppender& appender, Clock clock)
    : appender_(appender), clock_(clock != nullptr ? clock : &system_clock_ns) {}

SubsystemLogger* SubsystemRegistry::get_subsystem_logger(std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (const auto found = loggers_.find(name); found != loggers_.end()) return found->second.get();
  if (loggers_.size() == kSubsystemsMax) return nullptr;
  std::unique_ptr<SubsystemLogger> logger(new SubsystemLogger(*this, std::string(name)));
  stats_.try_emplace(std::string(name));
  return loggers_.emplace(std::string(name), std::move(logger)).first->second.get();
}

AppendStatus SubsystemRegistry::append(std::string_view subsystem, const ActionEntry& entry,
                                       std::int64_t ts_ns) {
  SubsystemLogger* const logger = get_subsystem_logger(subsystem);
  return logger == nullptr ? AppendStatus::kFull : logger->log_action(entry, ts_ns);
}

void SubsystemStats::count(std::string_view action, std::int64_t ts_ns) {
  auto counter = event_counts.find(action);
  if (counter == event_counts.end()) {
    const bool full = event_counts.size() >= SubsystemRegistry::kActionsMax;
    counter = event_counts.try_emplace(full ? "other" : std::string(action)).first;
  }
  ++counter->second;
  ++total_events;
  last_logged_ns = ts_ns;
}

AppendStatus SubsystemRegistry::append_known(const std::string& subsystem, const ActionEntry& entry,
                                             std::int64_t ts_ns) {
  const std::lock_guard lock(mutex_);
  const std::int64_t ts = ts_ns != 0 ? ts_ns : clock_();
  buffer_.clear();
  JsonText json(buffer_);
  json.begin_object().field("ts", ts).field("actor", entry.actor).field("action", entry.action);
  json.field("resource", entry.resource).field("subsystem", subsystem);
  json.field("result", entry.result).key("payload");
  if (entry.payload.empty()) {
    json.raw("{}");
  } else if (internal::is_json_object(entry.payload)) {
    json.raw(entry.payload);
  } else {
    json.begin_object().field("text", entry.payload).end_object();
  }
  json.end_object();
  const AppendStatus status = appender_.append(RecordType::kJson, buffer_);
  SubsystemStats& stats = stats_.find(subsystem)->second;
  if (status != AppendStatus::kOk) {
    ++stats.failed_events;
    return status;
  }
  stats.count(entry.action, ts);
  return status;
}

SubsystemStatsMap SubsystemRegistry::get_subsystem_stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

std::string to_json(const SubsystemStatsMap& all) {
  std::string text;
  JsonText json(text);
  json.begin_object();
  for (const auto& [name, stats] : all) {
    json.key(name).begin_object().key("event_counts").begin_object();
    for (const auto& [action, count] : stats.event_counts) json.field(action, count);
    json.end_object().field("total_events", stats.total_events).key("last_logged");
    if (stats.last_logged_ns == 0) {
      json.raw("null");
    } else {
      json.value(rfc3339_seconds(stats.last_logged_ns));
    }
    json.end_object();
  }
  json.end_object();
  return text;
}

}  // namespace grace::ledger
