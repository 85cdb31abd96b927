#include "grace/models/metric_kind.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace grace::models {
namespace {

TEST(MetricKind, IsReadFromTheName) {
  const std::vector<std::pair<std::string, MetricKind>> cases{
      {"latency_p99", MetricKind::kLatency},
      {"http_request_duration_seconds", MetricKind::kLatency},
      {"ResponseTime", MetricKind::kLatency},
      {"trace_selftime_mean_ms", MetricKind::kSelfTime},
      {"availability_average", MetricKind::kAvailability},
      {"SuccessRate", MetricKind::kAvailability},
      {"error_rate", MetricKind::kAvailability},
      {"errors_total", MetricKind::kErrors},
      {"log_errors_per_trace", MetricKind::kErrors},
      {"exceptions", MetricKind::kErrors},
      {"log:o.c.OrderController#39", MetricKind::kTemplate},
      {"log:ErrorHandler#7", MetricKind::kTemplate},
      {"requests_sum", MetricKind::kTraffic},
      {"trace_spans_per_trace", MetricKind::kTraffic},
      {"cpu_usage", MetricKind::kCpu},
      {"MemoryUsageRate", MetricKind::kResource},
      {"queue_depth", MetricKind::kResource},
      {"NodeCpuUsageRate", MetricKind::kContext},
      {"PodClientLatencyP99", MetricKind::kContext},
      {"temperature", MetricKind::kOther},
      {"", MetricKind::kOther},
  };
  for (const auto& [name, kind] : cases) EXPECT_EQ(metric_kind(name), kind) << name;
}

TEST(MetricKind, OperationsMayBeCalledAnything) {
  for (const std::string operation : {"GET /nodes", "log: cpu latency", "client", ""}) {
    EXPECT_EQ(metric_kind(std::string(kSpanSelfTime) + operation), MetricKind::kSelfTime);
    EXPECT_EQ(metric_kind(std::string(kSpanErrors) + operation), MetricKind::kErrors);
    EXPECT_EQ(metric_kind(std::string(kSpanCalls) + operation), MetricKind::kCalls);
  }
}

TEST(MetricKind, KnowsWhichMovementIsBad) {
  const auto bad = [](const char* name) { return bad_direction(metric_kind(name), name); };
  EXPECT_EQ(bad("latency_p99"), BadDirection::kUp);
  EXPECT_EQ(bad("availability"), BadDirection::kDown);
  EXPECT_EQ(bad("success_rate"), BadDirection::kDown);
  EXPECT_EQ(bad("error_rate"), BadDirection::kUp);
  EXPECT_EQ(bad("requests"), BadDirection::kBoth);
  EXPECT_EQ(bad("log:a#1"), BadDirection::kBoth);
}

TEST(MetricKind, AnAlarmOfErrorsSpeaksOfAvailability) {
  EXPECT_TRUE(same_trouble(MetricKind::kErrors, MetricKind::kAvailability));
  EXPECT_TRUE(same_trouble(MetricKind::kLatency, MetricKind::kSelfTime));
  EXPECT_FALSE(same_trouble(MetricKind::kLatency, MetricKind::kErrors));
  EXPECT_TRUE(names_mean("latency_average") && names_mean("AVG_time") && names_mean("x_mean_ms"));
  EXPECT_FALSE(names_mean("latency_p99"));
}

TEST(MetricKind, KnowsNamesOfOrderStatistics) {
  for (const char* name :
       {"latency_p99", "P50_ms", "max_latency", "latency.min", "median_ms", "latency_quantile"}) {
    EXPECT_TRUE(names_quantile(name)) << name;
  }
  for (const char* name : {"latency_ms", "admin_latency", "http2_latency", "climax_ms", "p9", ""}) {
    EXPECT_FALSE(names_quantile(name)) << name;
  }
}

}  // namespace
}  // namespace grace::models
