#include "grace/limit/limit_config.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace grace::limit {
namespace {

using core::ErrorCode;
using core::make_error;
using core::Result;

struct FieldName {
  ConfigName name;
  // Where the value goes; one of the three is set, as the kind says.
  bool& (*flag)(LimitConfig&) = nullptr;
  double& (*confidence)(LimitConfig&) = nullptr;
  std::uint32_t& (*per_hour)(LimitConfig&) = nullptr;
};

constexpr FieldName flag_name(std::string_view name, bool& (*field)(LimitConfig&)) {
  return {{name, ConfigName::Kind::kFlag}, field, nullptr, nullptr};
}
constexpr FieldName confidence_name(std::string_view name, double& (*field)(LimitConfig&)) {
  return {{name, ConfigName::Kind::kConfidence}, nullptr, field, nullptr};
}
constexpr FieldName per_hour_name(std::string_view name, std::uint32_t& (*field)(LimitConfig&)) {
  return {{name, ConfigName::Kind::kPerHour}, nullptr, nullptr, field};
}

// The document's names, in its order.
constexpr std::array kFields{
    flag_name("INTELLIGENT_TRIGGERS_ENABLED",
              [](LimitConfig& c) -> bool& { return c.intelligent_triggers_enabled; }),
    flag_name("META_LOOP_TRIGGERS_ENABLED",
              [](LimitConfig& c) -> bool& { return c.meta_loop.enabled; }),
    flag_name("ML_TRIGGERS_ENABLED", [](LimitConfig& c) -> bool& { return c.ml.enabled; }),
    flag_name("AGENTIC_TRIGGERS_ENABLED",
              [](LimitConfig& c) -> bool& { return c.agentic.enabled; }),
    flag_name("LOG_PATTERN_TRIGGERS_ENABLED",
              [](LimitConfig& c) -> bool& { return c.log_pattern.enabled; }),
    confidence_name("META_LOOP_MIN_CONFIDENCE",
                    [](LimitConfig& c) -> double& { return c.meta_loop.min_confidence; }),
    confidence_name("ML_MIN_CONFIDENCE",
                    [](LimitConfig& c) -> double& { return c.ml.min_confidence; }),
    confidence_name("AGENTIC_MIN_CONFIDENCE",
                    [](LimitConfig& c) -> double& { return c.agentic.min_confidence; }),
    confidence_name("LOG_PATTERN_MIN_CONFIDENCE",
                    [](LimitConfig& c) -> double& { return c.log_pattern.min_confidence; }),
    per_hour_name("MAX_META_LOOP_TRIGGERS_PER_HOUR",
                  [](LimitConfig& c) -> std::uint32_t& { return c.meta_loop.per_hour_max; }),
    per_hour_name("MAX_ML_TRIGGERS_PER_HOUR",
                  [](LimitConfig& c) -> std::uint32_t& { return c.ml.per_hour_max; }),
    per_hour_name("MAX_AGENTIC_TRIGGERS_PER_HOUR",
                  [](LimitConfig& c) -> std::uint32_t& { return c.agentic.per_hour_max; }),
    per_hour_name("MAX_LOG_TRIGGERS_PER_HOUR",
                  [](LimitConfig& c) -> std::uint32_t& { return c.log_pattern.per_hour_max; }),
};

constexpr auto kNames = [] {
  std::array<ConfigName, kFields.size()> names{};
  for (std::size_t i = 0; i < kFields.size(); ++i) names[i] = kFields[i].name;
  return names;
}();

bool parse_flag(std::string_view text, bool& flag) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto is_one_of = [&](std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), lower) != words.end();
  };
  const bool yes = is_one_of({"true", "1", "yes", "on"});
  if (!yes && !is_one_of({"false", "0", "no", "off"})) return false;
  flag = yes;
  return true;
}

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  Number parsed{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  number = parsed;
  return true;
}

bool is_confidence(double value) {
  return value >= 0.0 && value <= 1.0;
}  // false for NaN

tl::unexpected<core::Error> refused(std::string_view name, std::string_view value,
                                    std::string_view wanted) {
  return make_error(ErrorCode::kConfig, std::string(name) + " = '" + std::string(value) +
                                            "': must be " + std::string(wanted));
}

}  // namespace

const SourceLimits& LimitConfig::of(core::Source source) const noexcept {
  switch (source) {
    case core::Source::kMetaLoop:
      return meta_loop;
    case core::Source::kProactiveMl:
      return ml;
    case core::Source::kAgenticSpine:
      return agentic;
    case core::Source::kImmutableLog:
      break;
  }
  return log_pattern;
}

std::span<const ConfigName> config_names() noexcept {
  return kNames;
}

Result<bool> apply_environment_name(LimitConfig& config, std::string_view name,
                                    std::string_view value) {
  const auto field = std::find_if(kFields.begin(), kFields.end(),
                                  [&](const FieldName& row) { return row.name.name == name; });
  if (field == kFields.end()) return false;
  switch (field->name.kind) {
    case ConfigName::Kind::kFlag:
      if (!parse_flag(value, field->flag(config))) return refused(name, value, "true or false");
      break;
    case ConfigName::Kind::kConfidence: {
      double parsed = 0.0;
      if (!parse_number(value, parsed) || !is_confidence(parsed)) {
        return refused(name, value, "a number from 0 to 1");
      }
      field->confidence(config) = parsed;
      break;
    }
    case ConfigName::Kind::kPerHour: {
      std::uint32_t parsed = 0;
      if (!parse_number(value, parsed) || parsed > kPerHourMax) {
        return refused(name, value, "a whole number from 0 to " + std::to_string(kPerHourMax));
      }
      field->per_hour(config) = parsed;
      break;
    }
  }
  return true;
}

Result<LimitConfig> validated(LimitConfig config) {
  for (const FieldName& field : kFields) {
    if (field.confidence != nullptr && !is_confidence(field.confidence(config))) {
      return refused(field.name.name, std::to_string(field.confidence(config)),
                     "a number from 0 to 1");
    }
    if (field.per_hour != nullptr && field.per_hour(config) > kPerHourMax) {
      return refused(field.name.name, std::to_string(field.per_hour(config)),
                     "a whole number from 0 to " + std::to_string(kPerHourMax));
    }
  }
  for (const Silence& window : config.maintenance_windows) {
    if (window.end_ts_ns <= window.start_ts_ns) {
      return make_error(ErrorCode::kConfig, "maintenance window '" + window.silence_id +
                                                "': its end is not after its start");
    }
  }
  return config;
}

}  // namespace grace::limit
