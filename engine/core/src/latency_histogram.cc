#include "grace/core/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace grace::core {

std::size_t LatencyHistogram::bucket_of(std::uint64_t value) noexcept {
  if (value < 2 * kSubBuckets) return static_cast<std::size_t>(value);
  // Shift so that value >> shift lies in [kSubBuckets, 2 * kSubBuckets).
  const auto shift = static_cast<unsigned>(std::bit_width(value)) - (kSubBucketBits + 1);
  return shift * kSubBuckets + static_cast<std::size_t>(value >> shift);
}

std::uint64_t LatencyHistogram::upper_edge(std::size_t bucket) noexcept {
  if (bucket < 2 * kSubBuckets) return bucket;
  const std::size_t shift = bucket / kSubBuckets - 1;
  const std::uint64_t step = bucket % kSubBuckets + kSubBuckets;
  return ((step + 1) << shift) - 1;
}

void LatencyHistogram::record_n(std::int64_t value, std::uint64_t count) noexcept {
  if (count == 0) return;
  if (value < 0) {
    negative_count_ += count;
    value = 0;
  }
  counts_[bucket_of(static_cast<std::uint64_t>(value))] += count;
  count_ += count;
  sum_ += static_cast<std::uint64_t>(value) * count;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

void LatencyHistogram::record_corrected(std::int64_t value, std::int64_t interval) noexcept {
  record(value);
  if (interval <= 0) return;
  for (std::int64_t missed = value - interval; missed >= interval; missed -= interval) {
    record(missed);
  }
}

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
  for (std::size_t i = 0; i < kBucketCount; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  negative_count_ += other.negative_count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

std::int64_t LatencyHistogram::percentile(double share) const noexcept {
  if (count_ == 0) return 0;
  // A share such as 99.9 / 100 is a hair above 0.999: of 1,000 values its rank is 999, not 1,000.
  // So the product is taken to be four roundings less than it came out (HdrHistogram: one).
  constexpr double kRounding = 4.0 * 0x1.0p-53;
  const double wanted =
      std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_) * (1.0 - kRounding));
  const std::uint64_t rank =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBucketCount; ++i) {
    below += counts_[i];
    // The last bucket's edge may lie above the largest value that was seen.
    if (below >= rank) return std::min(static_cast<std::int64_t>(upper_edge(i)), max_);
  }
  return max_;
}

std::uint64_t LatencyHistogram::count_above(std::int64_t limit) const noexcept {
  if (limit < 0) return count_;
  std::uint64_t above = 0;
  for (std::size_t i = bucket_of(static_cast<std::uint64_t>(limit)) + 1; i < kBucketCount; ++i) {
    above += counts_[i];
  }
  return above;
}

double LatencyHistogram::mean() const noexcept {
  return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

}  // namespace grace::core
