#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/packed_event.h"
#include "grace/core/platform.h"
#include "grace/core/stream_copy.h"
#include "grace/core/thread_role.h"

// A ring of packed events from one producer to one consumer, over memory that both reach:
//
//   memory  [ . . | record | record | padding ][ record | . . . . ]      positions count bytes for
//                 ^ head                                  ^ tail        ever, masked to the memory
//
// A record lies in one piece; what is left before the end becomes a padding record. In one process
// the memory may be of several blocks, none of which a record crosses: the consumer can then have a
// block that is full as it is, without copying it, and puts another in its place. The producer
// hands records over in batches, by moving `tail`. Closing is a bit of `tail`, so that a batch is
// either handed over before the close, and then seen by the consumer, or refused: never lost.
// The consumer trusts nothing that it reads: it keeps its own head, checks every size, and copies a
// record before anybody looks at what it says.
namespace grace::core {

struct PackedRingState {
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63;  // by the consumer
  static constexpr std::uint64_t kEnded = std::uint64_t{1} << 62;   // by the producer
  static constexpr std::uint64_t kPosition = kEnded - 1;

  alignas(kCacheLineBytes) std::atomic<std::uint64_t> tail{0};  // behind the last record
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> head{0};  // all before is free
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// A part of a ring's memory. The producer says what a full one holds before it hands over its end;
// the consumer changes `memory` before it gives the block back.
struct PackedBlock {
  char* memory = nullptr;        // on a cache line
  std::uint32_t used_bytes = 0;  // without the padding record at its end
  std::uint32_t records = 0;
};

// Where positions are. As many bytes a block, and as many blocks, as a power of two says.
class PackedMemory {
 public:
  PackedMemory(char* memory, std::size_t bytes) noexcept
      : memory_(memory), bytes_(bytes), block_bytes_(bytes) {}
  PackedMemory(std::span<PackedBlock> blocks, std::size_t block_bytes) noexcept
      : blocks_(blocks), bytes_(blocks.size() * block_bytes), block_bytes_(block_bytes) {}

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t block_bytes() const noexcept { return block_bytes_; }
  [[nodiscard]] std::size_t in_block(std::uint64_t position) const noexcept {
    return static_cast<std::size_t>(position) & (block_bytes_ - 1);
  }
  [[nodiscard]] std::size_t to_end(std::uint64_t position) const noexcept {
    return block_bytes_ - in_block(position);
  }
  // Null: the memory is one piece, and stays where it is.
  [[nodiscard]] PackedBlock* block_of(std::uint64_t position) const noexcept {
    if (blocks_.empty()) return nullptr;
    const std::size_t place = static_cast<std::size_t>(position) & (bytes_ - 1);
    return &blocks_[place >> std::countr_zero(block_bytes_)];
  }
  [[nodiscard]] char* at(std::uint64_t position) const noexcept {
    const PackedBlock* const block = block_of(position);
    return (block == nullptr ? memory_ : block->memory) + in_block(position);
  }

 private:
  char* memory_ = nullptr;
  std::span<PackedBlock> blocks_;
  std::size_t bytes_;
  std::size_t block_bytes_;
};

// The producer's end. Thread: one. Bounds: a record of at most half a block always finds room in an
// empty ring.
//
//   [ published | stored | staged ]      positions; what is staged is not in the ring's memory yet
//               ^ published_      ^ tail_
//                        ^ stored_
//
// Records are made in a stage of the writer's own and go from there to the ring in whole lines,
// past the caches (stream_copy.h), but for the first and last of what is handed over.
class PackedRingWriter {
 public:
  // `bytes` is a power of two; `memory` lies on a cache line. Both outlive the writer.
  PackedRingWriter(PackedRingState& state, char* memory, std::size_t bytes)
      : PackedRingWriter(state, PackedMemory(memory, bytes)) {}
  PackedRingWriter(PackedRingState& state, const PackedMemory& memory)
      : state_(&state), memory_(memory), stage_(std::make_unique<Stage>()) {}

