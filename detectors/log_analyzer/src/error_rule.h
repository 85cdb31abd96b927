#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "action.h"
#include "grace/core/finding.h"
#include "grace/log_analyzer/log_analyzer.h"

namespace grace::log_analyzer {

inline constexpr std::size_t kWindowBuckets = 10;
inline constexpr std::size_t kErrorsRemembered = core::kEvidenceMax;

// Actions and errors of one pattern: the sliding window in ten buckets (the current one and the
// nine before), and what came before the window as sufficient statistics. The window is no part of
// its own baseline.
struct PatternWindow {
  std::int64_t bucket_end_ns = 0;  // 0: no event yet
  std::uint32_t actions = 0;       // of the current bucket
  std::uint32_t errors = 0;
  struct Bucket {
    std::uint32_t actions = 0;
    std::uint32_t errors = 0;
  };
  std::array<Bucket, kWindowBuckets - 1> past{};
  std::uint8_t head = 0;
  std::uint8_t filled = 0;
  double base_actions = 0.0;
  double base_errors = 0.0;
  double base_windows = 0.0;  // exposure, in windows

  // Moves on to the bucket that holds ts_ns.
  void roll(std::int64_t ts_ns, std::int64_t bucket_ns) noexcept;
  [[nodiscard]] std::uint64_t window_actions() const noexcept;
  [[nodiscard]] std::uint64_t window_errors() const noexcept;

 private:
  void to_base(const Bucket& bucket) noexcept;
};

// The errors of one pattern; exists only for patterns that erred.
struct ErrorState {
  struct Seen {
    std::int64_t ts_ns = 0;
    std::uint64_t sequence = 0;
    std::uint32_t ordinal = 0;  // which action of the pattern it was
  };
  std::array<Seen, kErrorsRemembered> ring{};
  std::uint64_t seen_count = 0;
  std::int64_t newest_ts_ns = 0;
  std::int64_t reached_ts_ns = 0;  // when the threshold was reached; pending only
  std::uint64_t judged_count = 0;  // errors in the window when last judged; 0: not in this episode
  bool pending = false;

  void add(const Seen& seen) noexcept;
  // i = 0: the newest.
  [[nodiscard]] const Seen& newest(std::size_t i) const noexcept {
    return ring[static_cast<std::size_t>((seen_count - 1 - i) % kErrorsRemembered)];
  }
  [[nodiscard]] std::size_t remembered() const noexcept {
    return seen_count < kErrorsRemembered ? static_cast<std::size_t>(seen_count)
                                          : kErrorsRemembered;
  }
};

// "The same error again and again": when to look, and what it is worth. Stateless.
class ErrorRule {
 public:
  explicit ErrorRule(const LogAnalyzerConfig& config);
  // Takes a further error in. True when the pattern has just become pending.
  [[nodiscard]] bool on_error(ErrorState& state, const PatternWindow& window,
                              const ErrorState::Seen& seen) const;
  // True when a pending burst is complete as of now.
  [[nodiscard]] bool settled(const ErrorState& state, const PatternWindow& window,
                             std::int64_t now_ns) const;
  // Ends pending. The finding, if the burst is above the floor. `actions_total`: of the pattern.
  [[nodiscard]] std::optional<core::Finding> judge(ErrorState& state, const PatternWindow& window,
                                                   const ActionNames& names,
                                                   std::uint32_t actions_total,
                                                   std::int64_t now_ns) const;
  [[nodiscard]] std::int64_t bucket_ns() const noexcept { return bucket_ns_; }

 private:
  [[nodiscard]] std::uint64_t count_in_window(const ErrorState& state,
                                              const PatternWindow& window) const noexcept;
  [[nodiscard]] double log_odds(const PatternWindow& window, double errors, double actions) const;

  std::int64_t bucket_ns_;  // first: each action needs it
  std::int64_t window_ns_, settle_ns_, settle_max_ns_, quiet_ns_;
  std::uint64_t count_min_, storm_count_;
  double growth_factor_, prior_actions_, prior_windows_;
};

// Words that say that a service or action is one others cannot do without.
[[nodiscard]] bool names_critical(const ActionNames& names) noexcept;

}  // namespace grace::log_analyzer
