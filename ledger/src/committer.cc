#include <algorithm>
#include <cstring>

#include "grace/ledger/crc32c.h"
#include "writer_core.h"

namespace grace::ledger::internal {
namespace {

// From one ring in one pass, so that a busy producer cannot keep others waiting for long.
constexpr std::uint64_t kPassBytesMax = 256 << 10;
// The next segment is prepared once this part of the current one is used.
constexpr std::uint64_t kAheadFraction = 16;
constexpr std::chrono::microseconds kIdleSleepMin{50};

}  // namespace

void WriterCore::run_committer() {
  for (;;) {
    // [STOP] acquire: what producers appended before close() is in the rings. Pairs with the
    // release in close(). Read before draining, so that an empty ring means it has all been taken.
    const bool stopping = stop_.load(std::memory_order_acquire);
    // [ASK] acquire: the same for whoever asked for an early close. Pairs with the release in
    // wait_safe().
    const std::uint64_t asked = closes_asked_.load(std::memory_order_acquire);
    const Pass pass = drain();
    // [FAIL] acquire pairs with the release in fail().
    if (failed_.load(std::memory_order_acquire)) break;
    const Deadline now = std::chrono::steady_clock::now();
    const bool urgent = asked != committer_.closes_done;
    if (committer_.open.record_count > 0 && (urgent || stopping || is_due(now))) {
      close_open_block(0);
    }
    if (pass.emptied) {
      committer_.closes_done = asked;
      if (stopping) break;
    }
    if (pass.bytes == 0) {
      idle(asked, now);
    } else {
      committer_.idle_sleep = std::chrono::microseconds(0);
    }
  }
  finish();
}

WriterCore::Pass WriterCore::drain() {
  Pass pass;
  // [RINGS] acquire: the ring was made before it was counted. Pairs with the release in
  // lease_ring().
  const std::uint32_t count = ring_count_.load(std::memory_order_acquire);
  for (std::uint32_t index = 0; index < count; ++index) {
    ByteRing& ring = *rings_[index];
    const std::uint64_t start = ring.consumed_position();
    ByteRing::Entry entry;
    bool more = ring.front(entry);
    while (more) {
      if (!append_record(entry.type, entry.payload)) return pass;
      ring.pop();
      if (committer_.open.records_bytes >= config_.block_bytes) close_open_block(0);
      if (ring.consumed_position() - start >= kPassBytesMax) break;
      more = ring.front(entry);
    }
    pass.emptied = pass.emptied && !more;
    pass.bytes += ring.consumed_position() - start;
    ring.release();
  }
  return pass;
}

bool WriterCore::has_room(std::uint64_t footprint_bytes) const {
  return !committer_.segment.empty() &&
         committer_.block_at + block_footprint_bytes(footprint_bytes) + kSealBlockBytes <=
             committer_.segment.size();
}

bool WriterCore::append_record(RecordType type, std::span<const std::byte> payload) {
  Committer& me = committer_;
  const std::uint64_t footprint = record_footprint_bytes(payload.size());
  if (!has_room(me.open.records_bytes + footprint)) {
    if (me.open.record_count > 0) close_open_block(0);
    if (!has_room(footprint) && !take_segment()) return false;
  }
  if (me.open.record_count == 0) me.opened_at = std::chrono::steady_clock::now();
  RecordHeader header;
  header.length = static_cast<std::uint32_t>(payload.size());
  header.sequence = me.next_sequence + me.open.record_count;
  header.type = type;
  header.crc = record_crc(header, payload);
  std::byte* const at =
      me.segment.data() + me.block_at + sizeof(BlockHeader) + me.open.records_bytes;
  std::memcpy(at, &header, sizeof(header));
  // Padding after the payload is zero already: a segment is made of zeros and written once.
  if (!payload.empty()) std::memcpy(at + sizeof(header), payload.data(), payload.size());
  me.open.crc_of_crcs = crc32c_extend(
      me.open.crc_of_crcs, std::as_bytes(std::span<const std::uint32_t, 1>(&header.crc, 1)));
  me.open.records_bytes += footprint;
  me.open.record_count += 1;
  me.open_payload_bytes += payload.size();
  return true;
}

void WriterCore::close_open_block(std::uint32_t flags) {
  Committer& me = committer_;
  FilledBlock block;
  block.new_segment = std::move(me.new_segment);
  block.at = me.block_at;
  block.open = me.open;
  block.open.flags = flags;
  if (config_.record_trees && me.open.record_count > 0) block.open.flags |= kBlockRecordTree;
  block.payload_bytes = me.open_payload_bytes;
  // [RINGS] acquire: pairs with the release in lease_ring().
  const std::uint32_t count = ring_count_.load(std::memory_order_acquire);
  for (std::uint32_t index = 0; index < count; ++index) {
    block.positions.push_back(rings_[index]->consumed_position());
  }
  me.next_sequence += me.open.record_count;
  me.block_at += block_footprint_bytes(me.open.records_bytes);
  me.open = OpenBlock{};
  me.open_payload_bytes = 0;
  hand_over(std::move(block));
  if (!me.asked_ahead && me.block_at >= me.segment.size() / kAheadFraction) {
    preparer_->want_ahead();
    me.asked_ahead = true;
  }
}

// Seals the current segment, if there is one, and goes on in the next.
bool WriterCore::take_segment() {
  Committer& me = committer_;
  if (!me.segment.empty()) close_open_block(kBlockSeals);
  // [FAIL] acquire pairs with the release in fail().
  if (failed_.load(std::memory_order_acquire)) return false;
  bool waited = false;
  auto segment = preparer_->take(waited);
  if (!segment) {
    fail(segment.error());
    return false;
  }
  me.new_segment = std::move(*segment);
  me.segment = me.new_segment->bytes();
  me.block_at = kFirstBlockOffset;
  me.asked_ahead = false;
  const std::lock_guard lock(mutex_);
  stats_.segment_waits += waited ? 1 : 0;
  return true;
}

bool WriterCore::is_due(Deadline now) const {
  return now - committer_.opened_at >= config_.commit_interval;
}

// Nothing arrived: yields once, then sleeps longer and longer, but never past the time at which the
// open block is due.
void WriterCore::idle(std::uint64_t asked, Deadline now) {
  Committer& me = committer_;
  if (me.idle_sleep.count() == 0) {
    me.idle_sleep = kIdleSleepMin;
    std::this_thread::yield();
    return;
  }
  Deadline until = now + me.idle_sleep;
  if (me.open.record_count > 0) until = std::min(until, me.opened_at + config_.commit_interval);
  me.idle_sleep = std::min(me.idle_sleep * 2, config_.idle_wait_max);
  std::unique_lock lock(mutex_);
  committer_wake_.wait_until(lock, until, [this, asked] {
    // Relaxed, all three: they change under mutex_, which this thread holds here.
    return woken_ || stop_.load(std::memory_order_relaxed) ||
           failed_.load(std::memory_order_relaxed) ||
           closes_asked_.load(std::memory_order_relaxed) != asked;
  });
  woken_ = false;
}

// The last act: the log is sealed once all of it is durable, so that the seal promises all of it.
void WriterCore::finish() {
  Committer& me = committer_;
  // With a segment of which nothing was handed over yet there is nothing to seal. [FAIL] acquire
  // pairs with the release in fail().
  if (!failed_.load(std::memory_order_acquire) && !me.segment.empty() &&
      me.new_segment == nullptr) {
    {
      std::unique_lock lock(mutex_);
      progress_.wait(lock, [this] {
        // Relaxed, both: they change under mutex_.
        const std::uint64_t safe = config_.sync == SyncMode::kNone
                                       ? written_sequence_.load(std::memory_order_relaxed)
                                       : durable_sequence_.load(std::memory_order_relaxed);
        return error_.has_value() || safe + 1 >= committer_.next_sequence;
      });
    }
    if (!failed_.load(std::memory_order_acquire)) close_open_block(kBlockSeals);  // [FAIL]
  }
  if (closer_thread_.joinable()) {
    {
      const std::lock_guard lock(filled_mutex_);
      filled_ended_ = true;
    }
    filled_changed_.notify_all();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    closing_done_ = true;
  }
  syncer_wake_.notify_one();
}

}  // namespace grace::ledger::internal
