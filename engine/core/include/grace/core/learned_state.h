#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

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
  kVerifiedRun = 0,  // a run healed what the trigger reported
  kForecastCameTrue,
  kForecastDidNot,
  kPrevented,  // our own action may have prevented it: reduced weight
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
  double step_max = 0.0;       // largest move in one period
  std::int64_t period_ns = 0;  // at most one move in this time
  std::int64_t changed_ts_ns = 0;
  double previous = 0.0;  // for undo
  bool ever_changed = false;
};

// How well confidence agrees with what turned out, for those triggers that were settled.
struct CalibrationError {
  double expected = 0.0;  // expected calibration error: mean |confidence - share right|, in [0, 1]
  double outcomes = 0.0;  // weighted count of outcomes behind it
};

// What outcomes have taught. Read by detectors (through OrderedContext), correlation, limits and
// the scheduler; written only by the ordered stage, which records every change in the ledger: the
// outcome before learn(), what came of it after.
//
// Bounds: diagnoses_max (source, diagnosis) pairs and kAdjustablesMax adjustables; further pairs
// count under their source alone (refused_diagnosis_count).
// Thread: the ordered stage's. A function of its calls alone.
class LearnedState {
 public:
  static constexpr std::size_t kDiagnosesMax = 4096;
  static constexpr std::size_t kAdjustablesMax = 1024;

  LearnedState();
  // Weight of a source when sources are pooled; 1 at the start, within [0.25, 2]. Twice the mean of
  // a Beta posterior with a prior worth eight outcomes; each outcome fades by 1% with every later
  // one of its source, so that a source which has changed is judged by what it does now.
  [[nodiscard]] double weight(Source source) const;
  [[nodiscard]] std::array<double, kSourceCount> weights() const { return weights_; }
  // Of the pair when it is known, else of the source.
  [[nodiscard]] const Reliability& reliability(Source source, std::string_view diagnosis) const;
  [[nodiscard]] const Reliability& reliability(Source source) const;
  // Online calibration of a detector's raw probability, from settled outcomes; the identity until
  // outcomes are known, and close to it while they are few. Monotone in `raw`, within [0, 1].
  [[nodiscard]] double calibrated(Source source, double raw) const;
  // Of the calibrated confidences that triggers really carried, over all sources or of one.
  [[nodiscard]] CalibrationError calibration_error() const;
  [[nodiscard]] CalibrationError calibration_error(Source source) const;
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
  // Updates reliability, calibration and weight of the trigger's source. A prevented forecast and a
  // weak trigger count half; only triggers that acted (not weak) can be false positives.
  WeightChange learn(const Trigger& trigger, OutcomeKind outcome);
  // Adds an adjustable at `value`, or replaces one. False: kAdjustablesMax is reached, or the
  // entry contradicts itself (min <= value <= max, step over 0).
  bool declare(Adjustable adjustable);
  // Moves an adjustable towards `to`, within its bounds and step. False (and no change) when it is
  // unknown, its period has not passed, or it cannot move that way.
  bool adjust(std::string_view name, double to, std::int64_t now_ns);
  // Puts back the value before the last adjust(), and starts a new period, so that the meta loop
  // does not do at once again what a person has just undone. False: nothing to undo.
  bool undo(std::string_view name, std::int64_t now_ns);
  [[nodiscard]] std::uint64_t refused_diagnosis_count() const noexcept {
    return refused_diagnosis_count_;
  }

 private:
  static constexpr std::size_t kBucketCount = 20;
  struct Bucket {
    double right = 0.0, total = 0.0, confidence_sum = 0.0;
  };
  using Buckets = std::array<Bucket, kBucketCount>;
  [[nodiscard]] static std::array<double, kBucketCount> levels_of(const Buckets& buckets);

  std::map<std::pair<Source, std::string>, Reliability> by_diagnosis_;
  std::array<Reliability, kSourceCount> by_source_{};
  std::array<Reliability, kSourceCount> fading_{};  // what the weights come from
  std::array<double, kSourceCount> weights_{};
  std::array<Buckets, kSourceCount> raw_{};         // by raw confidence: the calibration
  std::array<Buckets, kSourceCount> calibrated_{};  // by calibrated confidence: its error
  std::map<std::string, Adjustable, std::less<>> adjustables_;
  std::uint64_t refused_diagnosis_count_ = 0;
};

}  // namespace grace::core
