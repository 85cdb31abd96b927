#include "block_store.h"

#include <iterator>
#include <utility>

#include "assert.h"
#include "io_error.h"

namespace grace::ledger::internal {
namespace {

// Without a sync that succeeds between them: then the disk is beyond help.
constexpr std::uint32_t kFailOversInARowMax = 3;
// The next segment is prepared once this part of the current one is used.
constexpr std::uint64_t kAheadFraction = 16;

}  // namespace

BlockStore::BlockStore(const LogConfig& config, SegmentPreparer& preparer, BlockBufferPool& pool,
                       const ChainState& chain, std::uint64_t next_segment_number)
    : config_(config),
      preparer_(preparer),
      pool_(pool),
      chain_(chain),
      next_segment_number_(next_segment_number),
      end_{chain, next_segment_number - 1, 0, true} {}

std::uint64_t BlockStore::promise() const {
  // Without syncs, being written is all that is ever promised.
  if (!syncs()) return chain_.next_sequence - 1;
  const std::lock_guard lock(mutex_);
  return end_.chain.next_sequence - 1;
}

std::uint64_t BlockStore::written_sequence() const {
  return chain_.next_sequence - 1;
}

BlockStore::Stats BlockStore::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

std::optional<Error> BlockStore::last_fail_over() const {
  const std::lock_guard lock(mutex_);
  return last_fail_over_;
}

Result<void> BlockStore::begin() {
  const std::lock_guard storing(storing_mutex_);
  return begin_next();
}

Result<void> BlockStore::append(Filled&& filled) {
  const std::lock_guard storing(storing_mutex_);
  const std::uint64_t bytes = block_footprint_bytes(filled.open.records_bytes);
  while (!has_room(bytes)) {
    auto made = segment_ != nullptr ? put(make_seal()) : begin_next();
    if (!made) return made;
  }
  {
    const std::lock_guard lock(mutex_);
    stats_.records += filled.open.record_count;
    stats_.payload_bytes += filled.payload_bytes;
  }
  filled.open.promised_sequence = promise();
  Stored block{std::move(filled.buffer), bytes, std::move(filled.positions), 0, 0};
  close_block(chain_, filled.open, filled.records_hash, wall_clock_ns(config_),
              block.buffer->first(bytes));
  return put(std::move(block));
}

Result<void> BlockStore::seal() {
  const std::lock_guard storing(storing_mutex_);
  // A segment that ends without a seal has another behind it, whose header says so.
  if (segment_ == nullptr && previous_end_ > 0) {
    if (auto begun = begin_next(); !begun) return begun;
  }
  if (segment_ == nullptr) return {};
  return put(make_seal());
}

BlockStore::Stored BlockStore::make_seal() {
  Stored seal{std::make_unique<BlockBuffer>(kSealBlockBytes), kSealBlockBytes, {}, 0, 0};
  chain_.promised_sequence = promise();
  write_seal_block(chain_, wall_clock_ns(config_), seal.buffer->first(kSealBlockBytes));
  return seal;
}

// Where the file fails and not the supply of files, another is tried: segment_ may be null then.
Result<void> BlockStore::begin_next() {
  const std::uint64_t promised = promise();
  auto begun = begin_segment(chain_, promised);
  if (begun) chain_.promised_sequence = promised;
  if (begun || no_segment_left_) return begun;
  return fail_over(begun.error(), {});
}

Result<void> BlockStore::begin_segment(const ChainState& before, std::uint64_t promised) {
  bool waited = false;
  auto taken = preparer_.take(waited);
  no_segment_left_ = !taken;
  if (!taken) return tl::unexpected<Error>(taken.error());
  std::shared_ptr<SegmentFile> segment = std::move(*taken);
  SegmentStart start{{}, before.blocks};
  SegmentHeader& header = start.header;
  header.log_id = before.log_id;
  header.segment_number = next_segment_number_;
  header.first_sequence = before.next_sequence;
  header.first_block_number = before.next_block_number;
  header.integrity = before.integrity;
  header.previous_root = before.root;
  header.created_ns = wall_clock_ns(config_);
  header.promised_sequence = promised;
  header.features = previous_end_ > 0 ? kFeatureFailOver : 0;
  if (config_.compress_after_segments > 0) header.features |= kFeatureCompressed;
  header.previous_end = previous_end_;
  if (auto begun = segment->begin(start); !begun) {
    segment->remove();
    return begun;
  }
  if (header.segment_number == 1 && syncs()) {
    // Or a later segment's name might outlive this one's, and the log seem to begin there.
    const int synced = config_.file_system->sync_directory(config_.directory);
    if (synced < 0) {
      segment->remove();
      return make_io_error("sync directory", config_.directory, synced);
    }
  }
  next_segment_number_ += 1;
  previous_end_ = 0;
  segment_ = segment;
  segment_at_ = kFirstBlockOffset;
  asked_ahead_ = false;
  const std::lock_guard lock(mutex_);
  live_.push_back(std::move(segment));
  stats_.segments_begun += 1;
  stats_.segment_waits += waited ? 1 : 0;
  return {};
}

Result<void> BlockStore::put(Stored block) {
  {
    const std::lock_guard lock(mutex_);
    stats_.blocks += 1;
    stats_.block_bytes += block.bytes;
  }
  auto written = write(block);
  if (written) return written;
  std::deque<Stored> unstored;
  unstored.push_back(std::move(block));
  return fail_over(written.error(), std::move(unstored));
}

// Into segment_, where it has room. The block is left with the caller if that fails.
Result<void> BlockStore::write(Stored& block) {
  auto written = segment_->write(segment_at_, block.buffer->first(block.bytes));
  if (!written) return written;
  segment_at_ += block.bytes;
  block.segment_number = segment_->number();
  block.end = segment_at_;
  if (!asked_ahead_ && segment_at_ >= segment_->capacity() / kAheadFraction) {
    preparer_.want_ahead();
    asked_ahead_ = true;
  }
  const bool seals = block.seals();
  std::unique_ptr<BlockBuffer> unneeded;
  {
    const std::lock_guard lock(mutex_);
    segment_->written_end = segment_at_;
    segment_->sealed = seals;
    if (syncs()) {
      kept_.push_back(std::move(block));
    } else {
      end_.pass(block);
      fail_overs_in_a_row_ = 0;
      unneeded = std::move(block.buffer);
    }
  }
  if (seals) segment_.reset();
  if (!seals) pool_.give_back(std::move(unneeded));
  return {};
}

// Everything that is not durable, and behind it `unstored`, is written into a new segment.
Result<void> BlockStore::fail_over(Error cause, std::deque<Stored> unstored) {
  for (;;) {
    Abandoned abandoned;
    {
      const std::lock_guard lock(mutex_);
      ++epoch_;
      stats_.fail_overs += 1;
      last_fail_over_ = cause;
      if (++fail_overs_in_a_row_ > kFailOversInARowMax) return tl::unexpected<Error>(cause);
      unstored.insert(unstored.begin(), std::make_move_iterator(kept_.begin()),
                      std::make_move_iterator(kept_.end()));
      kept_.clear();
      // [EPOCH] In one step with the blocks and the epoch, or a sync that begins between would take
      // these segments off those that come after.
      abandoned.segments.swap(live_);
      abandoned.durable_number = end_.segment_number;
      abandoned.durable_end = end_.sealed ? 0 : end_.at;
    }
    if (auto given_up = abandon(std::move(abandoned)); !given_up) return given_up;
    auto stored = store_again(unstored);
    if (stored || no_segment_left_) return stored;
    cause = stored.error();
  }
}

Result<void> BlockStore::abandon(Abandoned abandoned) {
  next_segment_number_ = abandoned.durable_number + 1;
  previous_end_ = abandoned.durable_end;
  segment_.reset();
  bool removed = false;
  // From the last on.
  for (auto& segments = abandoned.segments; !segments.empty(); segments.pop_back()) {
    SegmentFile& segment = *segments.back();
    if (segment.number() >= next_segment_number_) {
      // Or a later one outlives it, and the log seems to begin there.
      const int held = segment.number() == 1 && removed
                           ? config_.file_system->sync_directory(config_.directory)
                           : 0;
      if (held < 0) return make_io_error("sync directory", config_.directory, held);
      const int gone = config_.file_system->remove(segment.path());
      if (gone < 0) return make_io_error("remove", segment.path(), gone);
      removed = true;
    } else if (previous_end_ > 0) {
      (void)segment.cut(previous_end_);
    }
  }
  if (!removed) return {};
  // Or a loss of power brings one back before or behind new segments that it does not fit.
  const int synced = config_.file_system->sync_directory(config_.directory);
  if (synced < 0) return make_io_error("sync directory", config_.directory, synced);
  return {};
}

// Takes from `blocks` what it has stored. Where the old segments ended with seals, so do the new.
Result<void> BlockStore::store_again(std::deque<Stored>& blocks) {
  ChainState before;
  {
    const std::lock_guard lock(mutex_);
    before = end_.chain;
  }
  for (; !blocks.empty(); blocks.pop_front()) {
    const BlockHeader header = blocks.front().header();
    if (segment_ == nullptr) {
      // No later than what the block itself promises: a promise never falls.
      auto begun = begin_segment(before, header.promised_sequence);
      if (!begun) return begun;
    }
    const Hash value = blocks.front().chain_value();
    if (auto written = write(blocks.front()); !written) return written;
    advance_chain(before, header, value);
  }
  return {};
}

Result<BlockStore::Synced> BlockStore::sync() {
  std::vector<SyncJob> jobs;
  SyncedPart part;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& segment : live_) {
      jobs.push_back({segment, segment->written_end, segment->sealed});
    }
    part.blocks = kept_.size();
    part.epoch = epoch_;
  }
  if (config_.before_sync && syncs()) config_.before_sync();
  Result<void> synced;
  for (const SyncJob& job : jobs) {
    if (syncs()) synced = job.segment->sync();
    if (!synced) break;
    // Not a failure of the log if the file system refuses: zeros may follow a seal.
    if (job.sealed) (void)job.segment->cut(job.end);
    part.jobs += 1;
  }
  std::unique_lock<std::mutex> storing(storing_mutex_, std::defer_lock);
  if (!synced) storing.lock();
  Synced report;
  if (!pass_durable(part, jobs, report)) return Synced{0, {}, true};
  if (synced) return report;
  report.failed_over = true;
  if (auto moved = fail_over(synced.error(), {}); !moved) {
    return tl::unexpected<Error>(moved.error());
  }
  return report;
}

