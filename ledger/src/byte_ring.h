#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "assert.h"
#include "grace/ledger/format.h"
#include "sharing.h"

namespace grace::ledger::internal {

// Bounded single-producer single-consumer ring of variable-length entries, each contiguous:
//
//   | EntryHeader | payload | zeros to 8 |  ...  | EntryHeader kSkip | unused to the ring's end |
//
// Positions are byte counts that only grow; position & mask is the place. The producer owns
// producer_next_, the consumer owns consumer_next_, each reads the other's. When full, try_push()
// says so. An entry never wraps: what is left before the ring's end is skipped, so an entry may
// take at most half the ring.
//
// Beside the entries the ring carries how far the consumer's work on them has got: written_position
// and durable_position, with the producer's positions as their scale.
template <typename Sharing>
class BasicByteRing {
 public:
  struct Entry {
    RecordType type = RecordType::kJson;
    typename Sharing::Bytes::View payload{};  // until release()
  };

  // `capacity_bytes`: a power of two.
  explicit BasicByteRing(std::uint64_t capacity_bytes)
      : bytes_(capacity_bytes), mask_(capacity_bytes - 1) {
    GRACE_LEDGER_ASSERT(std::has_single_bit(capacity_bytes) && capacity_bytes >= 64);
  }

  // --- producer ---

  [[nodiscard]] bool try_push(RecordType type, std::span<const std::byte> head,
                              std::span<const std::byte> body) noexcept {
    const std::uint64_t length = head.size() + body.size();
    const std::uint64_t needed = round_up(sizeof(EntryHeader) + length, kRecordAlignment);
    GRACE_LEDGER_ASSERT(needed <= capacity() / 2, "%lu", static_cast<unsigned long>(needed));
    // Relaxed: only the producer writes producer_next_.
    std::uint64_t next = producer_next_.load(std::memory_order_relaxed);
    const std::uint64_t before_end = capacity() - (next & mask_);
    const std::uint64_t skipped = before_end < needed ? before_end : 0;
    if (next + skipped + needed - consumer_seen_ > capacity()) {
      // [FREE] acquire: the consumer is finished with every byte below this position, so they may
      // be overwritten. Pairs with the release in release().
      consumer_seen_ = consumer_next_.load(std::memory_order_acquire);
      if (next + skipped + needed - consumer_seen_ > capacity()) return false;
    }
    if (skipped > 0) {
      store_header(next, EntryHeader{0, kSkip, 0});
      next += skipped;
    }
    store_header(next, EntryHeader{static_cast<std::uint32_t>(length), kRecord,
                                   static_cast<std::uint16_t>(type)});
    bytes_.write((next & mask_) + sizeof(EntryHeader), head, body);
    ++pushed_;
    // [READY] release: publishes the entry written above. Pairs with the acquire in front() and,
    // for whoever waits for it, in producer_position().
    producer_next_.store(next + needed, std::memory_order_release);
    return true;
  }
  [[nodiscard]] std::uint64_t pushed() const noexcept { return pushed_; }

  // --- consumer ---

