#include "text.h"

#include <cmath>
#include <cstdio>

#include "grace/core/json_writer.h"

namespace grace::proactive {
namespace {

std::string printed(const char* format, double value) {
  char text[64];
  const int size = std::snprintf(text, sizeof text, format, value);
  if (size < 0) return {};
  return {text, static_cast<std::size_t>(size) < sizeof text ? static_cast<std::size_t>(size)
                                                             : sizeof text - 1};
}

}  // namespace

std::string number_text(double value) {
  const double size = std::fabs(value);
  if (size >= 1e15) return printed("%.3g", value);
  if (size >= 100 || value == std::floor(value)) return printed("%.0f", value);
  if (size >= 10) return printed("%.1f", value);
  return printed("%.3g", value);
}

std::string percent_text(double fraction) {
  return printed("%.1f%%", 100.0 * fraction);
}

std::string_view suffix_of(std::string_view metric) {
  const std::size_t at = metric.find_last_of("_.-");
  return at == std::string_view::npos ? std::string_view{} : metric.substr(at + 1);
}

std::string_view unit_of(std::string_view metric) {
  const std::string_view suffix = suffix_of(metric);
  if (suffix == "rps" || suffix == "qps") return "req/s";
  if (suffix == "percent" || suffix == "pct") return "%";
  if (suffix == "seconds" || suffix == "s") return "s";
  for (const std::string_view unit : {"ms", "us", "ns", "bytes", "mb", "gb", "mbps"}) {
    if (suffix == unit) return unit;
  }
  return {};
}

std::string quantity_text(double value, std::string_view metric) {
  const std::string_view unit = unit_of(metric);
  std::string text = number_text(value);
  if (unit.empty()) return text;
  if (unit != "%") text += ' ';
  return text.append(unit);
}

std::string subject_of(core::MetricRole role, std::string_view metric) {
  switch (role) {
    case core::MetricRole::kLatency:
      return "Latency";
    case core::MetricRole::kErrors:
      return "Error";
    case core::MetricRole::kSaturation:
      return "Saturation";
    case core::MetricRole::kDemand:
      return "Demand";
    case core::MetricRole::kCapacity:
      return "Capacity";
    case core::MetricRole::kHealth:
      return "Health";
    case core::MetricRole::kOther:
      break;
  }
  return std::string(metric);
}

bool is_percent(std::string_view metric) {
  return unit_of(metric) == "%";
}

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  std::string out;
  core::JsonWriter(out).value(std::strtod(printed("%.6g", value).c_str(), nullptr));
  return out;
}

}  // namespace grace::proactive