// What a sync reached is durable, also where a later segment's failed: a disk that fails now and
// then still gets on. False: a fail-over came between, and it counts for nothing.
bool BlockStore::pass_durable(const SyncedPart& part, const std::vector<SyncJob>& jobs,
                              Synced& report) {
  std::vector<Stored> durable;
  {
    const std::lock_guard lock(mutex_);
    if (part.epoch != epoch_) return false;
    const std::uint64_t failed_number =
        part.jobs < jobs.size() ? jobs[part.jobs].segment->number() : ~std::uint64_t{0};
    for (std::size_t left = part.blocks; left > 0; --left) {
      if (kept_.front().segment_number >= failed_number) break;
      durable.push_back(std::move(kept_.front()));
      kept_.pop_front();
    }
    for (std::size_t i = 0; i < part.jobs; ++i) {
      if (!jobs[i].sealed) continue;
      // [EPOCH] Those that a sync began with stay in front until it is counted, or its epoch ends.
      GRACE_LEDGER_ASSERT(!live_.empty() && live_.front() == jobs[i].segment, "job %zu", i);
      live_.pop_front();
    }
    for (Stored& block : durable) {
      end_.pass(block);
      if (!block.positions.empty()) report.positions = std::move(block.positions);
      fail_overs_in_a_row_ = 0;
    }
    report.sequence = end_.chain.next_sequence - 1;
  }
  for (Stored& block : durable) {
    if (!block.seals()) pool_.give_back(std::move(block.buffer));
  }
  return true;
}

}  // namespace grace::ledger::internal