  // The oldest entry not yet popped. False when there is none.
  [[nodiscard]] bool front(Entry& entry) noexcept {
    // Always, even with entries known of: who has popped what front_seen() gives after this knows
    // that the ring was empty since. [READY] acquire: makes every entry below this position
    // visible. Pairs with the release in try_push().
    producer_seen_ = producer_next_.load(std::memory_order_acquire);
    return front_seen(entry);
  }
  // The same, but only of what was there at the last front(): does not touch the producer's cache
  // line.
  [[nodiscard]] bool front_seen(Entry& entry) noexcept {
    while (consumer_local_ != producer_seen_) {
      const std::uint64_t at = consumer_local_ & mask_;
      EntryHeader header;
      bytes_.read(at, &header, sizeof(header));
      if (header.kind == kSkip) {
        consumer_local_ += capacity() - at;
        continue;
      }
      front_bytes_ = round_up(sizeof(EntryHeader) + header.length, kRecordAlignment);
      entry.type = static_cast<RecordType>(header.type);
      entry.payload = bytes_.view(at + sizeof(EntryHeader), header.length);
      return true;
    }
    return false;
  }
  // Steps over the entry front() gave. Its bytes stay until release().
  void pop() noexcept { consumer_local_ += front_bytes_; }
  // Gives everything popped back to the producer: once for a batch, to spare the cache line.
  void release() noexcept {
    // [FREE] release: the payloads have been read. Pairs with the acquire in try_push().
    consumer_next_.store(consumer_local_, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t consumed_position() const noexcept { return consumer_local_; }

  // --- the producer in the consumer's place, under a lock that the consumer holds for its work ---

  // Whether all has been popped.
  [[nodiscard]] bool is_empty() const noexcept {
    // Relaxed: only the producer writes producer_next_.
    return producer_next_.load(std::memory_order_relaxed) == consumer_local_;
  }
  // For an entry that did not need the ring, which is empty: both positions move past it.
  void pass_by() noexcept {
    const std::uint64_t next = consumer_local_ + kRecordAlignment;
    consumer_local_ = next;
    producer_seen_ = next;
    ++pushed_;
    // Relaxed: who reads it next is the caller.
    consumer_next_.store(next, std::memory_order_relaxed);
    // [READY] release: as in try_push(), for producer_position().
    producer_next_.store(next, std::memory_order_release);
  }

  // --- any thread ---

  [[nodiscard]] std::uint64_t capacity() const noexcept { return mask_ + 1; }
  [[nodiscard]] std::uint64_t producer_position() const noexcept {
    // [READY] acquire: whoever waits for this position knows that its entries were published.
    return producer_next_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t written_position() const noexcept {
    // [WRITTEN] acquire: who sees the position may rely on the block being in its file. Pairs
    // with the release in set_written().
    return written_.load(std::memory_order_acquire);
  }
  void set_written(std::uint64_t position) noexcept {
    // [WRITTEN] release: after the block's magic.
    written_.store(position, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t durable_position() const noexcept {
    // [DURABLE] acquire: who sees the position may act on the record being synced. Pairs with the
    // release in set_durable().
    return durable_.load(std::memory_order_acquire);
  }
  void set_durable(std::uint64_t position) noexcept {
    // [DURABLE] release: after the sync returned.
    durable_.store(position, std::memory_order_release);
  }

 private:
  struct EntryHeader {
    std::uint32_t length;
    std::uint16_t kind;
    std::uint16_t type;
  };
  static_assert(sizeof(EntryHeader) == kRecordAlignment,
                "a skip mark must fit wherever an entry can begin");
  static constexpr std::uint16_t kRecord = 1;
  static constexpr std::uint16_t kSkip = 2;

  void store_header(std::uint64_t position, EntryHeader header) noexcept {
    bytes_.write(position & mask_, std::as_bytes(std::span(&header, 1)), {});
  }

  template <typename T>
  using Atomic = typename Sharing::template Atomic<T>;
  template <typename T>
  using Plain = typename Sharing::template Plain<T>;

  typename Sharing::Bytes bytes_;
  const std::uint64_t mask_;

  // Written by the producer.
  alignas(kCacheLineBytes) Atomic<std::uint64_t> producer_next_{0};
  Plain<std::uint64_t> consumer_seen_{0};
  Plain<std::uint64_t> pushed_{0};
  // Written by the consumer.
  alignas(kCacheLineBytes) Atomic<std::uint64_t> consumer_next_{0};
  Plain<std::uint64_t> consumer_local_{0};
  Plain<std::uint64_t> producer_seen_{0};
  Plain<std::uint64_t> front_bytes_{0};
  Atomic<std::uint64_t> written_{0};
  // Written by the syncer.
  alignas(kCacheLineBytes) Atomic<std::uint64_t> durable_{0};
};

class ByteRing final : public BasicByteRing<StdSharing> {
 public:
  using BasicByteRing::BasicByteRing;
};

}  // namespace grace::ledger::internal
