// Whether the neural forecaster earns its place: held-out errors of the two members and of their
// ensemble, for bench/quality/forecast.md.
//
//     forecast_ablation < SAMPLES
//
// SAMPLES: a line a bin, "key minute value" by blanks: key without blanks, minutes since the epoch,
// rising within a key. Every forecast is made before its value is read. Errors are divided by those
// of "stays as it is" over the same bins, for each series and horizon, from half a day on; printed
// as one JSON object a horizon: the median over series of each member's ratio, in how many series
// the ensemble beats the trend alone, and how often the 90% interval held. Not for timing. One
// thread.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "grace/core/hash.h"
#include "rich_model.h"

namespace grace::proactive {
namespace {

constexpr std::uint32_t kHorizonBins = 15;  // as ProactiveConfig's horizon, a bin a minute
constexpr std::uint32_t kWarmupBins = 30;
constexpr std::int64_t kMinutesDay = 1440;
constexpr std::uint32_t kScoredFrom = 720;  // bins

struct Errors {
  double naive = 0.0, trend = 0.0, neural = 0.0, ensemble = 0.0;
  std::uint64_t due = 0, inside = 0;
};

struct Forecasts {
  std::int64_t minute = 0;
  double value = 0.0;
  std::array<double, kHorizonCount> trend{}, neural{}, ensemble{}, half_width{};
};

class Series {
 public:
  explicit Series(std::uint64_t key) : rich_(key, kHorizonBins) {}

  void step(std::int64_t minute, double value) {
    judge(minute, value);
    const std::int64_t gap = bins_ == 0 ? 0 : minute - last_ - 1;
    trend_.step(value, gap);
    baseline_.step(value, kWarmupBins);
    const auto of_day = static_cast<double>(minute % kMinutesDay) / double{kMinutesDay};
    rich_.step(value, gap, of_day, trend_, baseline_);
    last_ = minute;
    if (++bins_ < kScoredFrom || !rich_.ready()) return;
    Forecasts now{minute, value, {}, {}, {}, {}};
    for (std::size_t i = 0; i < kHorizonCount; ++i) {
      now.trend[i] = rich_.trend_mean(i);
      now.neural[i] = rich_.neural_mean(i);
      now.ensemble[i] = rich_.forecast(i).mean;
      now.half_width[i] = rich_.half_width90(i);
    }
    pending_.push_back(now);
    if (pending_.size() > kHorizonBins) pending_.pop_front();
  }
  [[nodiscard]] const std::array<Errors, kHorizonCount>& errors() const { return errors_; }

 private:
  void judge(std::int64_t minute, double value) {
    const auto horizons = horizons_of(kHorizonBins);
    for (const Forecasts& then : pending_) {
      for (std::size_t i = 0; i < kHorizonCount; ++i) {
        if (minute - then.minute != horizons[i]) continue;
        Errors& sum = errors_[i];
        sum.naive += std::fabs(value - then.value);
        sum.trend += std::fabs(value - then.trend[i]);
        sum.neural += std::fabs(value - then.neural[i]);
        sum.ensemble += std::fabs(value - then.ensemble[i]);
        ++sum.due;
        if (std::fabs(value - then.ensemble[i]) <= then.half_width[i]) ++sum.inside;
      }
    }
  }

  TrendModel trend_;
  Baseline baseline_;
  RichModel rich_;
  std::int64_t last_ = 0;
  std::uint32_t bins_ = 0;
  std::deque<Forecasts> pending_;
  std::array<Errors, kHorizonCount> errors_{};
};

double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void report(const std::map<std::string, Series>& all) {
  const auto horizons = horizons_of(kHorizonBins);
  for (std::size_t i = 0; i < kHorizonCount; ++i) {
    std::vector<double> trend, neural, ensemble, gain;
    std::uint64_t better = 0, due = 0, inside = 0;
    for (const auto& [key, series] : all) {
      const Errors& e = series.errors()[i];
      due += e.due;
      inside += e.inside;
      if (e.naive <= 0.0 || e.trend <= 0.0) continue;  // constant: nothing to forecast
      trend.push_back(e.trend / e.naive);
      neural.push_back(e.neural / e.naive);
      ensemble.push_back(e.ensemble / e.naive);
      gain.push_back(e.ensemble / e.trend);
      better += e.ensemble < e.trend ? 1U : 0U;
    }
    std::printf(
        "{\"horizon_bins\":%u,\"series\":%zu,\"trend\":%.4f,\"neural\":%.4f,\"ensemble\":%.4f,"
        "\"ensemble_over_trend\":%.4f,\"better_in\":%llu,\"forecasts\":%llu,\"coverage\":%.4f}\n",
        horizons[i], trend.size(), median(trend), median(neural), median(ensemble), median(gain),
        static_cast<unsigned long long>(better), static_cast<unsigned long long>(due),
        due == 0 ? 0.0 : static_cast<double>(inside) / static_cast<double>(due));
  }
}

int run() {
  std::map<std::string, Series> all;
  std::string key;
  std::int64_t minute = 0;
  double value = 0.0;
  while (std::cin >> key >> minute >> value) {
    const auto found = all.try_emplace(key, core::hash_bytes(key)).first;
    if (std::isfinite(value)) found->second.step(minute, value);
  }
  if (!std::cin.eof()) {
    std::fprintf(stderr, "forecast_ablation: a line is not \"key minute value\"\n");
    return 1;
  }
  report(all);
  return 0;
}

}  // namespace
}  // namespace grace::proactive

int main() {
  return grace::proactive::run();
}
