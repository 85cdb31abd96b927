#include "grace/harness/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

namespace grace::harness {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array kRateUnits{Unit{"", 1.0}, Unit{"k", 1e3}, Unit{"M", 1e6}, Unit{"G", 1e9}};
constexpr std::array kSpanUnits{Unit{"ns", 1.0}, Unit{"us", 1e3}, Unit{"ms", 1e6},
                                Unit{"s", 1e9},  Unit{"m", 6e10}, Unit{"h", 3.6e12}};
// A rate over this, or a span over a day, is a slip.
constexpr double kRateMax = 1e9;
constexpr double kSpanNsMax = 86'400e9;

tl::unexpected<core::Error> refused(std::string_view text, std::string_view rule) {
  return core::make_error(core::ErrorCode::kInvalidArgument,
                          "'" + std::string(text) + "' is not " + std::string(rule));
}

// Digits with at most one point; from_chars alone would take "inf" and "1e3" as well.
std::optional<double> number_before_unit(std::string_view text, std::string_view& unit) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0.0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + end, number);
  if (error != std::errc() || stop != text.data() + end) return std::nullopt;
  unit = text.substr(end);
  return number;
}

template <std::size_t kCount>
std::optional<double> parse(std::string_view text, const std::array<Unit, kCount>& units) {
  std::string_view name;
  const auto number = number_before_unit(text, name);
  if (!number) return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name == name) return *number * unit.factor;
  }
  return std::nullopt;
}

std::string three_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", value < 10 ? 2 : (value < 100 ? 1 : 0), value);
  return text;
}

}  // namespace

core::Result<double> parse_rate(std::string_view text) {
  const auto rate = parse(text, kRateUnits);
  if (!rate || !(*rate > 0.0) || *rate > kRateMax) {
    return refused(text, "a rate above 0 and at most 1G, such as 250, 250k or 3M");
  }
  return *rate;
}

core::Result<double> parse_share(std::string_view text) {
  std::string_view unit;
  const auto number = number_before_unit(text, unit);
  if (!number || unit != "%" || *number >= 100.0) {
    return refused(text, "a share of 0% or more and below 100%, such as 30%");
  }
  return *number / 100.0;
}

core::Result<std::int64_t> parse_span_ns(std::string_view text) {
  const auto span = parse(text, kSpanUnits);
  if (!span || !(*span >= 1.0) || *span > kSpanNsMax) {
    return refused(text, "a time of 1ns to 24h with its unit, such as 200us, 5ms or 2s");
  }
  return std::int64_t(std::llround(*span));
}

core::Result<Objective> parse_objective(std::string_view text) {
  const std::string_view rule = "an objective such as p99.9=5ms";
  const std::size_t equals = text.find('=');
  if (text.empty() || text.front() != 'p' || equals == std::string_view::npos) {
    return refused(text, rule);
  }
  std::string_view rest;
  const auto percent = number_before_unit(text.substr(1, equals - 1), rest);
  if (!percent || !rest.empty() || !(*percent > 0.0) || *percent >= 100.0) {
    return refused(text, std::string(rule) + ": its percentile is above 0 and below 100");
  }
  const auto limit_ns = parse_span_ns(text.substr(equals + 1));
  if (!limit_ns) return refused(text, std::string(rule) + ": " + limit_ns.error().message);
  return Objective{*percent / 100.0, *limit_ns};
}

std::string format_rate(double rate) {
  for (auto unit = kRateUnits.rbegin(); unit != kRateUnits.rend(); ++unit) {
    if (rate >= unit->factor) return three_digits(rate / unit->factor) + std::string(unit->name);
  }
  return three_digits(rate);
}

std::string format_span(double span_ns) {
  std::size_t unit = 0;
  while (unit + 3 < kSpanUnits.size() && span_ns >= kSpanUnits[unit + 1].factor) ++unit;
  return three_digits(span_ns / kSpanUnits[unit].factor) + " " + std::string(kSpanUnits[unit].name);
}

std::string format_objective(const Objective& objective) {
  char percent[32];
  std::snprintf(percent, sizeof percent, "%.6g", objective.share * 100.0);
  return "p" + std::string(percent) + " <= " + format_span(double(objective.limit_ns));
}

}  // namespace grace::harness
