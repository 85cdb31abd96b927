#include "scenario_generator.h"

#include <algorithm>
#include <ostream>
#include <string>

#include "grace/core/time.h"
#include "line_builder.h"
#include "random.h"

namespace grace::tools {
namespace {

using core::kNsPerHour;
using core::kNsPerMinute;
using core::kNsPerSecond;

// A clock on the day of the recording, and the writers of its lines.
class Recording {
 public:
  Recording(const GeneratorOptions& options, std::ostream& out)
      : random(options.seed), day_ns_(options.start_ns), out_(out) {}

  [[nodiscard]] std::int64_t at(int hour, int minute, int second = 0) const {
    return day_ns_ + hour * kNsPerHour + minute * kNsPerMinute + second * kNsPerSecond;
  }
  void topology(std::int64_t ts, std::string_view service, std::string_view domain,
                std::string_view depends_on_json, int replicas, std::string_view criticality) {
    line_.begin(ts)
        .field("kind", "control")
        .field("control", "topology")
        .field("service", service)
        .field("domain", domain)
        .raw("depends_on", depends_on_json)
        .raw("replicas", std::to_string(replicas))
        .field("criticality", criticality);
    out_ << line_.end();
  }
  void metric(std::int64_t ts, std::string_view service, std::string_view domain,
              std::string_view name, double value) {
    line_.begin(ts)
        .field("kind", "metric")
        .field("service", service)
        .field("domain", domain)
        .field("metric", name)
        .field("value", value);
    out_ << line_.end();
  }
  void action(std::int64_t ts, std::string_view actor, std::string_view action,
              std::string_view resource, std::string_view domain, bool success, double duration_ms,
              std::string_view payload) {
    line_.begin(ts)
        .field("kind", "action")
        .field("actor", actor)
        .field("action", action)
        .field("resource", resource)
        .field("subsystem", actor)
        .field("domain", domain)
        .field("result", success ? "success" : "error")
        .field("duration_ms", duration_ms)
        .raw("payload", payload);
    out_ << line_.end();
  }
  void deploy(std::int64_t ts, std::string_view service, std::string_view version) {
    line_.begin(ts)
        .field("kind", "control")
        .field("control", "deploy")
        .field("service", service)
        .field("version", version);
    out_ << line_.end();
  }
  void approve(std::int64_t ts, std::string_view service, std::string_view playbook,
               std::string_view actor, std::string_view reason) {
    line_.begin(ts)
        .field("kind", "control")
        .field("control", "approve")
        .field("service", service)
        .field("playbook", playbook)
        .field("actor", actor)
        .field("reason", reason);
    out_ << line_.end();
  }

  Random random;

