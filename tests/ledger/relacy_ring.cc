// Models of ByteRing between its producer and its consumer.
#include <array>
#include <memory>
#include <mutex>
#include <optional>

#include "byte_ring.h"
#include "relacy_models.h"

namespace grace::ledger::internal {
namespace {

using Ring = BasicByteRing<RelacySharing>;

constexpr std::uint64_t kRingBytes = RelacySharing::Bytes::kBytesMax;
constexpr std::size_t kPayloadBytesMax = 24;  // with its header half of the ring

std::byte payload_byte(std::size_t entry, std::size_t at) {
  return static_cast<std::byte>(16 * (entry + 1) + at % 16);
}

RecordType type_of(std::size_t entry) {
  return entry % 2 == 0 ? RecordType::kNote : RecordType::kJson;
}

// In two parts, as a header and a body come.
void push(Ring& ring, std::size_t entry, std::size_t payload_bytes) {
  std::array<std::byte, kPayloadBytesMax> bytes{};
  for (std::size_t at = 0; at < payload_bytes; ++at) bytes[at] = payload_byte(entry, at);
  const std::span<const std::byte> payload(bytes.data(), payload_bytes);
  const std::size_t head = payload_bytes / 3;
  while (!ring.try_push(type_of(entry), payload.first(head), payload.subspan(head))) yield();
}

void check(const Ring::Entry& entry, std::size_t number, std::size_t payload_bytes) {
  RL_ASSERT(entry.type == type_of(number));
  RL_ASSERT(entry.payload.size() == payload_bytes);
  std::array<std::byte, kPayloadBytesMax> bytes{};
  entry.payload.copy_to(bytes.data());
  for (std::size_t at = 0; at < payload_bytes; ++at) {
    RL_ASSERT(bytes[at] == payload_byte(number, at));
  }
}

enum class Use { kProper, kReadsAfterRelease };

// Each entry arrives once, whole and in order, while the ring fills, skips its end and wraps. The
// consumer gives back two at a time. `before_start`: so many are in the ring when the two begin.
template <Use use, std::size_t before_start, std::size_t... payload_bytes>
struct Transfer : rl::test_suite<Transfer<use, before_start, payload_bytes...>, 2> {
  static constexpr std::array<std::size_t, sizeof...(payload_bytes)> kSizes{payload_bytes...};
  static constexpr std::size_t kBatchMax = 2;

  void before() {
    ring = std::make_unique<Ring>(kRingBytes);
    for (std::size_t entry = 0; entry < before_start; ++entry) push(*ring, entry, kSizes[entry]);
  }
  void thread(unsigned index) { index == 0 ? produce() : consume(); }
  void after() {
    RL_ASSERT(ring->pushed() == kSizes.size());
    RL_ASSERT(ring->consumed_position() == ring->producer_position());
  }

  void produce() {
    for (std::size_t entry = before_start; entry < kSizes.size(); ++entry) {
      push(*ring, entry, kSizes[entry]);
    }
  }
  void consume() {
    std::size_t taken = 0;
    while (taken < kSizes.size()) {
      std::array<Ring::Entry, kBatchMax> batch;
      std::size_t count = 0;
      while (count < kBatchMax && ring->front(batch[count])) {
        ring->pop();
        ++count;
      }
      if (count == 0) {
        yield();
        continue;
      }
      if constexpr (use == Use::kReadsAfterRelease) ring->release();
      for (std::size_t at = 0; at < count; ++at, ++taken) check(batch[at], taken, kSizes[taken]);
      if constexpr (use == Use::kProper) ring->release();
    }
  }

  std::unique_ptr<Ring> ring;
};

enum class Way { kThroughTheRing, kPastIt };

// Who sees the producer's position sees what the producer did before it.
template <Way way>
struct Position : rl::test_suite<Position<way>, 2> {
  void before() { ring = std::make_unique<Ring>(kRingBytes); }
  void thread(unsigned index) {
    if (index == 0) {
      write(before_push, 1);
      if constexpr (way == Way::kThroughTheRing) {
        push(*ring, 0, 8);
      } else {
        ring->pass_by();
      }
      return;
    }
    while (ring->producer_position() == 0) yield();
    RL_ASSERT(read(before_push) == 1);
  }

  std::unique_ptr<Ring> ring;
  Word before_push;
};

enum class Tells { kAfterTheFact, kBeforeTheFact };

// What became of entries, told to their producer: written, then durable.
template <std::size_t entries, Tells tells>
struct Acknowledgement : rl::test_suite<Acknowledgement<entries, tells>, 2> {
  void before() { ring = std::make_unique<Ring>(kRingBytes); }
  void thread(unsigned index) { index == 0 ? produce() : consume(); }

  void produce() {
    for (std::size_t entry = 0; entry < entries; ++entry) {
      push(*ring, entry, 8);
      const std::uint64_t position = ring->producer_position();
      while (ring->written_position() < position) yield();
      RL_ASSERT(read(written[entry]) == position);
      while (ring->durable_position() < position) yield();
      RL_ASSERT(read(synced[entry]) == position);
    }
  }
  void consume() {
    for (std::size_t taken = 0; taken < entries; ++taken) {
      Ring::Entry entry;
      while (!ring->front(entry)) yield();
      check(entry, taken, 8);
      ring->pop();
      ring->release();
      const std::uint64_t position = ring->consumed_position();
      if constexpr (tells == Tells::kBeforeTheFact) ring->set_written(position);
      write(written[taken], position);
      if constexpr (tells == Tells::kAfterTheFact) ring->set_written(position);
      write(synced[taken], position);
      ring->set_durable(position);
    }
  }

