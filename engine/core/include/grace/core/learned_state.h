#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/finding.h"
#include "grace/core/trigger.h"

namespace grace::core {

// A Beta distribution over "this is right", as sufficient statistics that merge by addition.
struct Reliability {
  double right = 0.0;  // weighted count of outcomes that proved it right
  double wrong = 0.0;
  std::uint64_t false_positives = 0;
  // Mean with the uniform prior Beta(1, 1).
  [[nodiscard]] double mean() const noexcept { return (right + 1.0) / (right + wrong + 2.0); }
};

// How an outcome came to be known; decides how much it counts.
enum class OutcomeKind : std::uint8_t {
  kVerifiedRun = 0,     // a run healed what the trigger reported
  kForecastCameTrue,
  kForecastDidNot,
  kPrevented,           // our own action may have prevented it: reduced weight
  kFeedbackRight,
  kFeedbackWrong,
};

// A value that the meta loop may move: "capacity.shortfall_min", "ml.min_confidence" ...
struct Adjustable {
  std::string name;
  double value = 0.0;
  double initial = 0.0;
  double min = 0.0;
  double max = 0.0;
  double step_max = 0.0;               // largest move in one period
  std::int64_t period_ns = 0;          // at most one move in this time
  std::int64_t changed_ts_ns = 0;
  double previous = 0.0;               // for undo
  bool ever_changed = false;
};

// What outcomes have taught. Read by detectors (through OrderedContext), correlation, limits and
// the scheduler; written only by the ordered stage, which records every change in the ledger first.
// Thread: the ordered stage's.
class LearnedState {
 public:
  LearnedState();
  // Weight of a source when sources are pooled; 1 at the start, within [0.25, 2].
  [[nodiscard]] double weight(Source source) const;
  [[nodiscard]] const Reliability& reliability(Source source, std::string_view diagnosis) const;
  [[nodiscard]] const Reliability& reliability(Source source) const;
  // Online calibration of a detector's raw probability, from settled outcomes; the identity until
  // enough outcomes are known. Monotone in `raw`.
  [[nodiscard]] double calibrated(Source source, double raw) const;
  // Current value of an adjustable, or `fallback` when it was never declared.
  [[nodiscard]] double adjusted(std::string_view name, double fallback) const;
  [[nodiscard]] const Adjustable* find(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, Adjustable, std::less<>>& adjustables() const {
    return adjustables_;
  }

  struct WeightChange {
    double before = 0.0;
    double after = 0.0;
    double counted = 0.0;  // how much the outcome counted, (0, 1]
  };
  // Updates reliability, calibration and weight of the trigger's source. Bounded: past
  // diagnoses_max (source, diagnosis) pairs new ones count under the source alone.
  WeightChange learn(const Trigger& trigger, OutcomeKind outcome);
  void declare(Adjustable adjustable);
  // Moves an adjustable within its bounds, step and period. False (and no change) when it is
  // unknown or its period has not passed.
  bool adjust(std::string_view name, double to, std::int64_t now_ns);
  bool undo(std::string_view name, std::int64_t now_ns);

 private:
  struct Bucket {
    double right = 0.0, total = 0.0;
  };
  static constexpr std::size_t kBucketCount = 10;
  std::map<std::pair<Source, std::string>, Reliability> by_diagnosis_;
  std::array<Reliability, kSourceCount> by_source_{};
  std::array<double, kSourceCount> weights_{};
  std::array<std::array<Bucket, kBucketCount>, kSourceCount> calibration_{};
  std::map<std::string, Adjustable, std::less<>> adjustables_;
};

}  // namespace grace::core
