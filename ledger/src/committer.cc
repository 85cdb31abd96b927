#include <algorithm>
#include <cstring>

#include "writer_core.h"

namespace grace::ledger::internal {
namespace {

// From one ring in one pass, so that a busy producer cannot keep others waiting for long.
constexpr std::uint64_t kPassBytesMax = 256 << 10;
// With less in a pass the committer lets more come together. A consumer that is always there takes
// each line of the ring from the producer's core while that still writes to it: 100 ns a record for
// the producer then, 30 with a consumer that comes by (128-byte records, cores without a common
// cache).
constexpr std::uint64_t kPassBytesMin = 32 << 10;
constexpr std::chrono::microseconds kIdleSleepMin{50};

}  // namespace

void WriterCore::run_committer() {
  Rest rest;
  while (commit_once(rest)) {
    if (rest.until) idle(rest);
  }
  finish();
}

// False: there is nothing more to do.
bool WriterCore::commit_once(Rest& rest) {
  Committer& me = committer_;
  // [STOP] acquire: what producers appended before close() is in the rings. Pairs with the
  // release in close(). Read before draining, so that an empty ring means it has all been taken.
  const bool stopping = stop_.load(std::memory_order_acquire);
  // [ASK] acquire: the same for whoever asked for an early close. Pairs with the release in
  // wait_safe().
  rest.asked = closes_asked_.load(std::memory_order_acquire);
  const std::lock_guard committing(committing_mutex_);
  const Pass pass = drain();
  // [FAIL] acquire pairs with the release in fail().
  if (failed_.load(std::memory_order_acquire)) return false;
  const Deadline now = std::chrono::steady_clock::now();
  const bool urgent = rest.asked != me.closes_done;
  if (me.open.record_count > 0 && (urgent || stopping || is_due(now))) close_open_block();
  if (pass.emptied) {
    me.closes_done = rest.asked;
    if (stopping) return false;
  }
  if (pass.bytes > 0) me.idle_sleep = kIdleSleepMin;
  rest.until.reset();
  if (pass.bytes < kPassBytesMin) {
    // Little arrived, or nothing: longer and longer, but never past the time at which the open
    // block is due.
    rest.until = now + me.idle_sleep;
    if (me.open.record_count > 0) {
      rest.until = std::min(*rest.until, me.opened_at + config_.commit_interval);
    }
    me.idle_sleep = std::min(me.idle_sleep * 2, config_.idle_wait_max);
  }
  return true;
}

WriterCore::Pass WriterCore::drain() {
  Pass pass;
  // [RINGS] acquire: the ring was made before it was counted. Pairs with the release in
  // lease_ring().
  const std::uint32_t count = ring_count_.load(std::memory_order_acquire);
  for (std::uint32_t index = 0; index < count; ++index) {
    if (is_held_back(index)) continue;
    ByteRing& ring = *rings_[index];
    const std::uint64_t start = ring.consumed_position();
    ByteRing::Entry entry;
    bool more = ring.front(entry);
    while (more) {
      if (!append_record(entry.type, {}, entry.payload)) return pass;
      ring.pop();
      if (committer_.open.records_bytes >= config_.block_bytes) close_open_block();
      if (ring.consumed_position() - start >= kPassBytesMax) break;
      more = ring.front_seen(entry);
    }
    pass.emptied = pass.emptied && !more;
    pass.bytes += ring.consumed_position() - start;
    ring.release();
  }
  return pass;
}

// What is left of the disk is for others.
bool WriterCore::is_held_back(std::uint32_t slot) const {
  return importance_[slot] == Importance::kExpendable && preparer_->on_reserve();
}

// False: the writer has failed.
bool WriterCore::make_room(std::uint64_t footprint_bytes) {
  Committer& me = committer_;
  std::uint64_t needed = block_footprint_bytes(me.open.records_bytes + footprint_bytes);
  // Rather two blocks than to copy one into a larger buffer.
  if (me.open.record_count > 0 && needed > std::min(block_bytes_max_, me.buffer->capacity())) {
    close_open_block();
    needed = block_footprint_bytes(footprint_bytes);
  }
  if (me.buffer == nullptr) {
    bool waited = false;
    me.buffer = pool_.take(waited);
    if (waited) {
      const std::lock_guard lock(mutex_);
      stats_.waits += 1;
    }
    if (me.buffer == nullptr) return false;
  }
  if (needed > me.buffer->capacity()) {
    const std::uint64_t used = sizeof(BlockHeader) + me.open.records_bytes;
    me.buffer = pool_.grow(std::move(me.buffer), used, needed);
  }
  return true;
}

bool WriterCore::append_record(RecordType type, std::span<const std::byte> head,
                               std::span<const std::byte> body) {
  Committer& me = committer_;
  const std::uint64_t payload_bytes = head.size() + body.size();
  const std::uint64_t footprint = record_footprint_bytes(payload_bytes);
  if (!make_room(footprint)) return false;
  if (me.open.record_count == 0) {
    me.opened_at = std::chrono::steady_clock::now();
    me.stage.begin(*me.buffer, sizeof(BlockHeader));
  }
  RecordHeader header;
  header.length = static_cast<std::uint32_t>(payload_bytes);
  header.sequence = me.next_sequence + me.open.record_count;
  header.type = type;
  if (!me.stage.has_room(footprint)) {
    me.stage.seal(me.open.crc_of_crcs);
    me.stage.move_to(*me.buffer);
  }
  if (me.stage.has_room(footprint)) {
    me.stage.put(header, head, body);
  } else {
    me.stage.finish(*me.buffer);
    me.stage.put_past(*me.buffer, header, head, body, me.open.crc_of_crcs);
  }
  me.open.records_bytes += footprint;
  me.open.record_count += 1;
  me.open_payload_bytes += payload_bytes;
  return true;
}

// Whether a record can be taken without a wait for the closer or the disk: it may close the block
// before it and its own. Only whoever holds committing_mutex_ makes that false.
bool WriterCore::can_commit_now() {
  if (!config_.pipelined) return false;  // the writing itself would be the caller's
  const bool hashes = config_.integrity == Integrity::kSha256;
  return (hashes ? to_hasher_ : to_closer_).has_room(2) && pool_.has_room();
}

// By the ring's producer, for a record that is large: it is copied once instead of twice, while the
// caller's cache still has it, and no other thread need wake up for it. False: something is in the
// way, and the ring takes it as always.
bool WriterCore::append_in_place(ByteRing& ring, RecordType type, std::span<const std::byte> head,
                                 std::span<const std::byte> body) {
  const std::unique_lock committing(committing_mutex_, std::try_to_lock);
  // [FAIL] acquire pairs with the release in fail().
  if (!committing || failed_.load(std::memory_order_acquire) || !ring.is_empty()) return false;
  if (!can_commit_now() || !append_record(type, head, body)) return false;
  ring.pass_by();
  committer_.in_place.fetch_add(1, std::memory_order_relaxed);  // relaxed: statistics
  if (committer_.open.records_bytes >= config_.block_bytes) close_open_block();
  return true;
}

void WriterCore::close_open_block() {
  Committer& me = committer_;
  me.stage.seal(me.open.crc_of_crcs);
  me.stage.finish(*me.buffer);
  FilledBlock block;
  block.filled.buffer = std::move(me.buffer);
  block.filled.open = me.open;
  if (config_.record_trees) block.filled.open.flags |= kBlockRecordTree;
  block.filled.payload_bytes = me.open_payload_bytes;
  // [RINGS] acquire: pairs with the release in lease_ring().
  const std::uint32_t count = ring_count_.load(std::memory_order_acquire);
  for (std::uint32_t index = 0; index < count; ++index) {
    block.filled.positions.push_back(rings_[index]->consumed_position());
  }
  me.next_sequence += me.open.record_count;
  me.open = OpenBlock{};
  me.open_payload_bytes = 0;
  hand_over(std::move(block));
}

bool WriterCore::is_due(Deadline now) const {
  return now - committer_.opened_at >= config_.commit_interval;
}

void WriterCore::idle(const Rest& rest) {
  std::unique_lock lock(mutex_);
  committer_wake_.wait_until(lock, *rest.until, [this, &rest] {
    // Relaxed, all three: they change under mutex_, which this thread holds here.
    return woken_ || stop_.load(std::memory_order_relaxed) ||
           failed_.load(std::memory_order_relaxed) ||
           closes_asked_.load(std::memory_order_relaxed) != rest.asked;
  });
  woken_ = false;
}

// The last act: the log is sealed once all of it is durable, so that the seal promises all of it.
void WriterCore::finish() {
  const std::lock_guard committing(committing_mutex_);
  {
    std::unique_lock lock(mutex_);
    progress_.wait(lock, [this] {
      return error_.has_value() || safe_sequence() + 1 >= committer_.next_sequence;
    });
  }
  // [FAIL] acquire pairs with the release in fail().
  if (!failed_.load(std::memory_order_acquire)) {
    FilledBlock seal;
    seal.seals = true;
    hand_over(std::move(seal));
  }
  if (!closer_thread_.joinable()) {
    end_closing();
  } else if (hasher_thread_.joinable()) {
    to_hasher_.end();
  } else {
    to_closer_.end();
  }
}

}  // namespace grace::ledger::internal
