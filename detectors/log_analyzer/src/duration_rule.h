#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "action.h"
#include "grace/core/finding.h"
#include "grace/log_analyzer/log_analyzer.h"

namespace grace::log_analyzer {

inline constexpr std::size_t kTrendBinsMax = 24;
inline constexpr std::size_t kBinSamples = 8;

// The open bin of one pattern's durations: a sample of at most eight, chosen by hash, for its
// median.
struct DurationBin {
  std::int64_t end_ns = 0;
  std::uint32_t count = 0;
  std::array<float, kBinSamples> samples{};
};

// The bins before; exists only for patterns that have durations. Levels are natural logarithms: a
// slowdown is a factor.
struct DurationState {
  // The last bins, oldest first from `head`; what leaves them makes the baseline.
  std::array<float, kTrendBinsMax> levels{};
  std::uint32_t level_count = 0;
  std::uint32_t head = 0;
  double base_level = 0.0;
  double base_spread = 0.0;  // mean absolute deviation of the baseline's bins
  std::uint32_t base_bins = 0;
  bool reported = false;
  double reported_level = 0.0;
  std::uint64_t first_sequence = 0;  // of the open bin
  std::array<std::uint64_t, kTrendBinsMax> sequences{};
};

// "This action gets slower": robust level for each bin, and a trend over the last bins that chance
// does not explain. Stateless.
class DurationRule {
 public:
  explicit DurationRule(const LogAnalyzerConfig& config);
  // An event past the end of the open bin begins a new one; the closed one is judged. Then add().
  // Apart, because the hot path would pay for an empty finding each time.
  [[nodiscard]] static bool begins_bin(const DurationBin& bin, std::int64_t ts_ns) noexcept {
    return ts_ns >= bin.end_ns;
  }
  [[nodiscard]] std::optional<core::Finding> begin_bin(DurationBin& bin, DurationState& state,
                                                       std::int64_t ts_ns, std::uint64_t sequence,
                                                       const ActionNames& names) const;
  static void add(DurationBin& bin, double duration_ms) noexcept;

 private:
  void close_bin(const DurationBin& bin, DurationState& state) const;
  void learn_baseline(DurationState& state, double level) const;
  [[nodiscard]] std::optional<core::Finding> judge(DurationState& state, std::int64_t now_ns,
                                                   const ActionNames& names) const;

  std::int64_t bin_ns_;
  std::uint32_t trend_bins_;
  std::uint32_t warmup_bins_;
  double rise_min_;
};

}  // namespace grace::log_analyzer
