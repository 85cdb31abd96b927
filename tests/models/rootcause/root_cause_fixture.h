#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "grace/core/time.h"
#include "grace/models/root_cause.h"

namespace grace::models {

struct Line {
  std::int64_t ts_ns = 0;
  std::string service, metric;
  double value = 0.0;
};

// A system with a past of 120 minutes, a sample a minute, in which services may go wrong in the
// last five.
class RecordedSystem {
 public:
  static constexpr std::int64_t kAt = 20'000'000 * core::kNsPerMinute;
  static constexpr int kMinutes = 120;

  RecordedSystem& calls(const std::string& caller, const std::string& callee) {
    edges.emplace_back(caller, callee);
    return *this;
  }
  // Requests, latency and availability of a service; `slower_ms` from `since` minutes before the
  // moment on, and `failing` per cent of its requests.
  RecordedSystem& service(const std::string& name, double slower_ms = 0.0, double failing = 0.0,
                          int since = 3) {
    for (int minute = 0; minute < kMinutes; ++minute) {
      const int before = kMinutes - 1 - minute;
      const double wobble = static_cast<double>((minute * 37 + static_cast<int>(name.size())) % 11);
      const bool bad = before < since;
      add(before, name, "requests_sum", 1000.0 + wobble);
      add(before, name, "latency_average", 20.0 + 0.2 * wobble + (bad ? slower_ms : 0.0));
      add(before, name, "availability_average", 100.0 - (bad ? failing : 0.0));
    }
    return *this;
  }
  // One log line a minute; from `since` minutes before on as often as `now`.
  RecordedSystem& log(const std::string& name, const std::string& line, double usual, double now,
                      int since = 4) {
    for (int minute = 0; minute < kMinutes; ++minute) {
      const int before = kMinutes - 1 - minute;
      add(before, name, "log:" + line, before < since ? now : usual);
    }
    return *this;
  }
  void add(int minutes_before, const std::string& name, const std::string& metric, double value) {
    lines.push_back({kAt - minutes_before * core::kNsPerMinute, name, metric, value});
  }
  [[nodiscard]] RootCauseModel model(RootCauseConfig config = {}) const {
    RootCauseModel model(config);
    for (const auto& [caller, callee] : edges) model.add_edge(caller, callee);
    for (const Line& line : lines) model.observe(line.ts_ns, line.service, line.metric, line.value);
    return model;
  }
  [[nodiscard]] RootCauseRanking rank(const std::optional<Symptom>& symptom = {}) const {
    return model().rank(kAt, symptom).value();
  }

  std::vector<std::pair<std::string, std::string>> edges;
  std::vector<Line> lines;
};

inline void expect_same(const RootCauseRanking& a, const RootCauseRanking& b) {
  EXPECT_EQ(a.none, b.none);
  ASSERT_EQ(a.services.size(), b.services.size());
  for (std::size_t i = 0; i < a.services.size(); ++i) {
    EXPECT_EQ(a.services[i].service, b.services[i].service);
    EXPECT_EQ(a.services[i].probability, b.services[i].probability);
    EXPECT_EQ(a.services[i].onset_ns, b.services[i].onset_ns);
  }
}

}  // namespace grace::models
