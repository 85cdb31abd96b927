#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "grace/models/series_anomaly.h"

namespace grace::models {

// A SeriesAnomaly for those who ask for few verdicts: values wait until kBatch are there or the
// verdict is asked for, then take their steps together. With many series the state of each comes
// from memory, which so happens once for a batch. The verdict is the same to the last bit as that
// of SeriesAnomaly::step after every value.
//
// The value that ends a batch pays for all of it. Not thread safe, no allocation.
class BatchedAnomaly {
 public:
  static constexpr std::uint32_t kBatch = 8;

  // `phase`: at which values batches end, modulo kBatch; series of many phases take turns.
  explicit BatchedAnomaly(std::uint64_t phase) noexcept
      : until_end_(kBatch - static_cast<std::uint32_t>(phase % kBatch)) {}

  void take(std::int64_t time_ns, double value) noexcept {
    waiting_[size_++] = {time_ns, value};
    if (--until_end_ > 0) return;
    until_end_ = kBatch;
    catch_up();
  }
  // On the last value taken.
  [[nodiscard]] const SeriesVerdict& verdict() noexcept {
    if (size_ > 0) catch_up();
    return verdict_;
  }

 private:
  void catch_up() noexcept {
    verdict_ = model_.steps({waiting_.data(), size_});
    size_ = 0;
  }

  std::uint32_t until_end_;
  std::uint32_t size_ = 0;
  std::array<SeriesValue, kBatch> waiting_{};
  SeriesVerdict verdict_;
  SeriesAnomaly model_;
};

}  // namespace grace::models
