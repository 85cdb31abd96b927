#include "grace/harness/memory.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "grace/harness/search.h"

namespace grace::harness {
namespace {

constexpr std::size_t kPointsMax = 64;

std::vector<MemorySample> second_half(const std::vector<MemorySample>& samples) {
  if (samples.empty()) return {};
  const double middle_s = (samples.front().at_s + samples.back().at_s) / 2.0;
  const auto begin = std::find_if(samples.begin(), samples.end(), [&](const MemorySample& sample) {
    return sample.at_s >= middle_s;
  });
  return {begin, samples.end()};
}

// At most kPointsMax means, each of as many samples; the oldest that are left over are left out.
std::vector<MemorySample> means_of(const std::vector<MemorySample>& samples) {
  const std::size_t each = (samples.size() + kPointsMax - 1) / kPointsMax;
  std::vector<MemorySample> means;
  for (std::size_t at = samples.size() % each; at < samples.size(); at += each) {
    MemorySample mean;
    for (std::size_t i = at; i < at + each; ++i) {
      mean.at_s += samples[i].at_s / double(each);
      mean.bytes += samples[i].bytes / double(each);
    }
    means.push_back(mean);
  }
  return means;
}

}  // namespace

core::Result<MemoryTrend> memory_trend(const std::vector<MemorySample>& samples,
                                       double growth_max) {
  constexpr double kDeviations = 1.645;  // 5% on each side
  const std::vector<MemorySample> half = second_half(samples);
  if (half.size() < kHalfSamplesMin) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "the second half has " + std::to_string(half.size()) +
                                " samples of memory, at least " + std::to_string(kHalfSamplesMin) +
                                " are needed");
  }
  const std::vector<MemorySample> points = means_of(half);
  std::vector<double> slopes, levels;
  for (std::size_t i = 0; i < points.size(); ++i) {
    levels.push_back(points[i].bytes);
    for (std::size_t k = i + 1; k < points.size(); ++k) {
      slopes.push_back((points[k].bytes - points[i].bytes) / (points[k].at_s - points[i].at_s));
    }
  }
  std::sort(slopes.begin(), slopes.end());
  MemoryTrend trend;
  trend.level_bytes = median_of(levels);
  trend.slope_per_s = median_of(slopes);
  // Sen 1968: the ranks at which Kendall's statistic is that many deviations off.
  const double n = double(points.size());
  const double off = kDeviations * std::sqrt(n * (n - 1.0) * (2.0 * n + 5.0) / 18.0);
  const double count = double(slopes.size());
  const auto last = count - 1.0;
  const auto at = [&](double rank) {
    return slopes[static_cast<std::size_t>(std::clamp(rank, 0.0, last))];
  };
  trend.slope_low = at(std::floor((count - off) / 2.0) - 1.0);
  trend.slope_high = at(std::ceil((count + off) / 2.0));
  const double span_s = half.back().at_s - half.front().at_s;
  trend.growth_high = trend.level_bytes > 0.0 ? trend.slope_high * span_s / trend.level_bytes : 0.0;
  trend.flat = trend.growth_high <= growth_max;
  return trend;
}

}  // namespace grace::harness
