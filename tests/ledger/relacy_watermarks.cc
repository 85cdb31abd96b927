// Models of Watermarks, and of a record's whole way: ring, committer, hand-off, closer, syncer, and
// back to its producer. Ring, HandOff and Watermarks are the production code; what stands between
// them (BlockStore, the wait for something to sync) is as short as it can be and keeps their locks.
#include <array>
#include <memory>
#include <mutex>
#include <optional>

#include "byte_ring.h"
#include "hand_off.h"
#include "relacy_models.h"
#include "watermarks.h"

namespace grace::ledger::internal {
namespace {

using Ring = BasicByteRing<RelacySharing>;
using Marks = BasicWatermarks<RelacySharing>;
constexpr std::size_t kRings = 2;
using Rings = std::array<std::unique_ptr<Ring>, kRings>;
using Positions = std::array<std::uint64_t, kRings>;

// Written and then synced by blocks, each by its own thread.
template <std::uint64_t blocks>
class Disk {
 public:
  // --- closer: as BlockStore::append() ---
  void append(std::uint64_t block) {
    write(written_[block], block);
    const std::lock_guard lock(mutex_);
    stored_ = block;
  }
  [[nodiscard]] std::uint64_t stored() {
    const std::lock_guard lock(mutex_);
    return stored_;
  }
  // --- syncer: as BlockStore::sync(), all that is stored by then ---
  [[nodiscard]] std::uint64_t sync() {
    const std::uint64_t last = stored();
    for (std::uint64_t block = synced_to_ + 1; block <= last; ++block) {
      write(synced_[block], read(written_[block]));
    }
    return synced_to_ = last;
  }
  // --- who relies on it ---
  void expect_written(std::uint64_t last) const {
    for (std::uint64_t block = 1; block <= last; ++block) RL_ASSERT(read(written_[block]) == block);
  }
  void expect_synced(std::uint64_t last) const {
    for (std::uint64_t block = 1; block <= last; ++block) RL_ASSERT(read(synced_[block]) == block);
  }

 private:
  RelacySharing::ModelMutex mutex_;
  RelacySharing::Plain<std::uint64_t> stored_{0};  // guarded by mutex_
  std::uint64_t synced_to_ = 0;                    // the syncer's
  std::array<Word, blocks + 1> written_;
  std::array<Word, blocks + 1> synced_;
};

enum class Raises { kUnderTheMutex, kWithoutIt };

// The closer's, the syncer's and a waiting producer's part of the writer: what publish(),
// run_syncer() and wait_safe() do.
template <std::uint64_t blocks, Raises raises>
class Publisher {
 public:
  Publisher(Disk<blocks>& disk, Marks& marks, const Rings& rings)
      : disk_(disk), marks_(marks), rings_(rings) {}

  void store(std::uint64_t block, const Positions& positions) {
    disk_.append(block);
    {
      const std::lock_guard lock(mutex_);
      marks_.raise_written(disk_.stored(), positions, rings_);
      unsynced_ = true;
    }
    wake_.notify_one();
  }
  void end() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_one();
  }
  // `positions_of(block)`: where each ring was when the block was filled.
  template <typename PositionsOf>
  void run_syncer(PositionsOf positions_of) {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return unsynced_ || done_; });
      if (!unsynced_) return;
      unsynced_ = false;
      lock.unlock();
      const std::uint64_t last = disk_.sync();
      if constexpr (raises == Raises::kUnderTheMutex) lock.lock();
      marks_.raise_durable(last, positions_of(last), rings_);
      progress_.notify_all();
      if constexpr (raises == Raises::kWithoutIt) lock.lock();
    }
  }
  // A producer, as in wait_safe().
  void wait_durable(const Ring& ring, std::uint64_t position) {
    std::unique_lock lock(mutex_);
    progress_.wait(lock, [&] { return ring.durable_position() >= position; });
  }

 private:
  Disk<blocks>& disk_;
  Marks& marks_;
  const Rings& rings_;
  RelacySharing::ModelMutex mutex_;
  RelacySharing::ConditionVariable wake_;
  RelacySharing::ConditionVariable progress_;
  RelacySharing::Plain<bool> unsynced_{false};  // guarded by mutex_, as below
  RelacySharing::Plain<bool> done_{false};
};

template <std::uint64_t blocks, Raises raises = Raises::kUnderTheMutex>
struct World {
  World() {
    for (auto& ring : rings) ring = std::make_unique<Ring>(RelacySharing::Bytes::kBytesMax);
  }
  Rings rings;
  Disk<blocks> disk;
  Marks marks{0, 0};
  Publisher<blocks, raises> publisher{disk, marks, rings};
};

