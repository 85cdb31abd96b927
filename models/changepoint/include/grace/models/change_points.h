#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "grace/core/error.h"
#include "grace/models/noise_scale.h"
#include "grace/models/segment_run.h"

namespace grace::models {

// A change that was found: a new segment begins at `index`.
struct ChangePoint {
  std::uint64_t index = 0;
  // Posterior probability, at the moment of the decision, that a segment begins within
  // ChangePointDetector::kPlaceTolerance of the index; at least kDecisionProbability.
  double probability = 0.0;
  std::uint64_t decided_at = 0;  // index of the value that decided
};

// The defaults are what Grace runs with; other values are for ablations.
struct ChangePointConfig {
  // --- behaviour ---
  // Probability that a segment ends at a value. Smaller: fewer and surer changes. In (0, 0.5].
  double hazard = 0.004;
  // Values that a segment has at least, and before which no change is decided. 2 to 16.
  std::uint32_t segment_values_min = 8;
  // Share of segments that have a trend, and the prior deviation of its slope, in deviations of the
  // noise a value. Without them a slow trend reads as stairs. In [0, 0.9]; 0 to 10.
  double trend_share = 0.1;
  double trend_slope = 0.1;
  // Whether autocorrelation discounts the evidence.
  bool tempered = true;
  RunConstants run;
};

// The configuration itself when every field is within what is documented; else an error that names
// the field and its value. run.shape 0.5 to 100, run.outlier_share in (0, 0.5],
// run.outlier_scale 1 to 1000, run.memory_values 50 to 1e6.
[[nodiscard]] core::Result<ChangePointConfig> validated(ChangePointConfig config);

// Online Bayesian change point detection of one series (Adams and MacKay 2007, "Bayesian online
// changepoint detection"), with segments that are level or have a trend (Fearnhead and Liu 2007,
// "On-line inference for multiple changepoint problems": model choice per segment), that have at
// least `segment_values_min` values, and that tolerate outliers (segment_run.h). Finds shifts of
// level, slope and variance.
//
// It needs to know nothing of the series: the first kWarmUpValues values set the unit, and centre
// and noise of the newest 128 values are the prior of a new segment (noise_scale.h). So the result
// is the same for a * x + b up to rounding. A series that is constant at first waits for its first
// other value. Autocorrelation discounts the evidence: the likelihood of a value is raised to the
// power of the part of an independent sample that it is worth, as in a power posterior (Bissiri,
// Holmes and Walker 2016, "A general framework for updating belief distributions").
//
// A change is decided once: when the probability that a segment began, at one place give or take
// kPlaceTolerance values, at least segment_values_min values ago and after the change before,
// reaches kDecisionProbability. What is not sure after kDelayMax values is not reported.
//
// Bounds: kRunsMax hypotheses; the least probable go first. sizeof is all of it, about 14 KiB; it
// never allocates. Values may be anything finite. Thread: its owner's. Deterministic on all
// processors. Not good at: seasonality (a season longer than the window reads as segments, a
// shorter one hides shifts of its size), changes of autocorrelation.
class ChangePointDetector {
 public:
  static constexpr std::size_t kRunsMax = 40;
  static constexpr std::size_t kWarmUpValues = 30;
  // A series that ends before the warm-up is judged if it has at least this many.
  static constexpr std::size_t kShortSeriesValues = 10;
  static constexpr std::uint64_t kPlaceTolerance = 5;
  static constexpr std::uint64_t kDelayMax = 250;
  static constexpr double kDecisionProbability = 0.5;

  // `config` must have passed validated().
  explicit ChangePointDetector(const ChangePointConfig& config = {}) noexcept;

  // The value at the next index. Not finite: as skip(). Returns the changes that it decided,
  // oldest first; valid until the next call.
  std::span<const ChangePoint> push(double value) noexcept;
  // There is no value at the next index.
  void skip(std::uint64_t count = 1) noexcept { next_index_ += count; }
  // The series has ended: decides on one shorter than the warm-up. push() must not follow.
  std::span<const ChangePoint> finish() noexcept;

  [[nodiscard]] std::uint64_t next_index() const noexcept { return next_index_; }
  // False during the warm-up, when nothing is known.
  [[nodiscard]] bool started() const noexcept { return unit_ > 0; }
  // Posterior probability that the current segment began at `index`; 0 before it has started.
  [[nodiscard]] double start_probability(std::uint64_t index) const noexcept;
  // Where the current segment began, by what was decided.
  [[nodiscard]] std::uint64_t segment_start() const noexcept { return segment_start_; }
  [[nodiscard]] std::size_t run_count() const noexcept { return run_count_; }

 private:
  struct Early {
    std::uint64_t index = 0;
    double value = 0.0;
  };

  bool keep_early(std::uint64_t index, double value) noexcept;
  [[nodiscard]] double early_unit() const noexcept;
  void start(double unit) noexcept;
  [[nodiscard]] double in_units(double value) const noexcept;
  void read_scale() noexcept;
  void advance(std::uint64_t index, double value) noexcept;
  double release_runs(std::uint64_t index) noexcept;
  void begin_runs(std::uint64_t index, double value, double weight,
                  std::span<double> evidence) noexcept;
  void weigh(std::span<const double> evidence) noexcept;
  void prune(std::uint64_t index) noexcept;
  void decide(std::uint64_t index) noexcept;
  void return_to_earlier() noexcept;
  void remove_run(std::size_t at) noexcept { runs_[at] = runs_[--run_count_]; }

  ChangePointConfig config_;
  std::uint64_t next_index_ = 0;
  std::uint64_t segment_start_ = 0;
  // Values are (value - origin_) / unit_ inside; 0 until the warm-up is over.
  double origin_ = 0.0;
  double unit_ = 0.0;
  double independence_ = 1.0;
  RunScale scale_;
  NoiseScale noise_;
  std::array<Early, kWarmUpValues> early_{};
  std::size_t early_count_ = 0;
  std::array<SegmentRun, kRunsMax + 2> runs_{};  // two begin before two are pruned
  std::size_t run_count_ = 0;
  // One a value at most; a call plays the warm-up and the value after it.
  std::array<ChangePoint, kWarmUpValues + 1> changes_{};
  std::size_t change_count_ = 0;
};

}  // namespace grace::models
