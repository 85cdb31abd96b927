#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/finding.h"
#include "grace/core/learned_state.h"
#include "grace/limit/limit_config.h"

namespace grace::limit {

// Names of the adjustable minimums in LearnedState: "meta_loop.min_confidence",
// "ml.min_confidence", "agentic.min_confidence", "log_pattern.min_confidence".
[[nodiscard]] std::string_view min_confidence_name(core::Source source) noexcept;

// Declares the four minimums as adjustables, each movable by at most 0.15 around its configured
// value (within [0.5, 0.98]), in steps of at most 0.02, once in six hours of event time.
void declare_adjustables(const LimitConfig& config, core::LearnedState& learned);

// An exact sliding hour: remembers the times of the last `bound` passes, so its memory is the limit
// itself. A pass is allowed when the bound-th last one is an hour old or older. Times that go
// backwards (a late event) count as the newest time seen.
class HourlyWindow {
 public:
  explicit HourlyWindow(std::uint32_t per_hour_max);
  [[nodiscard]] bool allows(std::int64_t now_ns) const;
  void count(std::int64_t now_ns);  // only after allows() said so
  [[nodiscard]] std::uint32_t used(std::int64_t now_ns) const;

 private:
  std::uint32_t per_hour_max_;
  std::uint32_t next_ = 0;  // ring: the oldest kept time once `times_` is full
  std::int64_t newest_ns_ = 0;
  std::vector<std::int64_t> times_;  // at most per_hour_max_ of them
};

// What silences are matched against.
struct SilenceSubject {
  core::Source source = core::Source::kImmutableLog;
  std::string_view service;
  std::string_view domain;
  std::string_view diagnosis_code;
};

// Enabled flags, minimum confidences, silences and hourly limits: the gates that need no knowledge
// of incidents. Each check is free of side effects; count_hourly() alone takes from the hour.
//
// Thread: the ordered stage's. Bounds: LimitConfig; a silence past silences_max is refused.
class Gates {
 public:
  // `config` must have passed validated(); `learned` must outlive the gates.
  Gates(LimitConfig config, const core::LearnedState& learned);

  [[nodiscard]] bool check_enabled(core::Source source) const noexcept;
  // The configured minimum, or where the meta loop has moved it.
  [[nodiscard]] double min_confidence(core::Source source) const;
  [[nodiscard]] bool check_min_confidence(core::Source source, double confidence) const;
  // The silence or maintenance window that stops this trigger now; null when none does.
  [[nodiscard]] const Silence* find_silence(const SilenceSubject& subject,
                                            std::int64_t now_ns) const;
  [[nodiscard]] bool check_hourly(core::Source source, std::int64_t now_ns) const;
  void count_hourly(core::Source source, std::int64_t now_ns);
  [[nodiscard]] std::uint32_t hourly_used(core::Source source, std::int64_t now_ns) const;

  // Adds a silence and gives its id. Errors: kInvalidArgument (no matcher, end not after
  // start), kFull (silences_max). The same silence again keeps its id and replaces.
  [[nodiscard]] core::Result<std::string> add_silence(Silence silence);
  // Ends it at `now_ns`; kNotFound when there is no such silence that has not ended.
  [[nodiscard]] core::Result<void> expire_silence(std::string_view silence_id, std::int64_t now_ns);
  // Those not yet over, by start and id; maintenance windows are not among them.
  [[nodiscard]] std::vector<Silence> silences(std::int64_t now_ns) const;
  // Forgets silences that are over.
  void on_tick(std::int64_t now_ns);
  [[nodiscard]] std::uint64_t refused_silence_count() const noexcept { return refused_count_; }
  [[nodiscard]] const LimitConfig& config() const noexcept { return config_; }

 private:
  LimitConfig config_;
  const core::LearnedState& learned_;
  std::vector<HourlyWindow> hours_;  // one a source
  std::vector<Silence> silences_;    // sorted by start and id
  std::uint64_t refused_count_ = 0;
};

}  // namespace grace::limit
