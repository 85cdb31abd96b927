#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "grace/core/finding.h"
#include "grace/core/platform.h"
#include "trend_model.h"

namespace grace::proactive {

inline constexpr std::uint32_t kNoIndex = 0xffffffffU;
inline constexpr std::size_t kRecentBins = 16;
inline constexpr std::size_t kSampleCount = 4;

// What an event touches: the open bin of one series. One cache line, in the hash table itself, so
// that the steady state costs one probe and one line.
//
//  | key | bin_start_ns | sum | last_sequence | last_ts_ns | count | model | pad 16 |
struct alignas(core::kCacheLineBytes) SeriesSlot {
  std::uint64_t key = 0;
  std::int64_t bin_start_ns = 0;
  double sum = 0.0;
  std::uint64_t last_sequence = 0;
  std::int64_t last_ts_ns = 0;
  std::uint32_t count = 0;         // samples in the open bin
  std::uint32_t model = kNoIndex;  // kNoIndex: the slot is free
};
static_assert(sizeof(SeriesSlot) == core::kCacheLineBytes);

// When something was reported last, so that it is not reported again each bin.
struct FireState {
  std::int64_t fired_ts_ns = 0;
  std::int64_t held_ts_ns = 0;  // last bin in which the condition held
  float fired_size = 0.0F;      // odds, departure or shortfall then; 0: never, or re-armed
  std::uint16_t held_bins = 0;  // bins in a row in which it holds
  std::uint16_t reserved = 0;
};
static_assert(sizeof(FireState) == 24);

// The last sample of a bin: what findings cite as evidence.
struct Sample {
  std::uint64_t sequence = 0;
  std::int64_t ts_ns = 0;
};

// The light model of one series, touched when a bin closes. Plain data: a snapshot is its bytes
// with the three names written out (README, "Snapshots").
struct SeriesModel {
  std::uint64_t key = 0;
  std::string_view service, domain, metric;  // interned; live as long as the partition
  TrendModel trend;
  Baseline baseline;
  FireState forecast_up, forecast_down, drift;
  std::array<float, kRecentBins> recent{};     // bin means, ring
  std::array<Sample, kSampleCount> samples{};  // ring
  std::uint32_t bins = 0;                      // closed so far
  std::uint32_t rich = kNoIndex;               // entry of the partition's pool
  std::uint32_t newer = kNoIndex;              // least-recently-seen list
  std::uint32_t older = kNoIndex;
  float range_low = 0.0F, range_high = 0.0F;  // configured; used when has_range
  core::MetricRole role = core::MetricRole::kOther;
  bool observed = false;  // emit every bin
  bool has_range = false;
  std::uint8_t unusual_run = 0;  // bins in a row with |deviation| >= 3

  // `back` = 0 is the newest bin; back < min(bins, kRecentBins).
  [[nodiscard]] double recent_back(std::uint32_t back) const noexcept {
    return static_cast<double>(recent[(bins - 1 - back) % kRecentBins]);
  }
};
static_assert(sizeof(SeriesSlot) + sizeof(SeriesModel) <= 512, "what a series may cost");

// Flat hash table of one partition's series: open addressing, linear probing, at most 3/4 full,
// keys are used as they are (they are hashes already). Models lie in slabs, so their addresses
// hold. Bounds: series_max; at the bound the series whose bin was opened longest ago makes room and
// is counted. Memory grows with the series seen, never shrinks. Thread: the partition's worker.
class SeriesTable {
 public:
  explicit SeriesTable(std::size_t series_max);

  // Null when unknown.
  [[nodiscard]] SeriesSlot* find(std::uint64_t key) noexcept {
    for (std::size_t at = home(key);; at = (at + 1) & mask_) {
      SeriesSlot& slot = slots_[at];
      if (slot.model == kNoIndex) return nullptr;
      if (slot.key == key) return &slot;
    }
  }
  // The caller will soon look for `key`.
  void prefetch(std::uint64_t key) const noexcept { __builtin_prefetch(&slots_[home(key)], 1); }
  struct Inserted {
    SeriesSlot* slot = nullptr;
    std::uint32_t evicted_rich =
        kNoIndex;  // pool entry of the series that made room, if it had one
  };
  // `key` must be unknown. Earlier slot pointers are invalid afterwards.
  [[nodiscard]] Inserted insert(std::uint64_t key);
  // Makes it the most recently seen.
  void touch(std::uint32_t index) noexcept;
  [[nodiscard]] SeriesModel& model(std::uint32_t index) noexcept {
    return slabs_[index / kSlabModels][index % kSlabModels];
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t evicted_count() const noexcept { return evicted_count_; }

 private:
  static constexpr std::size_t kSlabModels = 32;
  static constexpr std::size_t kFirstSlots = 16;

  // The low half: the high half chose the partition.
  [[nodiscard]] std::size_t home(std::uint64_t key) const noexcept {
    return static_cast<std::size_t>(key) & mask_;
  }
  void grow();
  void erase(std::uint64_t key) noexcept;
  void unlink(std::uint32_t index) noexcept;
  void link_newest(std::uint32_t index) noexcept;

  std::size_t series_max_;
  std::size_t mask_ = kFirstSlots - 1;
  std::size_t size_ = 0;
  std::uint64_t evicted_count_ = 0;
  std::uint32_t newest_ = kNoIndex;
  std::uint32_t oldest_ = kNoIndex;
  std::vector<SeriesSlot> slots_;
  std::vector<std::unique_ptr<SeriesModel[]>> slabs_;
};

}  // namespace grace::proactive
