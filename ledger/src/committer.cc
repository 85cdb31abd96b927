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
  return committer_.segment != nullptr &&
         committer_.block_at + block_footprint_bytes(footprint_bytes) + kSealBlockBytes <=
             committer_.segment->capacity();
}

bool WriterCore::append_record(RecordType type, std::span<const std::byte> payload) {
  Committer& me = committer_;
  const std::uint64_t footprint = record_footprint_bytes(payload.size());
  if (!has_room(me.open.records_bytes + footprint)) {
    if (me.open.record_count > 0) close_open_block(0);
    if (!has_room(footprint) && !begin_segment()) return false;
  }
  if (me.open.record_count == 0) me.opened_at = std::chrono::steady_clock::now();
  RecordHeader header;
  header.length = static_cast<std::uint32_t>(payload.size());
  header.sequence = me.chain.next_sequence + me.open.record_count;
  header.type = type;
  header.crc = record_crc(header, payload);
  std::byte* const at =
      me.segment->bytes().data() + me.block_at + sizeof(BlockHeader) + me.open.records_bytes;
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

std::uint64_t WriterCore::promise() const {
  // Without syncs, being written is all that is ever promised.
  if (config_.sync == SyncMode::kNone) return committer_.chain.next_sequence - 1;
  // [DURABLE] acquire: the promise goes to disk only after the sync it speaks of. Pairs with the
  // release in run_syncer().
  return durable_sequence_.load(std::memory_order_acquire);
}

void WriterCore::close_open_block(std::uint32_t flags) {
  Committer& me = committer_;
  me.open.flags = flags;
  me.open.promised_sequence = promise();
  const std::uint64_t bytes = block_footprint_bytes(me.open.records_bytes);
  close_block(me.chain, me.open, wall_clock_ns(config_),
              me.segment->bytes().subspan(me.block_at, bytes), &me.hasher);
  me.block_at += bytes;
  {
    const std::lock_guard lock(mutex_);
    stats_.records += me.open.record_count;
    stats_.payload_bytes += me.open_payload_bytes;
    stats_.blocks += 1;
    stats_.block_bytes += bytes;
  }
  me.open = OpenBlock{};
  me.open_payload_bytes = 0;
  const std::uint64_t ahead_at = me.segment->capacity() / kAheadFraction;
  publish_commit((flags & kBlockSeals) != 0);
  // From here on a sealed segment may be gone: the syncer destroys it.
  if (!me.asked_ahead && me.block_at >= ahead_at) {
    preparer_->want_ahead();
    me.asked_ahead = true;
  }
}

// Everything up to block_at is in the mapping: hands it to the syncer.
void WriterCore::publish_commit(bool sealed) {
  const std::uint64_t sequence = committer_.chain.next_sequence - 1;
  // [RINGS] acquire: pairs with the release in lease_ring().
  const std::uint32_t count = ring_count_.load(std::memory_order_acquire);
  {
    const std::lock_guard lock(mutex_);
    committer_.segment->written_end = committer_.block_at;
    committer_.segment->sealed = sealed;
    handed_sequence_ = sequence;
    for (std::uint32_t index = 0; index < count; ++index) {
      written_positions_[index] = rings_[index]->consumed_position();
      rings_[index]->set_written(written_positions_[index]);
    }
    unsynced_ = true;
    // [WRITTEN] release: after the block's magic. Pairs with the acquire in written_sequence().
    written_sequence_.store(sequence, std::memory_order_release);
  }
  syncer_wake_.notify_one();
  if (config_.sync == SyncMode::kNone) progress_.notify_all();
}

// Seals the current segment, if there is one, and goes on in the next.
bool WriterCore::begin_segment() {
  Committer& me = committer_;
  if (me.segment != nullptr) close_open_block(kBlockSeals);
  bool waited = false;
  {
    // Full segments wait for their sync: with too many of them, so does the committer.
    std::unique_lock lock(mutex_);
    waited = live_.size() > config_.segments_unsynced_max;
    progress_.wait(lock, [this] {
      return live_.size() <= config_.segments_unsynced_max || error_.has_value();
    });
    if (error_) return false;
  }
  bool waited_for_segment = false;
  auto segment = preparer_->take(waited_for_segment);
  if (!segment) {
    fail(segment.error());
    return false;
  }
  SegmentHeader header;
  header.log_id = me.chain.log_id;
  header.segment_number = me.next_segment_number;
  header.first_sequence = me.chain.next_sequence;
  header.first_block_number = me.chain.next_block_number;
  header.integrity = me.chain.integrity;
  header.previous_root = me.chain.root;
  header.created_ns = wall_clock_ns(config_);
  header.promised_sequence = promise();
  me.chain.promised_sequence = header.promised_sequence;
  if (auto begun = (*segment)->begin(header); !begun) {
    fail(begun.error());
    return false;
  }
  me.next_segment_number += 1;
  me.segment = segment->get();
  me.block_at = kFirstBlockOffset;
  me.asked_ahead = false;
  {
    const std::lock_guard lock(mutex_);
    live_.push_back(std::move(*segment));
    stats_.segments_begun += 1;
    stats_.segment_waits += waited || waited_for_segment ? 1 : 0;
  }
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
  if (!failed_.load(std::memory_order_acquire) && committer_.segment != nullptr) {  // [FAIL]
    {
      std::unique_lock lock(mutex_);
      progress_.wait(lock, [this] {
        // Relaxed: changes under mutex_.
        return error_.has_value() || config_.sync == SyncMode::kNone ||
               durable_sequence_.load(std::memory_order_relaxed) >= handed_sequence_;
      });
    }
    if (!failed_.load(std::memory_order_acquire)) close_open_block(kBlockSeals);  // [FAIL]
  }
  {
    const std::lock_guard lock(mutex_);
    committer_done_ = true;
  }
  syncer_wake_.notify_one();
}

}  // namespace grace::ledger::internal
