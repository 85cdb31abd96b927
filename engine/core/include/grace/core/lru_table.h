#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "grace/core/assert.h"
#include "grace/core/bounded_growth.h"
#include "grace/core/platform.h"

namespace grace::core {

inline constexpr std::uint32_t kNoSlot = 0xffffffffU;

// Flat hash table of at most slots_max slots by 64-bit key, with the order of last use. One probe
// (tag and slot number in one word, then the slot) for a key that is there.
//
// Bound: slots_max; when full() the caller deals with oldest() and erases it before it inserts.
// Memory: grows as the table fills (bounded_growth.h): an insert may move the slots, so references
// to their content end there. A slot's number stays the same while its key lives, and is used again
// afterwards. The index doubles, at most two thirds full: spread over what it may become, each
// probe would be a cache line and a page of its own: in 64 partitions that cost 9% of a replay.
// Order of use is kept to one stamp: a slot that was already used in this stamp is not moved, so a
// busy slot costs no list work. Thread: one. Keys are hashes: the upper half places them.
template <typename Slot>
class alignas(kCacheLineBytes) LruTable {
 public:
  explicit LruTable(std::uint32_t slots_max) : slots_max_(slots_max), index_(index_size(0)) {
    point_at_index();
  }
  LruTable(const LruTable&) = delete;
  LruTable& operator=(const LruTable&) = delete;
  LruTable(LruTable&&) = delete;
  LruTable& operator=(LruTable&&) = delete;
  ~LruTable() = default;

  [[nodiscard]] std::uint32_t find(std::uint64_t key) const noexcept {
    for (std::size_t at = home(key);; at = next(at)) {
      const std::uint64_t entry = entries_[at];
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
    return slot < used_ && nodes_[slot].key == key && nodes_[slot].stamp != kErased;
  }
  [[nodiscard]] std::uint64_t key_of(std::uint32_t slot) const noexcept { return nodes_[slot].key; }
  Slot& operator[](std::uint32_t slot) noexcept { return nodes_[slot].content; }
  const Slot& operator[](std::uint32_t slot) const noexcept { return nodes_[slot].content; }

  // The caller will soon ask for `slot`, which may be any number, and read so many cache lines.
  void prefetch(std::uint32_t slot, std::size_t lines = 1) const noexcept {
    if (slot >= used_) return;
    const char* const node = reinterpret_cast<const char*>(&nodes_[slot]);
    for (std::size_t i = 0; i < lines; ++i) __builtin_prefetch(node + i * kCacheLineBytes, 1);
  }
  // The caller will soon look for `key`.
  void prefetch_key(std::uint64_t key) const noexcept { __builtin_prefetch(&entries_[home(key)]); }
  // Where find() looks first, without a look at the slot itself: it may hold another key. Any
  // number when the key is not there.
  [[nodiscard]] std::uint32_t likely_slot(std::uint64_t key) const noexcept {
    for (std::size_t at = home(key);; at = next(at)) {
      const std::uint64_t entry = entries_[at];
      if (entry == 0) return kNoSlot;
      if (tag_of(entry) == tag(key)) return slot_of(entry);
    }
  }

  // Calls `visit(slot)` for each slot in use, in the order of their numbers: the same order on
  // every run that did the same.
  template <typename Visit>
  void each(Visit&& visit) const {
    for (std::uint32_t slot = 0; slot < used_; ++slot) {
      if (nodes_[slot].stamp != kErased) visit(slot);
    }
  }

  // The key must not be there, and the table not full. The slot's content is default-made.
  std::uint32_t insert(std::uint64_t key, std::int32_t stamp) {
    GRACE_ASSERT(!full());
    const std::uint32_t slot = free_slot();
    nodes_[slot].key = key;
    nodes_[slot].stamp = stamp;
    ++count_;
    if (index_size(count_) > index_.size()) grow();
    entries_[hole_from(home(key))] = entry_of(key, slot);
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
    while (slot_of(entries_[hole]) != slot) hole = next(hole);
    // Backward shift: entries behind the hole move up unless that would take them before home.
    for (std::size_t at = next(hole); entries_[at] != 0; at = next(at)) {
      const std::size_t wanted = home_of(entries_[at]);
      if (((at - wanted) & mask_) < ((at - hole) & mask_)) continue;
      entries_[hole] = entries_[at];
      hole = at;
    }
    entries_[hole] = 0;
    unlink(slot);
    nodes_[slot].stamp = kErased;
    nodes_[slot].older = free_;
    free_ = slot;
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
    return static_cast<std::size_t>(tag(key)) & mask_;
  }
  [[nodiscard]] std::size_t home_of(std::uint64_t entry) const noexcept {
    return static_cast<std::size_t>(tag_of(entry)) & mask_;
  }
  [[nodiscard]] std::size_t next(std::size_t at) const noexcept { return (at + 1) & mask_; }
  // Entries for `count` slots: a power of two, more than 3/2 of them.
  static std::size_t index_size(std::uint32_t count) noexcept {
    return std::max(kIndexMin, std::bit_ceil(std::size_t{count} * 3 / 2 + 1));
  }
  [[nodiscard]] std::size_t hole_from(std::size_t at) const noexcept {
    while (entries_[at] != 0) at = next(at);
    return at;
  }
  std::uint32_t free_slot() {
    const std::uint32_t slot = free_;
    if (slot != kNoSlot) {
      free_ = nodes_[slot].older;
      nodes_[slot].content = Slot{};
      return slot;
    }
    if (used_ == node_memory_.capacity()) {
      node_memory_.reserve(grown_capacity(used_, slots_max_, sizeof(Node)));
      nodes_ = node_memory_.data();
    }
    node_memory_.emplace_back();
    return used_++;
  }
  void point_at_index() noexcept {
    entries_ = index_.data();
    mask_ = index_.size() - 1;
  }
  void grow() {
    std::vector<std::uint64_t> old(index_size(count_));
    old.swap(index_);
    point_at_index();
    for (const std::uint64_t entry : old) {
      if (entry != 0) entries_[hole_from(home_of(entry))] = entry;
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

  // What each look needs, in one cache line and apart from the rest: a worker's tables are
  // hundreds, and between two looks at one the nearest cache has forgotten it. 4% of a replay.
  Node* nodes_ = nullptr;             // of node_memory_
  std::uint64_t* entries_ = nullptr;  // of index_
  std::size_t mask_ = 0;              // entries less one
  std::uint32_t used_ = 0;            // nodes, the free ones too
  std::uint32_t newest_ = kNoSlot;
  std::uint32_t oldest_ = kNoSlot;
  std::uint32_t count_ = 0;
  std::uint32_t free_ = kNoSlot;  // the last erased, which knows the one before in `older`
  std::uint32_t slots_max_;
  std::vector<std::uint64_t> index_;
  std::vector<Node> node_memory_;
};

}  // namespace grace::core
