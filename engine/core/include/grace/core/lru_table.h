#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "grace/core/assert.h"
#include "grace/core/platform.h"

namespace grace::core {

inline constexpr std::uint32_t kNoSlot = 0xffffffffU;

// Flat hash table of at most slots_max slots by 64-bit key, with the order of last use. One probe
// (tag and slot number in one word, then the slot) for a key that is there.
//
// Bound: slots_max; when full() the caller deals with oldest() and erases it before it inserts.
// Memory: the slots' memory is reserved at once and touched as the table fills; a slot's number
// stays the same while its key lives, and is used again afterwards. The index doubles as the table
// fills, at most two thirds full: spread over what it may become, each probe would be a cache line
// and a page of its own: in 64 partitions that cost 9% of a replay.
// Order of use is kept to one stamp: a slot that was already used in this stamp is not moved, so a
// busy slot costs no list work. Thread: one. Keys are hashes: the upper half places them.
template <typename Slot>
class LruTable {
 public:
  explicit LruTable(std::uint32_t slots_max) : slots_max_(slots_max), index_(index_size(0)) {
    nodes_.reserve(slots_max);
    free_.reserve(slots_max);
  }

  [[nodiscard]] std::uint32_t find(std::uint64_t key) const noexcept {
    for (std::size_t at = home(key);; at = next(at)) {
      const std::uint64_t entry = index_[at];
      if (entry == 0) return kNoSlot;
      if (tag_of(entry) == tag(key)) {
        const std::uint32_t slot = slot_of(entry);
        if (nodes_[slot].key == key) return slot;
      }
    }
  }
  [[nodiscard]] bool full() const noexcept { return count_ == slots_max_; }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint32_t oldest() const noexcept { return oldest_; }
  [[nodiscard]] std::int32_t stamp_of(std::uint32_t slot) const noexcept {
    return nodes_[slot].stamp;
  }
  // True when `slot` holds `key` now: for callers that remember slot numbers.
  [[nodiscard]] bool holds(std::uint32_t slot, std::uint64_t key) const noexcept {
    return slot < nodes_.size() && nodes_[slot].key == key && nodes_[slot].stamp != kErased;
  }
  [[nodiscard]] std::uint64_t key_of(std::uint32_t slot) const noexcept { return nodes_[slot].key; }
  Slot& operator[](std::uint32_t slot) noexcept { return nodes_[slot].content; }
  const Slot& operator[](std::uint32_t slot) const noexcept { return nodes_[slot].content; }

  // The caller will soon ask for `slot`, which may be any number, and read so many cache lines.
  void prefetch(std::uint32_t slot, std::size_t lines = 1) const noexcept {
    if (slot >= nodes_.size()) return;
    const char* const node = reinterpret_cast<const char*>(&nodes_[slot]);
    for (std::size_t i = 0; i < lines; ++i) __builtin_prefetch(node + i * kCacheLineBytes, 1);
  }
  // The caller will soon look for `key`.
  void prefetch_key(std::uint64_t key) const noexcept { __builtin_prefetch(&index_[home(key)]); }
  // Where find() looks first, without a look at the slot itself: it may hold another key. Any
  // number when the key is not there.
  [[nodiscard]] std::uint32_t likely_slot(std::uint64_t key) const noexcept {
    for (std::size_t at = home(key);; at = next(at)) {
      const std::uint64_t entry = index_[at];
      if (entry == 0) return kNoSlot;
      if (tag_of(entry) == tag(key)) return slot_of(entry);
    }
  }

  // Calls `visit(slot)` for each slot in use, in the order of their numbers: the same order on
  // every run that did the same.
  template <typename Visit>
  void each(Visit&& visit) const {
    for (std::uint32_t slot = 0; slot < nodes_.size(); ++slot) {
      if (nodes_[slot].stamp != kErased) visit(slot);
    }
  }

  // The key must not be there, and the table not full. The slot's content is default-made.
  std::uint32_t insert(std::uint64_t key, std::int32_t stamp) {
    GRACE_ASSERT(!full());
    std::uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
      nodes_[slot].content = Slot{};
    }
    nodes_[slot].key = key;
    nodes_[slot].stamp = stamp;
    ++count_;
    if (index_size(count_) > index_.size()) grow();
    index_[hole_from(home(key))] = entry_of(key, slot);
    link_newest(slot);
    return slot;
  }

