#include "series_table.h"

#include "grace/core/assert.h"

namespace grace::proactive {

SeriesTable::SeriesTable(std::size_t series_max) : series_max_(series_max), slots_(kFirstSlots) {
  GRACE_ASSERT(series_max >= 1 && series_max < kNoIndex, "series_max %zu", series_max);
}

void SeriesTable::grow() {
  std::vector<SeriesSlot> old(slots_.size() * 2);
  old.swap(slots_);
  mask_ = slots_.size() - 1;
  for (const SeriesSlot& slot : old) {
    if (slot.model == kNoIndex) continue;
    std::size_t at = home(slot.key);
    while (slots_[at].model != kNoIndex) at = (at + 1) & mask_;
    slots_[at] = slot;
  }
}

SeriesTable::Inserted SeriesTable::insert(std::uint64_t key) {
  Inserted inserted;
  std::uint32_t index = kNoIndex;
  if (size_ >= series_max_) {
    index = oldest_;
    inserted.evicted_rich = model(index).rich;
    erase(model(index).key);
    unlink(index);
    ++evicted_count_;
  } else {
    index = static_cast<std::uint32_t>(size_++);
    if (index / kSlabModels == slabs_.size()) {
      slabs_.push_back(std::make_unique<SeriesModel[]>(kSlabModels));
    }
  }
  if (4 * (size_ + 1) > 3 * slots_.size()) grow();
  std::size_t at = home(key);
  while (slots_[at].model != kNoIndex) at = (at + 1) & mask_;
  slots_[at] = SeriesSlot{};
  slots_[at].key = key;
  slots_[at].model = index;
  model(index) = SeriesModel{};
  model(index).key = key;
  link_newest(index);
  inserted.slot = &slots_[at];
  return inserted;
}

// Knuth, The Art of Computer Programming 3, 6.4, algorithm R: closes the gap by moving back every
// later slot of the run that may not stand behind a free one.
void SeriesTable::erase(std::uint64_t key) noexcept {
  std::size_t at = home(key);
  while (slots_[at].key != key || slots_[at].model == kNoIndex) at = (at + 1) & mask_;
  std::size_t next = at;
  for (;;) {
    slots_[at].model = kNoIndex;
    for (;;) {
      next = (next + 1) & mask_;
      if (slots_[next].model == kNoIndex) return;
      const std::size_t wanted = home(slots_[next].key);
      // Stays when its home lies cyclically in (at, next].
      const bool stays =
          at <= next ? (at < wanted && wanted <= next) : (at < wanted || wanted <= next);
      if (!stays) break;
    }
    slots_[at] = slots_[next];
    at = next;
  }
}

void SeriesTable::touch(std::uint32_t index) noexcept {
  if (newest_ == index) return;
  unlink(index);
  link_newest(index);
}

void SeriesTable::unlink(std::uint32_t index) noexcept {
  const SeriesModel& m = model(index);
  (m.newer == kNoIndex ? newest_ : model(m.newer).older) = m.older;
  (m.older == kNoIndex ? oldest_ : model(m.older).newer) = m.newer;
}

void SeriesTable::link_newest(std::uint32_t index) noexcept {
  SeriesModel& m = model(index);
  m.newer = kNoIndex;
  m.older = newest_;
  if (newest_ != kNoIndex) model(newest_).newer = index;
  newest_ = index;
  if (oldest_ == kNoIndex) oldest_ = index;
}

}  // namespace grace::proactive
