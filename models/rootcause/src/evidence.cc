#include "evidence.h"

#include <algorithm>
#include <limits>

#include "grace/core/exact_math.h"

namespace grace::models {
namespace {

using core::exact_log;

// A series that has been constant is said to move by a hundredth of its level, not by an infinity
// of deviations; likewise one whose tail begins within a quarter of its usual deviation.
constexpr double kRelativeUnit = 0.01;
// Trouble begins with the first sample that is half as surprising as the strongest ones: of samples
// that are all far out, which is the farthest is noise.
constexpr double kOnsetPart = 0.5;
constexpr double kSmallestUnit = 1e-9;
constexpr double kMadToSd = 1.4826;
// The upper tenth of the deviations is the tail, which Hill's estimator needs three of.
constexpr std::size_t kTailPart = 10;
constexpr std::size_t kTailMin = 3;
// Belief about the tail index before any of it was seen, worth five exceedances: 0.3 is that of
// latencies and counts, and lies between exponential (0) and infinite variance (0.5).
constexpr double kIndexPrior = 0.3;
constexpr double kIndexPriorWeight = 5.0;

// Kullback-Leibler divergence of Bernoulli(a) from Bernoulli(b), 0 < b < 1.
double divergence(double a, double b) noexcept {
  double sum = 0.0;
  if (a > 0) sum += a * exact_log(a / b);
  if (a < 1) sum += (1 - a) * exact_log((1 - a) / (1 - b));
  return sum;
}

std::size_t count_nonzero(std::span<const Point> points) noexcept {
  return static_cast<std::size_t>(
      std::count_if(points.begin(), points.end(), [](const Point& p) { return p.value != 0.0; }));
}

}  // namespace

Cut cut_series(const std::vector<Point>& points, std::int64_t at_ns,
               const RootCauseConfig& config) {
  const auto end = std::partition_point(points.begin(), points.end(),
                                        [&](const Point& point) { return point.ts_ns <= at_ns; });
  const auto begin =
      end - std::min<std::ptrdiff_t>(end - points.begin(),
                                     static_cast<std::ptrdiff_t>(config.history_max));
  Cut cut;
  if (begin == end) return cut;
  std::vector<std::int64_t> gaps;
  gaps.reserve(static_cast<std::size_t>(end - begin));
  for (auto at = begin + 1; at != end; ++at) {
    // In order, so not negative; but it may be more than a signed difference holds.
    const std::uint64_t gap =
        static_cast<std::uint64_t>(at->ts_ns) - static_cast<std::uint64_t>((at - 1)->ts_ns);
    gaps.push_back(static_cast<std::int64_t>(
        std::min<std::uint64_t>(gap, std::numeric_limits<std::int64_t>::max())));
  }
  if (!gaps.empty()) {
    const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
    std::nth_element(gaps.begin(), middle, gaps.end());
    cut.step_ns = *middle;
  }
  // A pace of centuries is no pace; the bound keeps the product in its type.
  const std::int64_t pace = std::min<std::int64_t>(cut.step_ns, INT64_C(1) << 55);
  const std::int64_t length =
      std::max(config.window_ns_min, pace * static_cast<std::int64_t>(config.window_samples));
  const auto window = std::partition_point(begin, end, [&](const Point& point) {
    return static_cast<std::uint64_t>(at_ns) - static_cast<std::uint64_t>(point.ts_ns) >=
           static_cast<std::uint64_t>(length);
  });
  cut.baseline.assign(begin, window);
  cut.window.assign(window, end);
  return cut;
}

double median_of(std::vector<double>& values) {
  const std::size_t half = values.size() / 2;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(half);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * *middle + 0.5 * *std::max_element(values.begin(), middle);
}

Surprise::Surprise(std::span<const Point> baseline, double sign) : sign_(sign) {
  std::vector<double> values;
  values.reserve(baseline.size());
  for (const Point& point : baseline) values.push_back(point.value);
  median_ = median_of(values);
  for (const double value : values) deviations_.push_back(sign_ * (value - median_));
  std::sort(deviations_.begin(), deviations_.end());
  for (double& value : values) value = value < median_ ? median_ - value : value - median_;
  const double mad = kMadToSd * median_of(values);
  const double level = median_ < 0 ? -median_ : median_;
  const std::size_t count = deviations_.size();
  const std::size_t tail =
      std::min(std::max(kTailMin, count / kTailPart), count > 1 ? count - 1 : std::size_t{0});
  threshold_ = std::max({deviations_[count - 1 - tail], kRelativeUnit * level, kSmallestUnit, mad});
  double sum = 0.0;
  double beyond = 0.0;
  for (auto at = deviations_.rbegin(); at != deviations_.rend() && *at > threshold_; ++at) {
    sum += exact_log(std::min(*at / threshold_, 1e300));
    beyond += 1.0;
  }
  tail_nats_ = -exact_log((beyond + 0.5) / (static_cast<double>(count) + 1.0));
  tail_index_ =
      (sum + kIndexPriorWeight * kIndexPrior) / (std::max(1.0, beyond) + kIndexPriorWeight);
}

double Surprise::of(double value) const noexcept {
  const double deviation = sign_ * (value - median_);
  if (!(deviation > 0)) return 0.0;
  if (deviation > threshold_) {
    return tail_nats_ + exact_log(std::min(deviation / threshold_, 1e300)) / tail_index_;
  }
  const auto first = std::lower_bound(deviations_.begin(), deviations_.end(), deviation);
  const auto as_far = static_cast<double>(deviations_.end() - first);
  return -exact_log((as_far + 0.5) / (static_cast<double>(deviations_.size()) + 1.0));
}

Evidence level_evidence(const Cut& cut, BadDirection bad, const RootCauseConfig& config) {
  if (cut.baseline.size() < config.baseline_samples_min || cut.window.size() < config.agree) {
    return {};
  }
  std::vector<double> nats(cut.window.size(), 0.0);
  for (const double sign : {1.0, -1.0}) {
    if (sign > 0 ? bad == BadDirection::kDown : bad == BadDirection::kUp) continue;
    const Surprise surprise(cut.baseline, sign);
    for (std::size_t i = 0; i < nats.size(); ++i) {
      nats[i] = std::max(nats[i], surprise.of(cut.window[i].value));
    }
  }
  std::vector<double> sorted = nats;
  const auto agreed = sorted.begin() + static_cast<std::ptrdiff_t>(config.agree - 1);
  std::nth_element(sorted.begin(), agreed, sorted.end(), std::greater<>());
  Evidence evidence{*agreed, 0};
  if (evidence.nats > 0) {
    const auto first = std::find_if(
        nats.begin(), nats.end(), [&](double each) { return each >= kOnsetPart * evidence.nats; });
    evidence.onset_ns = cut.window[static_cast<std::size_t>(first - nats.begin())].ts_ns;
  }
  return evidence;
}

Evidence presence_evidence(const Cut& cut, BadDirection bad) {
  if (cut.window.empty() || cut.baseline.empty()) return {};
  const auto past_count = static_cast<double>(cut.baseline.size());
  const auto count = static_cast<double>(cut.window.size());
  const auto past_hits = static_cast<double>(count_nonzero(cut.baseline));
  const auto hits = static_cast<double>(count_nonzero(cut.window));
  const double both = (past_hits + hits) / (past_count + count);
  const double past = past_hits / past_count;
  const double now = hits / count;
  const bool more = now > past;
  if (now == past || (more ? bad == BadDirection::kDown : bad == BadDirection::kUp)) return {};
  const auto first = std::find_if(cut.window.begin(), cut.window.end(),
                                  [&](const Point& point) { return (point.value != 0.0) == more; });
  return {count * divergence(now, both) + past_count * divergence(past, both),
          first == cut.window.end() ? 0 : first->ts_ns};
}

bool counts_rare(const Cut& cut) {
  return 2 * count_nonzero(cut.baseline) < cut.baseline.size();
}

}  // namespace grace::models
