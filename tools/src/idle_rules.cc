#include "idle_rules.h"

#include <array>

namespace grace::tools {

std::string idle_rules(std::size_t count) {
  constexpr std::array<const char*, 6> kMetrics{"latency_ms",           "requests_rps",
                                                "error_rate",           "cpu_usage_percent",
                                                "memory_usage_percent", "queue_depth"};
  const std::size_t third = count / 3;
  std::string policies, windows, ranges;
  for (std::size_t i = 0; i < third; ++i) {
    const std::string service = "absent_" + std::to_string(i);
    ranges += "[[proactive.range]]\nservice = \"" + service + "\"\nmetric = \"" +
              kMetrics[i % kMetrics.size()] + "\"\nhigh = 1000.0\n";
    windows += "[[maintenance]]\nservice = \"" + service +
               "\"\nreason = \"works\"\nstart = \"2000-01-01T00:00:00Z\"\n"
               "end = \"2200-01-01T00:00:00Z\"\n";
  }
  for (std::size_t i = 0; i + 1 + 2 * third < count; ++i) {
    const std::string number = std::to_string(i);
    policies +=
        "{name=\"rule " + number + "\",service=\"*absent*_" + number + "\",decision=\"deny\"},";
  }
  policies += "{name=\"the last\",decision=\"allow\"}";
  std::string out = "mode = \"auto\"\npolicy = [" + policies + "]\n" + ranges + windows;
  out += "[schedule]\nexec_allowed = [\"/bin/echo\"]\n";
  for (const char* name :
       {"scale_up_instances", "warm_cache", "restart_service", "rollback_flag"}) {
    out += "[[playbook]]\nname = \"" + std::string(name) +
           "\"\nrisk = \"low\"\n[[playbook.step]]\nexec = [\"/bin/echo\"]\n"
           "[playbook.verify]\nhold = \"60s\"\nwithin = \"10m\"\n"
           "[[playbook.verify.check]]\nis = \"in_range\"\n";
  }
  return out;
}

}  // namespace grace::tools