  // Room for a record of `bytes` (a multiple of 8, at most half a block), on 8; null: full as long
  // as the consumer does not take more. Claiming again gives the same room.
  [[nodiscard]] char* claim(std::size_t bytes) noexcept {
    const std::size_t to_end = memory_.to_end(tail_);
    const std::size_t padding = to_end < bytes ? to_end : 0;
    if (!has_free(padding + bytes)) return nullptr;
    if (padding > 0) {
      store(tail_);
      const PackedPrefix prefix{static_cast<std::uint32_t>(padding), PackedForm::kPadding, 0, 0};
      std::memcpy(memory_.at(tail_), &prefix, sizeof prefix);
      end_block(memory_.in_block(tail_));
      tail_ += padding;
      stored_ = tail_;
    }
    // What is staged lies in one piece in the ring, too.
    in_place_ = bytes > kStagedRecordBytesMax;
    if (in_place_ || memory_.in_block(tail_) == 0) store(tail_);
    return in_place_ ? memory_.at(tail_) : staged(tail_);
  }
  // A record of `bytes` is written at the front of what was claimed.
  void commit(std::size_t bytes) noexcept {
    ++block_records_;
    if (bytes == memory_.to_end(tail_)) end_block(memory_.block_bytes());
    tail_ += bytes;
    if (in_place_) stored_ = tail_;
    if (tail_ - stored_ >= kStageBytes) store(tail_ - tail_ % kCacheLineBytes);
  }
  [[nodiscard]] std::size_t pending_bytes() const noexcept {
    return static_cast<std::size_t>(tail_ - published_);
  }
  // Hands over what was committed. False: the ring is closed, and none of it is.
  [[nodiscard]] bool flush() noexcept {
    if (tail_ == published_) return !closed();
    store(tail_);
    stream_fence();
    std::uint64_t expected = published_;
    // [RECORDS] release: publishes the records. Pairs with the acquire in PackedRingReader. Relaxed
    // when it fails: nothing is read on its strength.
    if (!state_->tail.compare_exchange_strong(expected, tail_, std::memory_order_release,
                                              std::memory_order_relaxed)) {
      tail_ = published_;
      stored_ = published_;
      return false;
    }
    published_ = tail_;
    return true;
  }
  // Handed over, and not taken yet.
  [[nodiscard]] std::size_t unread_bytes() const noexcept {
    // Relaxed: a figure.
    return static_cast<std::size_t>(published_ - state_->head.load(std::memory_order_relaxed));
  }
  [[nodiscard]] bool closed() const noexcept {
    // Relaxed: a hint; flush() decides.
    return (state_->tail.load(std::memory_order_relaxed) & PackedRingState::kClosed) != 0;
  }
  // Nothing more comes. What is pending is not handed over.
  void end() noexcept {
    // [RECORDS] release: as in flush(); the records before are there.
    state_->tail.fetch_or(PackedRingState::kEnded, std::memory_order_release);
  }

 private:
  // Staged before they are stored: little enough to stay in the nearest cache.
  static constexpr std::size_t kStageBytes = 4 * 1024;
  // Larger ones are written where they are to lie.
  static constexpr std::size_t kStagedRecordBytesMax = 8 * 1024;
  struct alignas(kCacheLineBytes) Stage {
    std::array<char, kCacheLineBytes + kStageBytes + kStagedRecordBytesMax> bytes;
  };