  std::unique_ptr<Ring> ring;
  std::array<Word, entries> written;
  std::array<Word, entries> synced;
};

// The committer takes so many entries in a pass and ends once it was told to and has seen the ring
// empty since, as drain() and run_committer() do: nothing that was appended before is left behind.
template <std::size_t entries, std::size_t pass_max>
struct DrainedAtTheEnd : rl::test_suite<DrainedAtTheEnd<entries, pass_max>, 2> {
  void before() {
    ring = std::make_unique<Ring>(kRingBytes);
    stop.emplace(false);
  }
  void thread(unsigned index) { index == 0 ? produce() : consume(); }
  void after() { RL_ASSERT(ring->consumed_position() == ring->producer_position()); }

  void produce() {
    for (std::size_t entry = 0; entry < entries; ++entry) push(*ring, entry, 0);
    stop->store(true, std::memory_order_release);
  }
  void consume() {
    for (;;) {
      const bool stopping = stop->load(std::memory_order_acquire);
      std::size_t taken = 0;
      Ring::Entry entry;
      bool more = ring->front(entry);
      while (more) {
        ring->pop();
        if (++taken == pass_max) break;
        more = ring->front_seen(entry);
      }
      ring->release();
      if (!more && stopping) return;
      if (taken == 0) yield();
    }
  }

  std::unique_ptr<Ring> ring;
  std::optional<RelacySharing::Atomic<bool>> stop;
};

enum class Lock { kHeld, kForgotten };

// As WriterCore::append_in_place(): with the lock, and where all before it has been taken, the
// producer puts an entry where the consumer would have put it. Each comes once, in order.
template <Lock lock, std::size_t entries>
struct PassedBy : rl::test_suite<PassedBy<lock, entries>, 2> {
  void before() {
    ring = std::make_unique<Ring>(kRingBytes);
    write(placed, 0);
  }
  void thread(unsigned index) { index == 0 ? produce() : consume(); }
  void after() {
    RL_ASSERT(read(placed) == entries);
    RL_ASSERT(ring->pushed() == entries);
    RL_ASSERT(ring->consumed_position() == ring->producer_position());
  }

  [[nodiscard]] std::unique_lock<RelacySharing::ModelMutex> hold() {
    std::unique_lock<RelacySharing::ModelMutex> held(mutex, std::defer_lock);
    if constexpr (lock == Lock::kHeld) held.lock();
    return held;
  }
  void produce() {
    for (std::size_t entry = 0; entry < entries; ++entry) {
      const auto held = hold();
      if (ring->is_empty()) {
        RL_ASSERT(read(placed) == entry);
        write(placed, entry + 1);
        ring->pass_by();
      } else {
        push_once(entry);
      }
      // The next finds this one still in the ring, or not.
      if (entry + 1 < entries) push_once(++entry);
    }
  }
  void push_once(std::size_t entry) {
    const std::byte byte = payload_byte(entry, 0);
    RL_ASSERT(ring->try_push(type_of(entry), std::span(&byte, 1), {}));
  }
  void consume() {
    while (!take_all()) yield();
  }
  [[nodiscard]] bool take_all() {
    const auto held = hold();
    Ring::Entry entry;
    while (ring->front(entry)) {
      const std::uint64_t number = read(placed);
      check(entry, number, 1);
      ring->pop();
      write(placed, number + 1);
    }
    ring->release();
    return read(placed) == entries;
  }

  std::unique_ptr<Ring> ring;
  RelacySharing::ModelMutex mutex;
  Word placed;  // into the block
};

constexpr Model kModels[] = {
    {.name = "ring_transfer_small",
     .run = &run_suite<Transfer<Use::kProper, 2, 24, 24, 24>>,
     .all_executions = true},
    {.name = "ring_transfer",
     .run = &run_suite<Transfer<Use::kProper, 0, 16, 24, 8, 24, 0, 20, 1>>,
     .switches_max = 1},
    {.name = "ring_position",
     .run = &run_suite<Position<Way::kThroughTheRing>>,
     .all_executions = true},
    {.name = "ring_position_passed_by",
     .run = &run_suite<Position<Way::kPastIt>>,
     .all_executions = true},
    {.name = "ring_passed_by_small",
     .run = &run_suite<PassedBy<Lock::kHeld, 2>>,
     .all_executions = true},
    {.name = "ring_passed_by", .run = &run_suite<PassedBy<Lock::kHeld, 4>>, .switches_max = 3},
    {.name = "ring_acknowledgement_small",
     .run = &run_suite<Acknowledgement<1, Tells::kAfterTheFact>>,
     .all_executions = true},
    {.name = "ring_acknowledgement",
     .run = &run_suite<Acknowledgement<3, Tells::kAfterTheFact>>,
     .switches_max = 3},
    {.name = "ring_drained_at_the_end",
     .run = &run_suite<DrainedAtTheEnd<4, 2>>,
     .switches_max = 3},
    {.name = "ring_read_after_release",
     .run = &run_suite<Transfer<Use::kReadsAfterRelease, 0, 24, 24, 24>>,
     .must_fail = true},
    {.name = "ring_passed_by_without_lock",
     .run = &run_suite<PassedBy<Lock::kForgotten, 4>>,
     .must_fail = true},
    {.name = "ring_told_before_written",
     .run = &run_suite<Acknowledgement<1, Tells::kBeforeTheFact>>,
     .must_fail = true},
};

}  // namespace

std::span<const Model> ring_models() {
  return kModels;
}

}  // namespace grace::ledger::internal
