#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/finding.h"

namespace grace::limit {

// A time in which matching triggers are recorded but do not act: a silence that a person set, or a
// maintenance window from the configuration. Matchers are compared whole; an empty one matches
// everything, but one without any matcher needs `everything` (a slip must not silence all).
struct Silence {
  std::string silence_id;  // derives from content when left empty
  std::string service;
  std::string domain;
  std::string diagnosis_code;
  std::optional<core::Source> source;
  bool everything = false;
  std::int64_t start_ts_ns = 0;  // event time, inclusive
  std::int64_t end_ts_ns = 0;    // exclusive
  std::string created_by;
  std::string reason;
};

// What a source may do.
struct SourceLimits {
  bool enabled = true;
  // Calibrated confidence below which a trigger is only evidence for others. [0, 1].
  double min_confidence = 0.75;
  // Emitted triggers in any 60 minutes of event time. 0: none. At most kPerHourMax.
  std::uint32_t per_hour_max = 20;
};
inline constexpr std::uint32_t kPerHourMax = 100'000;

// The gates of the trigger manager. config_names() lists the document's names for the fields, which
// the environment and the TOML table [triggers] use alike.
struct LimitConfig {
  // --- behaviour ---
  bool intelligent_triggers_enabled = true;  // INTELLIGENT_TRIGGERS_ENABLED
  SourceLimits meta_loop{true, 0.85, 10};    // META_LOOP_..., MAX_META_LOOP_...
  SourceLimits ml{true, 0.70, 20};           // ML_..., MAX_ML_...
  SourceLimits agentic{true, 0.75, 15};      // AGENTIC_..., MAX_AGENTIC_...
  SourceLimits log_pattern{true, 0.80, 25};  // LOG_PATTERN_..., MAX_LOG_...
  std::vector<Silence> maintenance_windows;  // [[maintenance]] tables
  // --- cost ---
  std::uint32_t silences_max = 1024;  // set by people and not yet over; further ones are refused

  [[nodiscard]] const SourceLimits& of(core::Source source) const noexcept;
};

// The configuration itself when every field is within what is documented above; else an error that
// names the field and its value.
[[nodiscard]] core::Result<LimitConfig> validated(LimitConfig config);

// The document's configuration names, for loaders and `--help`. `name` is both the environment
// variable and the key in the TOML table [triggers].
struct ConfigName {
  enum class Kind : std::uint8_t { kFlag, kConfidence, kPerHour };
  std::string_view name;
  Kind kind = Kind::kFlag;
};
[[nodiscard]] std::span<const ConfigName> config_names() noexcept;

// Sets the field that `name` means. False: not a name of this table. Flags read true, false, 1, 0,
// yes, no, on, off in any case (Python's True too); anything else is an error with name and value.
[[nodiscard]] core::Result<bool> apply_environment_name(LimitConfig& config, std::string_view name,
                                                        std::string_view value);

}  // namespace grace::limit
