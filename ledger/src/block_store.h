#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "block.h"
#include "block_buffer.h"
#include "block_writer.h"
#include "grace/ledger/log_config.h"
#include "segment_file.h"
#include "segment_preparer.h"

namespace grace::ledger::internal {

// Blocks on their way to the disk: gives them their place in the log and in a segment, writes them,
// makes them durable, and writes them anew where that failed.
//
// Fail-over: a failed write, a failed sync and a file that somebody cut short are all the end of
// that segment file. It is never synced again, since after a failed sync the kernel may call pages
// clean that it has dropped. What was durable in it stays; all blocks after that were kept in
// memory and are written, byte by byte the same, into a new segment, whose header says where the
// one before ends (kFeatureFailOver). Later files, of which nothing was durable, are removed first.
//
// Two threads: the storing one (append(), seal()) and the syncer (sync()). Buffers of blocks that
// are durable go back to the pool.
class BlockStore {
 public:
  // `config`, `preparer` and `pool` are borrowed and outlive this. `chain`: what recovery found.
  BlockStore(const LogConfig& config, SegmentPreparer& preparer, BlockBufferPool& pool,
             const ChainState& chain, std::uint64_t next_segment_number);

  // A block whose records are in place, and how far it takes each ring.
  struct Filled {
    std::unique_ptr<BlockBuffer> buffer;
    OpenBlock open;
    Hash records_hash{};
    std::uint64_t payload_bytes = 0;
    std::vector<std::uint64_t> positions;
  };

  // --- the storing thread ---

  // Begins the log's first segment, so that the log can be read while it is still empty.
  [[nodiscard]] Result<void> begin();
  // The block is D1 when this returns: the error of the last attempt if no segment takes it.
  [[nodiscard]] Result<void> append(Filled&& block);
  // Ends the segment, if there is one, with a seal.
  [[nodiscard]] Result<void> seal();
  // Of the last record stored, or found by recovery.
  [[nodiscard]] std::uint64_t written_sequence() const;

  // --- the syncer ---

  struct Synced {
    std::uint64_t sequence = 0;            // durable now
    std::vector<std::uint64_t> positions;  // by ring; may be shorter than the rings are many
    bool failed_over = false;              // the rest is in new segments: again
  };
  // All that was stored before the call. With SyncMode::kNone: only cuts sealed files to size.
  [[nodiscard]] Result<Synced> sync();

  // --- any thread ---

  struct Stats {
    std::uint64_t records = 0;  // counted before they can be seen
    std::uint64_t payload_bytes = 0;
    std::uint64_t blocks = 0;
    std::uint64_t block_bytes = 0;
    std::uint64_t segments_begun = 0;
    std::uint64_t segment_waits = 0;
    std::uint64_t fail_overs = 0;
  };
  [[nodiscard]] Stats stats() const;
  [[nodiscard]] std::optional<Error> last_fail_over() const;

 private:
  struct Stored {
    std::unique_ptr<BlockBuffer> buffer;
    std::uint64_t bytes = 0;
    std::vector<std::uint64_t> positions;
    std::uint64_t segment_number = 0;
    std::uint64_t end = 0;  // where it ends in that segment
    [[nodiscard]] BlockHeader header() const {
      return load<BlockHeader>({buffer->data(), sizeof(BlockHeader)});
    }
    [[nodiscard]] bool seals() const { return (header().flags & kBlockSeals) != 0; }
    [[nodiscard]] Hash chain_value() const {
      const std::span<const std::byte> block(buffer->data(), bytes);
      return load<BlockFooter>(block, bytes - sizeof(BlockFooter)).chain;
    }
  };

  // All with storing_mutex_ held.
  [[nodiscard]] bool has_room(std::uint64_t bytes) const {
    return segment_ != nullptr && segment_at_ + bytes + kSealBlockBytes <= segment_->capacity();
  }
  [[nodiscard]] std::uint64_t promise() const;
  [[nodiscard]] Stored make_seal();
  [[nodiscard]] Result<void> begin_next();
  [[nodiscard]] Result<void> begin_segment(const ChainState& before, std::uint64_t promised);
  [[nodiscard]] Result<void> put(Stored block);
  [[nodiscard]] Result<void> write(Stored& block);
  [[nodiscard]] Result<void> fail_over(Error cause, std::deque<Stored> unstored);
  // The segments that were live, and where the log is durable to.
  struct Abandoned {
    std::deque<std::shared_ptr<SegmentFile>> segments;
    std::uint64_t durable_number = 0;
    std::uint64_t durable_end = 0;  // in that segment; 0: its end, it is sealed
  };
  [[nodiscard]] Result<void> abandon(Abandoned abandoned);
  [[nodiscard]] Result<void> store_again(std::deque<Stored>& blocks);

  struct SyncJob {
    std::shared_ptr<SegmentFile> segment;
    std::uint64_t end;
    bool sealed;
  };
  // How far a sync came: the blocks kept when it began, and the jobs done.
  struct SyncedPart {
    std::size_t blocks = 0;
    std::size_t jobs = 0;
    std::uint64_t epoch = 0;
  };
  [[nodiscard]] bool pass_durable(const SyncedPart& part, const std::vector<SyncJob>& jobs,
                                  Synced& report);

  [[nodiscard]] bool syncs() const { return config_.sync == SyncMode::kGroup; }

  const LogConfig& config_;
  SegmentPreparer& preparer_;
  BlockBufferPool& pool_;

  // Held while blocks get their places: by the storing thread, or by the syncer for a fail-over.
  // Taken before mutex_.
  std::mutex storing_mutex_;
  // Guarded by storing_mutex_.
  ChainState chain_;
  std::uint64_t next_segment_number_;
  std::uint64_t previous_end_ = 0;  // for the next segment's header
  std::shared_ptr<SegmentFile> segment_;
  std::uint64_t segment_at_ = 0;  // where the next block begins
  bool asked_ahead_ = false;
  bool no_segment_left_ = false;  // the latest error is that of the preparer

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::deque<std::shared_ptr<SegmentFile>> live_;  // begun and not yet durable to their end
  std::deque<Stored> kept_;                        // written and not yet durable
  // The end of what is durable (written, with SyncMode::kNone).
  struct End {
    ChainState chain;
    std::uint64_t segment_number = 0;
    std::uint64_t at = 0;
    bool sealed = true;
    void pass(const Stored& block) {
      advance_chain(chain, block.header(), block.chain_value());
      segment_number = block.segment_number;
      at = block.end;
      sealed = block.seals();
    }
  } end_;
  std::uint64_t epoch_ = 0;  // of fail-overs: a sync begun in an earlier one counts for nothing
  std::uint32_t fail_overs_in_a_row_ = 0;
  std::optional<Error> last_fail_over_;
  Stats stats_;
};

}  // namespace grace::ledger::internal
