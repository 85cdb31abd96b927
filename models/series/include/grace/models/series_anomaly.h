#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "grace/models/lag_distance.h"
#include "grace/models/season_profile.h"
#include "grace/models/tail_histogram.h"

namespace grace::models {

// The members of the ensemble: each turns a value into one number that is large when something is
// odd, and each is odd in its own way.
enum class SeriesMember : std::uint8_t {
  kPattern,          // the last few values are like no earlier stretch
  kRelativePattern,  // the same in ratios instead of differences: small values count, too
  kBoundedPattern,   // the same with peaks cut down to size: their order counts, not their height
  kNewValue,         // no earlier value was close, compared with how far out the value is
  kTimeOfDay,        // not what is usual at this quarter of an hour, on this day of the week
  kHour,             // not what is usual in this hour, given how much the hour varies
  kLevel,            // the level of the last dozens has left that of the last hundreds
  kSpread,           // changes from value to value have become larger
};
inline constexpr std::size_t kSeriesMemberCount = 8;

[[nodiscard]] std::string_view name_of(SeriesMember member) noexcept;

struct SeriesValue {
  std::int64_t time_ns = 0;
  double value = 0.0;
};

struct SeriesVerdict {
  // [0, 1): the one score to set a threshold on; kScoreThreshold by default. It is raised where
  // something begins: while the same oddity lasts, or shortly after as strong a one, it is 0.
  double anomaly_score = 0.0;
  // (0, 1]: how probable so much surprise is in this series as it was so far, onset or not.
  // A conformal p-value: in a series that goes on as it was it is p or less with probability p.
  double tail_probability = 1.0;
  // >= 0: sum over the members of log10(kMemberTail / their tail probability), where positive.
  double surprise = 0.0;
  // Who was surprised most, and how much: -log10 of its tail probability. Only with surprise > 0.
  SeriesMember member = SeriesMember::kPattern;
  double member_surprise = 0.0;
};

// Streaming anomaly detector for one series of any kind: an ensemble of eight simple online
// detectors, each made comparable by its own history (conformal p-values, see TailHistogram), so
// that the series' unit, range and distribution need not be known. Surprise beyond kMemberTail adds
// up (Fisher's method of combining p-values, cut off so that a quiet member cannot outvote a loud
// one). The score rises at the onset only: surprise must exceed what is left of the surprises
// before it, a memory that fades over kRestSteps. The idea that a raw score should be judged
// against its own recent history is the anomaly likelihood of Lavin and Ahmad 2015 ("Evaluating
// real-time anomaly detection algorithms") and Ahmad et al. 2017.
//
// Values beyond +-1e30 and what is no number are ignored. Deviations below 1e-12 count as none, and
// differences are told apart from 2^-48 to 2^48 (TailHistogram); in between the unit does not
// matter. Times are UTC nanoseconds; they matter for the time of day alone, so that gaps,
// duplicates and disorder do no harm: values are taken in the order of the calls. A series that
// only grows from its beginning on is a counter: it is judged by its increments, and a fall below
// half of the last value is a restart.
//
// Silent for kWarmupSteps. About 46 KiB, no allocation, not thread safe. The result is a function
// of the calls alone, the same on every processor.
class SeriesAnomaly {
 public:
  static constexpr double kScoreThreshold = 0.5;
  static constexpr double kMemberTail = 0.01;
  static constexpr std::uint32_t kWarmupSteps = 128;
  static constexpr std::uint32_t kRestSteps = 120;

  // Members in use, bit i for member i; fewer than all are for ablation only.
  static constexpr std::uint32_t kAllMembers = (1U << kSeriesMemberCount) - 1;

  explicit SeriesAnomaly(std::uint32_t members = kAllMembers) noexcept;

  SeriesVerdict step(std::int64_t time_ns, double value) noexcept;
  // The same one after the other; the verdict is on the last. The state is read and written once
  // for every LagDistance::kPassSteps values, which is most of what a value costs where it does not
  // stay in the caches.
  SeriesVerdict steps(std::span<const SeriesValue> values) noexcept;

  // Values judged since the model began, or began anew as a counter.
  [[nodiscard]] std::uint64_t step_count() const noexcept { return steps_; }
  [[nodiscard]] bool is_counter() const noexcept { return kind_ == Kind::kCounter; }

 private:
  enum class Kind : std::uint8_t { kUndecided, kGauge, kCounter };
  using Oddities = std::array<double, kSeriesMemberCount>;
  // What the members make of a value before any of them compares it with its past.
  struct Prepared {
    std::int64_t time_ns;
    std::uint64_t step;  // from 1 on
    double x;            // relative to origin_
    double out;          // how far from the centre
    double unit;         // deviation
    float relative, bounded;
  };
  struct Batch;

  // The value to judge: the value itself, or a counter's increment.
  double judged(double value) noexcept;
  Prepared prepare(std::int64_t time_ns, double value) noexcept;
  SeriesVerdict judge(const Batch& batch) noexcept;
  Oddities oddities(const Prepared& now, const LagDistance::Nearest& pattern, float relative,
                    float bounded) noexcept;
  SeriesVerdict combine(const Oddities& oddities, std::uint64_t step) noexcept;
  // Forgets everything; `value` is the last one as it came.
  void begin_anew(Kind kind, double value) noexcept;

  LagDistance pattern_;
  LagDistance relative_;
  LagDistance bounded_;
  SeasonProfile season_;
  HourProfile hour_;
  std::array<TailHistogram, kSeriesMemberCount> tails_{};
  TailHistogram surprise_tail_;
  // Means with fading gains; see the source for their lengths.
  struct Mean {
    double mean = 0.0;
    std::uint32_t count = 0;
    double step(double value, double gain) noexcept;
  };
  Mean center_;     // of values within three deviations
  Mean deviation_;  // mean absolute deviation of the same
  Mean size_;       // mean of |value|
  Mean level_fast_;
  Mean level_slow_;
  Mean change_;            // mean of |value - value before|
  double origin_ = 0.0;    // first value; what follows is relative to it
  double before_ = 0.0;    // value before, relative to origin_
  double last_raw_ = 0.0;  // value before, as it came
  double held_ = 0.0;      // fading maximum of surprise
  std::uint64_t steps_ = 0;
  std::uint32_t members_;
  std::uint32_t run_ = 0;    // steps without a fall since the beginning
  std::uint32_t rises_ = 0;  // how many of them were rises
  Kind kind_ = Kind::kUndecided;
};

}  // namespace grace::models
