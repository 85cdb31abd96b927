#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace grace::core {

// Counts non-negative 64-bit values (nanoseconds, bytes) in log-linear buckets, after HdrHistogram:
// each power of two is cut into kSubBuckets equal steps.
//
// Error: a reported percentile is the upper edge of the value's bucket: never below the true one,
// and at most 1/kSubBuckets (0.78%) above it; values below 2 * kSubBuckets are exact. min, max,
// mean and count are exact (max up to 2^63 - 1, the sum wraps only after 2^64). Memory: fixed,
// about 58 KiB, no allocation ever. Threads: one writer; merge() after it is done. Negative values
// count as 0 and in negative_count().
class LatencyHistogram {
 public:
  static constexpr unsigned kSubBucketBits = 7;
  static constexpr std::size_t kSubBuckets = std::size_t{1} << kSubBucketBits;

  void record(std::int64_t value) noexcept { record_n(value, 1); }
  void record_n(std::int64_t value, std::uint64_t count) noexcept;
  // For closed loops that could not send while they waited (coordinated omission): also records the
  // requests that should have been sent every interval meanwhile. Better: send by the clock and
  // measure from the intended time.
  void record_corrected(std::int64_t value, std::int64_t interval) noexcept;
  void merge(const LatencyHistogram& other) noexcept;
  void reset() noexcept { *this = LatencyHistogram(); }

  // Smallest bucket edge that at least this share of the values does not exceed. share in [0, 1];
  // 0 when nothing was recorded.
  [[nodiscard]] std::int64_t percentile(double share) const noexcept;
  // Values above `limit`, to bucket resolution: those in the limit's own bucket do not count.
  [[nodiscard]] std::uint64_t count_above(std::int64_t limit) const noexcept;
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::int64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::int64_t max() const noexcept { return max_; }
  [[nodiscard]] double mean() const noexcept;
  [[nodiscard]] std::uint64_t negative_count() const noexcept { return negative_count_; }

 private:
  // Two linear stretches of kSubBuckets for values below 2 * kSubBuckets, then one of kSubBuckets
  // for each higher power of two up to 2^63.
  static constexpr std::size_t kBucketCount = (64 - kSubBucketBits) * kSubBuckets;
  static std::size_t bucket_of(std::uint64_t value) noexcept;
  static std::uint64_t upper_edge(std::size_t bucket) noexcept;

  std::array<std::uint64_t, kBucketCount> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t negative_count_ = 0;
  std::int64_t min_ = INT64_MAX;
  std::int64_t max_ = 0;
};

}  // namespace grace::core