  // The block of the tail, which is still the writer's, holds so much.
  void end_block(std::size_t used_bytes) noexcept {
    PackedBlock* const block = memory_.block_of(tail_);
    const std::uint32_t records = std::exchange(block_records_, 0);
    if (block == nullptr) return;
    block->used_bytes = static_cast<std::uint32_t>(used_bytes);
    block->records = records;
  }
  // A position from stored_ on. On a line in the stage where it is on one in the ring.
  [[nodiscard]] char* staged(std::uint64_t position) const noexcept {
    return stage_->bytes.data() + static_cast<std::size_t>(position - stored_) +
           static_cast<std::size_t>(stored_) % kCacheLineBytes;
  }
  // What is staged before `until`: all of it, or whole lines.
  void store(std::uint64_t until) noexcept {
    if (until == stored_) return;  // the next block may be the consumer's
    const char* from = staged(stored_);
    char* to = memory_.at(stored_);
    std::size_t left = static_cast<std::size_t>(until - stored_);
    const std::size_t in_line = static_cast<std::size_t>(stored_) % kCacheLineBytes;
    if (in_line != 0) {
      const std::size_t head = std::min(left, kCacheLineBytes - in_line);
      std::memcpy(to, from, head);
      from += head;
      to += head;
      left -= head;
    }
    const std::size_t lines = left - left % kCacheLineBytes;
    stream_copy(to, from, lines);
    std::memcpy(to + lines, from + lines, left - lines);
    stored_ = until;
    // What follows the last whole line stays staged.
    if (tail_ != until) std::memcpy(stage_->bytes.data(), from + lines, kCacheLineBytes);
  }
  [[nodiscard]] bool has_free(std::size_t bytes) noexcept {
    const std::size_t all = memory_.bytes();
    if (all - static_cast<std::size_t>(tail_ - head_seen_) >= bytes) return true;
    // [ROOM] acquire: the consumer has copied all before, or has put other blocks there. Pairs with
    // the releases in PackedRingReader.
    const std::uint64_t head = state_->head.load(std::memory_order_acquire);
    // A consumer that is out of its mind gives no room.
    if (head > published_ || head < head_seen_) return false;
    head_seen_ = head;
    return all - static_cast<std::size_t>(tail_ - head_seen_) >= bytes;
  }

  PackedRingState* state_;
  PackedMemory memory_;
  std::unique_ptr<Stage> stage_;
  bool in_place_ = false;            // the claimed room is in memory_
  std::uint32_t block_records_ = 0;  // committed in the tail's block
  std::uint64_t tail_ = 0;           // behind what is committed
  std::uint64_t stored_ = 0;         // behind what is in memory_
  std::uint64_t published_ = 0;      // what the consumer was told
  std::uint64_t head_seen_ = 0;
};

// The consumer's end. Thread: one. Whatever the producer does to the memory, it reads inside it,
// ends, and counts.
class PackedRingReader {
 public:
  // Reads `memory` only.
  PackedRingReader(PackedRingState& state, const char* memory, std::size_t bytes) noexcept
      : PackedRingReader(state, PackedMemory(const_cast<char*>(memory), bytes)) {}
  PackedRingReader(PackedRingState& state, const PackedMemory& memory) noexcept
      : state_(&state), memory_(memory) {}