 private:
  std::int64_t day_ns_;
  std::ostream& out_;
  LineBuilder line_;
};

double minutes(std::int64_t ns) {
  return static_cast<double>(ns) / kNsPerMinute;
}

}  // namespace

std::vector<GroundTruth> write_scenario_1(const GeneratorOptions& options, std::ostream& out) {
  Recording recording(options, out);
  const std::int64_t begin = recording.at(10, 0);
  const std::int64_t climb = recording.at(13, 51);
  const std::int64_t scaled = recording.at(14, 1, 30);
  const std::int64_t end = recording.at(14, 40);
  recording.topology(begin, "database", "data", "[]", 2, "high");
  recording.topology(begin, "api_service", "core", R"(["database"])", 4, "medium");
  recording.topology(begin, "web_frontend", "edge", R"(["api_service"])", 6, "medium");
  for (std::int64_t ts = begin; ts < end; ts += 15 * kNsPerSecond) {
    double latency = 120.0;
    double requests = 400.0;
    if (ts >= climb && ts < scaled) {
      latency *= 1.0 + 0.045 * minutes(ts - climb);  // 45% in ten minutes
      requests *= 1.0 + 0.02 * minutes(ts - climb);
    } else if (ts >= scaled) {
      requests *= 1.24;  // the load stays, more instances carry it
      const double since = minutes(ts - scaled);
      latency += since < 0.5 ? 100.0 * (0.5 - since) : 0.0;
    }
    Random& random = recording.random;
    recording.metric(ts, "api_service", "core", "latency_ms", latency + 4.0 * random.normal());
    recording.metric(ts, "api_service", "core", "requests_rps", requests + 8.0 * random.normal());
    recording.metric(ts + kNsPerSecond, "database", "data", "latency_ms",
                     9.0 + 0.4 * random.normal());
    recording.action(ts + 2 * kNsPerSecond, "web_frontend", "render_page", "web_frontend", "edge",
                     true, 35.0 + 3.0 * random.uniform(), R"({"code":200})");
  }
  return {{"latency_ramp", "api_service", climb, scaled}};
}

// A flag switched on at 09:12 makes token checks expensive: from 09:13 the service is slow and
// busy, from 09:15:15 it fails. Latency and load are what the spine sees, the audit trail is what
// the log analyzer sees: two sources on different events.
std::vector<GroundTruth> write_scenario_2(const GeneratorOptions& options, std::ostream& out) {
  Recording recording(options, out);
  const std::int64_t begin = recording.at(7, 0);
  const std::int64_t slow = recording.at(9, 13);
  const std::int64_t failing = recording.at(9, 15, 15);
  const std::int64_t burst_end = failing + 35 * kNsPerSecond;
  const std::int64_t approved = recording.at(9, 18);
  const std::int64_t disabled = recording.at(9, 20);
  const std::int64_t end = recording.at(9, 40);
  recording.topology(begin, "user_store", "data", "[]", 3, "high");
  recording.topology(begin, "auth_service", "auth", R"(["user_store"])", 3, "high");
  recording.topology(begin, "api_gateway", "edge", R"(["auth_service"])", 4, "high");
  recording.topology(begin, "user_portal", "edge", R"(["api_gateway","auth_service"])", 2,
                     "medium");
  recording.topology(begin, "mobile_backend", "edge", R"(["auth_service"])", 2, "medium");
  std::uint32_t step = 0;
  for (std::int64_t ts = begin; ts < end; ts += 5 * kNsPerSecond, ++step) {
    if (ts == recording.at(9, 12)) {
      recording.deploy(ts, "auth_service", "flag:new_token_format=on");
    }
    if (ts == approved) {
      recording.approve(ts, "auth_service", "rollback_flag", "alice",
                        "the new token format breaks old clients");
    }
    // Seven errors in half a minute, then one in four validations until the flag is off again.
    const bool error =
        (ts >= failing && ts < burst_end) || (ts >= burst_end && ts < disabled && step % 4 == 0);
    const bool strained = ts >= slow && ts < disabled;
    Random& random = recording.random;
    recording.action(ts, "auth", "auth_validate", "auth_service", "auth", !error,
                     error ? 3.0 : 12.0 + 2.0 * random.uniform(),
                     error ? R"({"code":401})" : R"({"code":200})");
    recording.action(ts + kNsPerSecond, "gateway", "route_request", "api_gateway", "edge", true,
                     20.0 + 4.0 * random.uniform(), R"({"code":200})");
    if (step % 3 == 0) {
      const double strain = strained ? 1.0 : 0.0;
      recording.metric(ts + 2 * kNsPerSecond, "auth_service", "auth", "latency_ms",
                       13.0 + 2.0 * strain + 0.5 * random.normal());
      recording.metric(ts + 2 * kNsPerSecond, "auth_service", "auth", "cpu_usage_percent",
                       35.0 + 6.0 * strain + 1.5 * random.normal());
      recording.metric(ts + 2 * kNsPerSecond, "auth_service", "auth", "memory_usage_percent",
                       42.0 + 3.0 * strain + 0.8 * random.normal());
    }
  }
  return {{"error_burst", "auth_service", slow, disabled}};
}

std::vector<GroundTruth> write_scenario_3(const GeneratorOptions& options, std::ostream& out) {
  Recording recording(options, out);
  const std::int64_t begin = recording.at(8, 0);
  const std::int64_t rise = recording.at(10, 52);
  const std::int64_t scaled = recording.at(11, 2);
  const std::int64_t end = recording.at(11, 40);
  recording.topology(begin, "object_store", "data", "[]", 3, "high");
  recording.topology(begin, "api_cluster", "core", R"(["object_store"])", 5, "medium");
  recording.topology(begin, "public_site", "edge", R"(["api_cluster"])", 4, "medium");
  for (std::int64_t ts = begin; ts < end; ts += 15 * kNsPerSecond) {
    // 58 requests a second more every minute, up to 1450.
    const double demand = std::min(1450.0, 380.0 + 58.0 * minutes(std::max(ts, rise) - rise));
    Random& random = recording.random;
    recording.metric(ts, "api_cluster", "core", "requests_rps", demand + 6.0 * random.normal());
    recording.metric(ts, "api_cluster", "core", "capacity_rps", ts < scaled ? 1000.0 : 1600.0);
    recording.metric(ts, "api_cluster", "core", "latency_ms", 80.0 + 2.0 * random.normal());
    recording.metric(ts + kNsPerSecond, "object_store", "data", "latency_ms",
                     6.0 + 0.3 * random.normal());
  }
  return {{"capacity_shortfall", "api_cluster", rise, scaled}};
}

}  // namespace grace::tools
