#pragma once
#include <gtest/gtest.h>

#include <string>

#include "parse_fixture.h"

namespace grace::parse {

// One good line of each kind.
inline const std::string kMetric =
    R"({"ts":1736950000000000000,"kind":"metric","service":"api_service","domain":"core",)"
    R"("metric":"latency_ms","value":231.4,"labels":{"host":"n1"}})";
inline const std::string kAction =
    R"({"ts":"2025-01-15T14:30:00Z","kind":"action","actor":"auth","action":"auth_validate",)"
    R"("resource":"auth_service","subsystem":"auth","domain":"core","result":"error",)"
    R"("duration_ms":12.5,"payload":{"code":401}})";
inline const std::string kMesh =
    R"({"ts":"2025-01-15T14:30:00Z","event_type":"proactive.anomaly_forecast",)"
    R"("source":"anomaly_forecaster","actor":"ml","resource":"api_service","payload":)"
    R"({"diagnosis_code":"latency_spike","confidence":0.87,"impact":"high",)"
    R"("reasoning":["..."],"suggested_playbooks":["scale_up_instances"]}})";

// The event of a line that must be accepted.
inline ParsedEvent accept(const std::string& line, const Feed& feed = {}) {
  const Parsed parsed = parse_text(line + "\n", feed);
  EXPECT_TRUE(parsed.rejects.empty()) << line << " -> " << to_string(parsed.rejects.front().reason);
  if (parsed.events.size() != 1) return ParsedEvent(core::Event{});
  return parsed.events.front();
}

// Why a line was refused, or what came of it instead.
inline std::string reason_of(const std::string& line, const Feed& feed = {},
                             const ParseConfig& config = {}) {
  const Parsed parsed = parse_text(line + "\n", feed, config);
  if (parsed.rejects.size() != 1 || !parsed.events.empty()) {
    return std::to_string(parsed.events.size()) + " events, " +
           std::to_string(parsed.rejects.size()) + " rejects";
  }
  EXPECT_EQ(parsed.rejects.front().line, line);
  return std::string(to_string(parsed.rejects.front().reason));
}

}  // namespace grace::parse
