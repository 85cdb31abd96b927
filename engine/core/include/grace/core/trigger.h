#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "grace/core/finding.h"

namespace grace::core {

// The unified IntelligentTrigger of the founding document: a finding after the trigger manager gave
// it an identity and a calibrated confidence. trigger_id derives from content (type, service,
// diagnosis, what, sequence), so a replay gives the same id.
struct Trigger {
  std::string trigger_id;
  Source source = Source::kImmutableLog;
  Finding finding;                    // finding.confidence is the detector's raw one
  double confidence = 0.0;            // calibrated; what gates and decisions use
  std::uint64_t fingerprint = 0;      // (source, service, diagnosis, what)
  std::uint64_t sequence = 0;         // of the event that caused it
  std::uint32_t rank = 0;             // order among the findings of that event
  std::int64_t created_ts_ns = 0;     // event time
  std::uint32_t duplicate_count = 0;  // later findings merged into this one
  std::string incident_id;
  bool weak = false;  // below its source's minimum: evidence only, never acts
};

enum class IncidentState : std::uint8_t { kOpen = 0, kHealed, kResolved };

// A source's part in an incident's confidence.
struct Contribution {
  Source source = Source::kImmutableLog;
  std::string trigger_id;
  double confidence = 0.0;
  double weight = 0.0;      // the source's reliability weight
  double log_odds = 0.0;    // what it adds to the pooled log-odds; contributions sum to the result
  bool independent = true;  // false: rests on the same events as another one, adds nothing
};

struct Incident {
  std::string incident_id;
  std::string service;                // where it is believed to have begun
  std::string diagnosis_code;         // of the strongest trigger
  std::vector<std::string> services;  // all that joined, sorted
  std::vector<std::string> trigger_ids;
  std::vector<Contribution> contributions;
  std::vector<std::string> suggested_playbooks;  // ranked, best first
  double confidence = 0.0;                       // fused
  Impact impact = Impact::kLow;
  IncidentState state = IncidentState::kOpen;
  bool proactive_only = false;  // all of its triggers come from forecasts
  std::string root_cause;       // service, by dependency direction and onset order
  std::int64_t opened_ts_ns = 0;
  std::int64_t updated_ts_ns = 0;  // last trigger joined
  std::int64_t resolved_ts_ns = 0;
  std::int64_t predicted_ts_ns = 0;  // earliest forecast time among its triggers, else 0
};

}  // namespace grace::core
