#include "threshold_move.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "grace/core/json_writer.h"

namespace grace::meta_loop {

std::string_view minimum_of(core::Source source) noexcept {
  static constexpr std::array<std::string_view, core::kSourceCount> kNames{
      "meta_loop.min_confidence", "ml.min_confidence", "agentic.min_confidence",
      "log_pattern.min_confidence"};
  return kNames[static_cast<std::size_t>(source)];
}

ThresholdMove plan_move(const core::LearnedState& learned, std::string_view name, bool up,
                        double step_share, std::int64_t now_ns) {
  ThresholdMove move{std::string(name), 0.0, 0.0};
  const core::Adjustable* const entry = learned.find(name);
  if (entry == nullptr) return move;
  move.from = move.to = entry->value;
  if (entry->ever_changed && now_ns - entry->changed_ts_ns < entry->period_ns) return move;
  const double step = std::min(entry->step_max, step_share * std::fabs(entry->value));
  const double wanted = entry->value + (up ? step : -step);
  move.to = std::clamp(std::round(wanted * 1e6) / 1e6, entry->min, entry->max);
  return move;
}

void describe_move(const ThresholdMove& move, core::Finding& finding) {
  const auto json_number = [](double value) {
    std::string json;
    core::JsonWriter(json).value(value);
    return json;
  };
  finding.metadata.emplace_back("parameter", core::json_quoted(move.parameter));
  finding.metadata.emplace_back("from", json_number(move.from));
  finding.metadata.emplace_back("to", json_number(move.to));
  finding.reasoning.push_back("Threshold adjustment needed: " + move.parameter + " from " +
                              number_text(move.from) + " to " + number_text(move.to));
}

std::string number_text(double value, int decimals) {
  char digits[64];
  const auto [end, error] =
      std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, decimals);
  if (error != std::errc()) return "a very large number";
  std::string text(digits, end);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

std::string percent_text(double share) {
  return number_text(100.0 * share, 0) + "%";
}

}  // namespace grace::meta_loop