  // The slot of `key`, used now. It is made when it is not there; in a full table the one that was
  // used longest ago goes for it, and is counted.
  std::uint32_t find_or_insert(std::uint64_t key, std::int32_t stamp,
                               std::uint64_t& evicted_count) {
    const std::uint32_t slot = find(key);
    if (slot != kNoSlot) {
      touch(slot, stamp);
      return slot;
    }
    if (full()) {
      erase(oldest());
      ++evicted_count;
    }
    return insert(key, stamp);
  }

  void erase(std::uint32_t slot) {
    std::size_t hole = home(nodes_[slot].key);
    while (slot_of(index_[hole]) != slot) hole = next(hole);
    // Backward shift: entries behind the hole move up unless that would take them before home.
    for (std::size_t at = next(hole); index_[at] != 0; at = next(at)) {
      const std::size_t wanted = home_of(index_[at]);
      const std::size_t mask = index_.size() - 1;
      if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
      index_[hole] = index_[at];
      hole = at;
    }
    index_[hole] = 0;
    unlink(slot);
    nodes_[slot].stamp = kErased;
    free_.push_back(slot);
    --count_;
  }

  void touch(std::uint32_t slot, std::int32_t stamp) noexcept {
    if (nodes_[slot].stamp == stamp) return;
    nodes_[slot].stamp = stamp;
    if (slot == newest_) return;
    unlink(slot);
    link_newest(slot);
  }

 private:
  static constexpr std::size_t kIndexMin = 8;  // entries: a cache line
  static constexpr std::int32_t kErased = std::numeric_limits<std::int32_t>::min();
  // The header and the first 40 bytes of the content share a cache line: what every event touches
  // belongs there.
  struct alignas(kCacheLineBytes) Node {
    std::uint64_t key = 0;
    std::int32_t stamp = kErased;
    std::uint32_t older = kNoSlot;
    std::uint32_t newer = kNoSlot;
    Slot content{};
  };
  // Entry: upper 32 bits of the key, slot number + 1. Home: the lower ones of these bits, so that
  // entries can be moved without a look at their nodes, which are in no cache.
  static std::uint64_t tag(std::uint64_t key) noexcept { return key >> 32; }
  static std::uint64_t tag_of(std::uint64_t entry) noexcept { return entry >> 32; }
  static std::uint32_t slot_of(std::uint64_t entry) noexcept {
    return static_cast<std::uint32_t>(entry) - 1;
  }
  static std::uint64_t entry_of(std::uint64_t key, std::uint32_t slot) noexcept {
    return (tag(key) << 32) | (slot + 1);
  }
  [[nodiscard]] std::size_t home(std::uint64_t key) const noexcept {
    return static_cast<std::size_t>(tag(key)) & (index_.size() - 1);
  }
  [[nodiscard]] std::size_t home_of(std::uint64_t entry) const noexcept {
    return static_cast<std::size_t>(tag_of(entry)) & (index_.size() - 1);
  }
  [[nodiscard]] std::size_t next(std::size_t at) const noexcept {
    return (at + 1) & (index_.size() - 1);
  }
  // Entries for `count` slots: a power of two, more than 3/2 of them.
  static std::size_t index_size(std::uint32_t count) noexcept {
    return std::max(kIndexMin, std::bit_ceil(std::size_t{count} * 3 / 2 + 1));
  }
  [[nodiscard]] std::size_t hole_from(std::size_t at) const noexcept {
    while (index_[at] != 0) at = next(at);
    return at;
  }
  void grow() {
    std::vector<std::uint64_t> old(index_size(count_));
    old.swap(index_);
    for (const std::uint64_t entry : old) {
      if (entry != 0) index_[hole_from(home_of(entry))] = entry;
    }
  }
  void unlink(std::uint32_t slot) noexcept {
    Node& node = nodes_[slot];
    (node.older == kNoSlot ? oldest_ : nodes_[node.older].newer) = node.newer;
    (node.newer == kNoSlot ? newest_ : nodes_[node.newer].older) = node.older;
  }
  void link_newest(std::uint32_t slot) noexcept {
    Node& node = nodes_[slot];
    node.older = newest_;
    node.newer = kNoSlot;
    (newest_ == kNoSlot ? oldest_ : nodes_[newest_].newer) = slot;
    newest_ = slot;
  }

  std::uint32_t slots_max_;
  std::uint32_t count_ = 0;
  std::uint32_t oldest_ = kNoSlot;
  std::uint32_t newest_ = kNoSlot;
  std::vector<std::uint64_t> index_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> free_;
};

}  // namespace grace::core
