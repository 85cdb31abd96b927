#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace grace::correlate {

// How probable a service is as the cause of an incident.
struct Suspect {
  std::string service;
  double probability = 0.0;
  std::string metric;            // where it shows most; empty: nothing about it is odd
  std::int64_t onset_ts_ns = 0;  // first odd sample of that metric; 0: none
};
inline constexpr std::size_t kSuspectsMax = 5;

// What the metrics and logs of the alarmed services, and of all they depend on, say about where an
// incident began. Services outside of the incident are ranked too. The suspects, the others and
// none sum to one.
struct CauseRanking {
  std::vector<Suspect> suspects{};  // most probable first, at most kSuspectsMax
  double others = 0.0;              // probability that it is one of the services left out here
  double none = 1.0;                // probability that it is none of the services
  bool decides = false;             // it named the root cause; else dependents and onset order did
};

}  // namespace grace::correlate
