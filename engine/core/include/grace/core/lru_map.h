#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <utility>

namespace grace::core {

// Ordered map of at most entries_max entries: the one that was used longest ago makes room for a
// new one. Use is what use() is called for; looking up and iterating, in the order of keys, is not.
//
// For the ordered stage, where what is told must come in the same order on every run; LruTable is
// the one for the hot path. use() is O(log n), also with a full map and keys that never come again.
// Thread: one. References to values are good until their entry makes room.
template <typename Key, typename Value>
class LruMap {
 public:
  struct Entry {
    Value value;
    typename std::list<const Key*>::iterator place;
  };
  using Entries = std::map<Key, Entry, std::less<>>;

  explicit LruMap(std::size_t entries_max) : entries_max_(entries_max) {}
  LruMap(const LruMap&) = delete;  // entries know their places
  LruMap& operator=(const LruMap&) = delete;

  // The value of `key`, made by `make()` if there is none. An entry that makes room is counted.
  template <typename Like, typename Make>
  Value& use(const Like& key, Make&& make, std::uint64_t& evicted_count) {
    const auto at = entries_.find(key);
    if (at != entries_.end()) {
      by_use_.splice(by_use_.end(), by_use_, at->second.place);
      return at->second.value;
    }
    if (entries_.size() >= entries_max_) {
      entries_.erase(entries_.find(*by_use_.front()));
      by_use_.pop_front();
      ++evicted_count;
    }
    const auto made = entries_.emplace(Key(key), Entry{make(), {}}).first;
    made->second.place = by_use_.insert(by_use_.end(), &made->first);
    return made->second.value;
  }
  // Null: it is not there.
  template <typename Like>
  [[nodiscard]] Value* find(const Like& key) {
    const auto at = entries_.find(key);
    return at == entries_.end() ? nullptr : &at->second.value;
  }
  template <typename Like>
  [[nodiscard]] const Value* find(const Like& key) const {
    const auto at = entries_.find(key);
    return at == entries_.end() ? nullptr : &at->second.value;
  }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  // In the order of keys; first is the key, second.value the value.
  [[nodiscard]] auto begin() { return entries_.begin(); }
  [[nodiscard]] auto end() { return entries_.end(); }
  [[nodiscard]] auto begin() const { return entries_.begin(); }
  [[nodiscard]] auto end() const { return entries_.end(); }

 private:
  std::size_t entries_max_;
  Entries entries_;
  std::list<const Key*> by_use_;  // the one used longest ago first
};

}  // namespace grace::core