  struct Taken {
    std::size_t bytes = 0;
    std::uint32_t records = 0;
    std::uint64_t oversized = 0;  // records over the limit, skipped
    bool more = false;            // stopped by `room` or `bytes_max`, not for want of records
    bool broken = false;          // positions or sizes make no sense: nothing more can be read
  };
  // Copies whole records to `out`: no more than `room`, none once `bytes_max` are taken, and none
  // past the end of a block.
  // `past_caches`: this thread does not read them again, so that many of them at once may go past
  // the caches. Gain: 0.71 to 0.99 of simdjson alone for what a program publishes to an engine with
  // a thread for ingest, where its cores share no cache.
  [[nodiscard]] Taken take(char* out, std::size_t room, std::size_t bytes_max,
                           std::size_t record_bytes_max, bool past_caches = false) noexcept {
    Taken taken;
    const std::uint64_t begin = head_;
    // [RECORDS] acquire: the records before `tail` are written. Pairs with the release in flush().
    const std::uint64_t tail =
        state_->tail.load(std::memory_order_acquire) & PackedRingState::kPosition;
    taken.broken = tail < head_ || tail - head_ > memory_.bytes() || tail % kPackedAlignBytes != 0;
    const bool streams = past_caches && tail - head_ >= kStreamedBytesMin;
    while (!taken.broken && head_ != tail) {
      const char* const record = memory_.at(head_);
      const std::size_t left =
          std::min(static_cast<std::size_t>(tail - head_), memory_.to_end(head_));
      PackedPrefix prefix;
      std::memcpy(&prefix, record, sizeof prefix);  // once: it may change meanwhile
      const std::size_t size = prefix.size_bytes;
      const bool padding = prefix.form == PackedForm::kPadding;
      if (size % kPackedAlignBytes != 0 || size > left ||
          size < (padding ? sizeof prefix : sizeof(PackedHeader))) {
        taken.broken = true;
        break;
      }
      if (!padding && size <= record_bytes_max) {
        if (taken.bytes >= bytes_max || size > room - taken.bytes) {
          taken.more = true;
          break;
        }
        fetch_ahead();
        copy_record(out + taken.bytes, prefix, record, streams);
        taken.bytes += size;
        ++taken.records;
      } else if (!padding) {
        ++taken.oversized;
      }
      head_ += size;
      // The next block may be had as it is.
      if (memory_.in_block(head_) == 0 && memory_.block_of(head_) != nullptr && taken.bytes > 0) {
        break;
      }
    }
    if (streams) stream_fence();
    if (head_ != begin) {
      // [ROOM] release: our reads are done before the producer sees the room. Pairs with the
      // acquire in has_free().
      state_->head.store(head_, std::memory_order_release);
    }
    return taken;
  }
  // The block at the front, of a ring of blocks: all of it is handed over and none of it taken.
  // Null: not so.
  [[nodiscard]] const PackedBlock* full_block() const noexcept {
    if (memory_.in_block(head_) != 0) return nullptr;
    // [RECORDS] acquire: as in take(), for the block's figures too.
    const std::uint64_t tail =
        state_->tail.load(std::memory_order_acquire) & PackedRingState::kPosition;
    return tail - head_ < memory_.block_bytes() ? nullptr : memory_.block_of(head_);
  }
  // The full_block() is the caller's from now on, and `memory` of as many bytes is in its place.
  void replace_block(char* memory) noexcept {
    memory_.block_of(head_)->memory = memory;
    head_ += memory_.block_bytes();
    // [ROOM] release: as in take(), with the new block.
    state_->head.store(head_, std::memory_order_release);
  }
  // From now on nothing is handed over; what was is still there to take.
  void close() noexcept {
    // Relaxed: take() reads the tail with the order it needs.
    state_->tail.fetch_or(PackedRingState::kClosed, std::memory_order_relaxed);
  }
  // The producer has said that nothing more comes, and nothing is left.
  [[nodiscard]] bool finished() const noexcept {
    // [RECORDS] acquire: as in take().
    const std::uint64_t tail = state_->tail.load(std::memory_order_acquire);
    return (tail & PackedRingState::kEnded) != 0 && (tail & PackedRingState::kPosition) == head_;
  }
  [[nodiscard]] bool empty() const noexcept {
    // [RECORDS] acquire: as in take().
    return (state_->tail.load(std::memory_order_acquire) & PackedRingState::kPosition) == head_;
  }

 private:
  static constexpr std::uint64_t kStreamedBytesMin = 4 * 1024;

  // With the size that was checked, and a form that is an event's, whatever stands there by now.
  static void copy_record(char* to, const PackedPrefix& prefix, const char* record,
                          bool streams) noexcept {
    if (streams) {
      stream_words(to, &prefix, sizeof prefix);
      stream_words(to + sizeof prefix, record + sizeof prefix, prefix.size_bytes - sizeof prefix);
    } else {
      std::memcpy(to, record, prefix.size_bytes);
      std::memcpy(to, &prefix, sizeof prefix);
    }
  }
  // As many lines as most records have, from the memory that the writer streamed them to. Gain: 2%
  // of a publishing program's events/s, 6% where the cores share no cache.
  void fetch_ahead() const noexcept {
    constexpr std::size_t kAheadBytes = 1024;
    for (std::size_t line = 0; line < 3; ++line) {
      __builtin_prefetch(memory_.at(head_ + kAheadBytes + line * kCacheLineBytes));
    }
  }

  PackedRingState* state_;
  PackedMemory memory_;
  std::uint64_t head_ = 0;
};

}  // namespace grace::core