// Closer, syncer, and one who watches without a lock: no figure goes back, nothing is durable
// before it is written or told before it is so.
template <std::uint64_t blocks>
struct Published : rl::test_suite<Published<blocks>, 3> {
  static Positions positions_of(std::uint64_t block) { return {8 * block, 16 * block}; }

  void before() { world.emplace(); }
  void thread(unsigned index) { index == 0 ? close() : index == 1 ? sync() : watch(); }
  void after() {
    RL_ASSERT(world->marks.written() == blocks);
    for (std::size_t at = 0; at < kRings; ++at) {
      RL_ASSERT(world->rings[at]->written_position() == positions_of(blocks)[at]);
      RL_ASSERT(world->rings[at]->durable_position() == positions_of(blocks)[at]);
    }
  }

  void close() {
    for (std::uint64_t block = 1; block <= blocks; ++block) {
      world->publisher.store(block, positions_of(block));
    }
    world->publisher.end();
  }
  void sync() { world->publisher.run_syncer(&positions_of); }
  void watch() {
    std::uint64_t durable_seen = 0;
    std::uint64_t written_seen = 0;
    while (durable_seen < blocks) {
      const std::uint64_t durable = world->marks.durable();
      world->disk.expect_synced(durable);
      const std::uint64_t written = world->marks.written();
      world->disk.expect_written(written);
      RL_ASSERT(durable >= durable_seen && written >= written_seen);
      RL_ASSERT(durable <= written);
      const Ring& ring = *world->rings[1];
      const std::uint64_t ring_durable = ring.durable_position();
      world->disk.expect_synced(ring_durable / 16);
      const std::uint64_t ring_written = ring.written_position();
      world->disk.expect_written(ring_written / 16);
      RL_ASSERT(ring_durable <= ring_written);
      if (durable == durable_seen && written == written_seen) yield();
      durable_seen = durable;
      written_seen = written;
    }
  }

  std::optional<World<blocks>> world;
};

// A block of one record each, so that its number is also the record's.
template <std::uint64_t records, Raises raises = Raises::kUnderTheMutex>
struct WholeWay : rl::test_suite<WholeWay<records, raises>, 4> {
  static constexpr std::uint64_t kEntryBytes = 16;
  struct Filled {
    std::uint64_t number = 0;
    Positions positions{};
  };
  static Positions positions_of(std::uint64_t block) { return {kEntryBytes * block, 0}; }

  void before() {
    world.emplace();
    to_closer.emplace(1U);
  }
  void thread(unsigned index) {
    if (index == 0) produce();
    if (index == 1) commit();
    if (index == 2) close();
    if (index == 3) world->publisher.run_syncer(&positions_of);
  }

  void produce() {
    Ring& ring = *world->rings[0];
    for (std::uint64_t number = 1; number <= records; ++number) {
      while (!ring.try_push(RecordType::kNote, std::as_bytes(std::span(&number, 1)), {})) yield();
      if (number % 2 == 1 && number < records) continue;  // waits for two at once
      const std::uint64_t position = ring.producer_position();
      world->publisher.wait_durable(ring, position);
      world->disk.expect_synced(number);
      RL_ASSERT(ring.written_position() >= position);
    }
  }
  void commit() {
    Ring& ring = *world->rings[0];
    for (std::uint64_t block = 1; block <= records; ++block) {
      Ring::Entry entry;
      while (!ring.front(entry)) yield();
      Filled filled;
      RL_ASSERT(entry.payload.size() == sizeof(filled.number));
      entry.payload.copy_to(&filled.number);
      ring.pop();
      ring.release();
      filled.positions = {ring.consumed_position(), 0};
      to_closer->push(std::move(filled));
    }
    to_closer->end();
  }
  void close() {
    std::uint64_t expected = 0;
    while (auto filled = to_closer->pop()) {
      RL_ASSERT(filled->number == ++expected);
      RL_ASSERT(filled->positions == positions_of(expected));
      world->publisher.store(filled->number, filled->positions);
    }
    world->publisher.end();
  }

  std::optional<World<records, raises>> world;
  std::optional<HandOff<Filled, RelacySharing>> to_closer;
};

constexpr Model kModels[] = {
    {.name = "watermarks_small", .run = &run_suite<Published<1>>, .switches_max = 2},
    {.name = "watermarks", .run = &run_suite<Published<3>>, .switches_max = 1},
    {.name = "whole_way", .run = &run_suite<WholeWay<3>>, .switches_max = 0},
    {.name = "raised_without_the_mutex",
     .run = &run_suite<WholeWay<2, Raises::kWithoutIt>>,
     .must_fail = true},
};

}  // namespace

std::span<const Model> watermark_models() {
  return kModels;
}

}  // namespace grace::ledger::internal
