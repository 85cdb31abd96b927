#include "writer_core.h"

#include <algorithm>

#include "io_error.h"
#include "json.h"
#include "key_continuity.h"

namespace grace::ledger::internal {
namespace {

std::string parent_directory(const std::string& directory) {
  const auto end = directory.find_last_not_of('/');
  const auto slash = end == std::string::npos ? end : directory.rfind('/', end);
  if (slash == std::string::npos) return end == std::string::npos ? "/" : ".";
  return slash == 0 ? "/" : directory.substr(0, slash);
}

}  // namespace

WriterCore::WriterCore(LogConfig config, DirectoryLock lock, Recovered recovered)
    : config_(std::move(config)),
      lock_(std::move(lock)),
      recovery_(std::move(recovered.report)),
      log_id_(recovered.chain.log_id),
      opened_blocks_(recovered.chain.next_block_number),
      committer_(config_.pipelined),
      block_bytes_max_(config_.segment_bytes - kFirstBlockOffset - kSealBlockBytes),
      rings_(config_.producers_max),
      importance_(config_.producers_max, Importance::kEssential),
      leased_(config_.producers_max, false),
      watermarks_(recovery_.last_sequence,
                  config_.sync == SyncMode::kGroup ? recovery_.last_sequence : 0),
      pool_(block_buffer_bytes(config_), config_.unsynced_bytes_max),
      preparer_(std::make_unique<SegmentPreparer>(config_, recovered.next_segment_number)),
      store_(std::make_unique<BlockStore>(config_, *preparer_, pool_, recovered.chain,
                                          recovered.next_segment_number)) {
  committer_.next_sequence = recovered.chain.next_sequence;
}

WriterCore::~WriterCore() {
  (void)close();
}

Result<std::unique_ptr<WriterCore>> WriterCore::open(LogConfig given, bool keeper_runs) {
  auto config = validated(std::move(given));
  if (!config) return tl::unexpected<Error>(config.error());
  FileSystem& fs = *config->file_system;
  const int made = fs.make_directory(config->directory);
  if (made < 0 && made != -EEXIST) return make_io_error("make directory", config->directory, made);
  if (made >= 0 && config->sync == SyncMode::kGroup) {
    // What is durable in a directory is lost if the directory's own name is.
    const std::string parent = parent_directory(config->directory);
    const int synced = fs.sync_directory(parent);
    if (synced < 0) return make_io_error("sync directory", parent, synced);
  }
  if (config->retention.is_on()) config->producers_max += 1;  // the keeper, for its records
  auto lock = DirectoryLock::acquire(config->directory);
  if (!lock) return tl::unexpected<Error>(lock.error());
  auto recovered = recover(*config);
  if (!recovered) return tl::unexpected<Error>(recovered.error());
  std::uint64_t signs_from = 0;
  if (const NoteSigner* const signer = config->checkpoint.signer) {
    const auto held = check_continuity(*config, *signer, recovered->report.created);
    if (!held) return tl::unexpected<Error>(held.error());
    signs_from = *held;
  }
  const std::vector<std::string> pending = recovered->pending;
  std::unique_ptr<WriterCore> core(
      new WriterCore(std::move(*config), std::move(*lock), std::move(*recovered)));
  core->signs_from_ = signs_from;
  if (auto started = core->start(pending, keeper_runs); !started) {
    return tl::unexpected<Error>(started.error());
  }
  return core;
}

Result<void> WriterCore::start(const std::vector<std::string>& pending, bool keeper_runs) {
  // A new log exists at once, so that it can be read and verified while still empty. An old one
  // begins its next segment with the next record.
  if (recovery_.created) {
    if (auto begun = store_->begin(); begun) {
      publish({});
    } else {
      fail(begun.error());
    }
  }
  if (!pending.empty()) record_recovery(pending);
  first_sequence_ = committer_.next_sequence;
  // [HAND] From here on the committer hands blocks over instead of closing them.
  if (config_.pipelined) {
    closer_thread_ = std::thread([this] { run_closer(); });
    if (config_.integrity == Integrity::kSha256) {
      hasher_thread_ = std::thread([this] { run_hasher(); });
    }
  }
  committer_thread_ = std::thread([this] { run_committer(); });
  syncer_thread_ = std::thread([this] { run_syncer(); });
  const auto safe = [this] { return safe_sequence(); };
  if (config_.hash_sealed) {
    segment_hasher_ = std::make_unique<SegmentHasher>(config_, opened_blocks_, signs_from_, safe);
  } else if (config_.checkpoint.signer != nullptr) {
    checkpointer_ = std::make_unique<Checkpointer>(config_, opened_blocks_, safe);
  }
  if (auto made = make_keeper(); !made) return made;
  if (keeper_ != nullptr && keeper_runs) keeper_->start();
  if (pending.empty()) return health();
  // The cut is on record, durably, before anyone builds on the log again.
  {
    std::unique_lock lock(mutex_);
    progress_.wait(lock, [this] {
      return error_.has_value() || config_.sync == SyncMode::kNone ||
             durable_sequence() + 1 >= first_sequence_;
    });
  }
  if (const auto error = failure()) return tl::unexpected<Error>(*error);
  for (const std::string& path : pending) {
    const std::string recorded =
        path.substr(0, path.size() - std::string(".pending").size()) + ".torn";
    const int renamed = config_.file_system->rename(path, recorded);
    if (renamed < 0) return make_io_error("rename", path, renamed);
    if (path == recovery_.quarantine_file) recovery_.quarantine_file = recorded;
  }
  return {};
}

Result<void> WriterCore::make_keeper() {
  if (!config_.keeps_segments()) return {};
  SegmentKeeper::Record record;
  if (config_.retention.is_on()) {
    auto lease = lease_ring(Importance::kEssential);
    if (!lease) return tl::unexpected<Error>(lease.error());
    record = [this, lease = *lease](std::string_view json) -> Result<void> {
      const AppendStatus status =
          try_append(*lease.ring, Importance::kEssential, RecordType::kJson, as_bytes(json), {});
      if (status != AppendStatus::kOk) {
        return make_error(ErrorCode::kClosed,
                          "the record of it: " + std::string(to_string(status)));
      }
      return wait_safe(*lease.ring, Importance::kEssential, lease.ring->producer_position(),
                       std::chrono::steady_clock::now() + std::chrono::minutes(1));
    };
  }
  keeper_ = std::make_unique<SegmentKeeper>(
      config_, [this] { return safe_sequence(); }, std::move(record));
  return {};
}

void WriterCore::record_recovery(const std::vector<std::string>& pending) {
  std::string payload;
  JsonText json(payload);
  json.begin_object();
  json.field("ts", wall_clock_ns(config_));
  json.field("actor", "ledger").field("action", "recovery");
  json.field("resource", "segment " + std::to_string(recovery_.cut_segment));
  json.field("subsystem", "ledger").field("result", "cut");
  json.key("payload").begin_object();
  json.field("segment", recovery_.cut_segment).field("offset", recovery_.cut_offset);
  json.field("cut_bytes", recovery_.cut_bytes).field("last_sequence", recovery_.last_sequence);
  json.key("quarantine").begin_array();
  for (const std::string& path : pending) json.value(path.substr(path.rfind('/') + 1));
  json.end_array().end_object().end_object();
  if (append_record(RecordType::kRecovery, as_bytes(payload), {})) close_open_block();
}

void WriterCore::fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    // [FAIL] release: after error_. Pairs with the acquires that lead to failure().
    failed_.store(true, std::memory_order_release);
  }
  pool_.stop();
  committer_wake_.notify_all();
  syncer_wake_.notify_all();
  progress_.notify_all();
}

std::optional<Error> WriterCore::failure() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

Result<void> WriterCore::health() const {
  if (const auto error = failure()) return tl::unexpected<Error>(*error);
  if (const auto error = preparer_->error()) return tl::unexpected<Error>(*error);
  return {};
}

Result<void> WriterCore::checkpoint_health() const {
  std::optional<Error> error;
  if (checkpointer_ != nullptr) error = checkpointer_->error();
  if (segment_hasher_ != nullptr) error = segment_hasher_->checkpoint_error();
  if (error) return tl::unexpected<Error>(*error);
  return {};
}

Result<void> WriterCore::hash_health() const {
  if (segment_hasher_ == nullptr) return {};
  if (const auto error = segment_hasher_->error()) return tl::unexpected<Error>(*error);
  return {};
}

Result<void> WriterCore::keeper_health() const {
  if (keeper_ == nullptr) return {};
  if (const auto error = keeper_->error()) return tl::unexpected<Error>(*error);
  return {};
}

Result<void> WriterCore::keep_now() {
  return keeper_ == nullptr ? Result<void>{} : keeper_->step_until_done();
}

KeeperStats WriterCore::keeper_stats() const {
  return keeper_ == nullptr ? KeeperStats{} : keeper_->stats();
}

Result<WriterCore::Lease> WriterCore::lease_ring(Importance importance) {
  const std::lock_guard lock(mutex_);
  // Relaxed: changes under mutex_.
  const std::uint32_t count = ring_count_.load(std::memory_order_relaxed);
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    if (leased_[slot] || importance_[slot] != importance) continue;
    leased_[slot] = true;
    return Lease{rings_[slot].get(), slot};
  }
  if (count == config_.producers_max) {
    return make_error(ErrorCode::kInvalidArgument, "producers_max = " + std::to_string(count) +
                                                       ": that many producers exist already");
  }
  rings_[count] = std::make_unique<ByteRing>(config_.ring_bytes);
  importance_[count] = importance;
  leased_[count] = true;
  // [RINGS] release: after the ring was made. Pairs with the acquire in drain().
  ring_count_.store(count + 1, std::memory_order_release);
  return Lease{rings_[count].get(), count};
}

void WriterCore::return_ring(std::uint32_t slot) {
  const std::lock_guard lock(mutex_);
  leased_[slot] = false;
}

inline AppendStatus WriterCore::refusal(Importance importance, std::uint64_t bytes) const noexcept {
  if (bytes > config_.record_bytes_max) return AppendStatus::kTooLarge;
  // Relaxed, both: only a refusal hangs on them. Who acts on the reason asks health(), which locks.
  if (failed_.load(std::memory_order_relaxed)) return AppendStatus::kFailed;
  if (closed_.load(std::memory_order_relaxed)) return AppendStatus::kClosed;
  if (importance == Importance::kExpendable && preparer_->on_reserve()) {
    return AppendStatus::kNoSpace;
  }
  return AppendStatus::kOk;
}

AppendStatus WriterCore::try_append(ByteRing& ring, Importance importance, RecordType type,
                                    std::span<const std::byte> head,
                                    std::span<const std::byte> body) noexcept {
  const AppendStatus refused = refusal(importance, head.size() + body.size());
  if (refused != AppendStatus::kOk) return refused;
  return ring.try_push(type, head, body) ? AppendStatus::kOk : AppendStatus::kFull;
}

AppendStatus WriterCore::try_commit(ByteRing& ring, Importance importance, RecordType type,
                                    std::span<const std::byte> head,
                                    std::span<const std::byte> body) {
  const std::uint64_t bytes = head.size() + body.size();
  if (bytes >= config_.in_place_bytes_min && refusal(importance, bytes) == AppendStatus::kOk &&
      append_in_place(ring, type, head, body)) {
    return AppendStatus::kOk;
  }
  return try_append(ring, importance, type, head, body);
}

std::uint64_t WriterCore::next_sequence(const ByteRing& ring) const {
  // Relaxed: the caller is the only producer, so nobody changes it meanwhile.
  GRACE_LEDGER_ASSERT(ring_count_.load(std::memory_order_relaxed) == 1,
                      "sequences can be foretold for one and only producer");
  return first_sequence_ + ring.pushed();
}

bool WriterCore::is_safe(const ByteRing& ring, std::uint64_t position) const noexcept {
  return (config_.sync == SyncMode::kNone ? ring.written_position() : ring.durable_position()) >=
         position;
}

void WriterCore::wake_committer() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  committer_wake_.notify_one();
}

Result<void> WriterCore::wait_safe(const ByteRing& ring, Importance importance,
                                   std::uint64_t position, Deadline deadline) {
  if (is_safe(ring, position)) return {};
  std::unique_lock lock(mutex_);
  // [ASK] release: after the caller's appends. Pairs with the acquire in run_committer(). Under
  // mutex_, so that the committer cannot fall asleep between looking and waiting.
  closes_asked_.fetch_add(1, std::memory_order_release);
  committer_wake_.notify_one();
  // Nobody says when the reserve is begun, so who may be refused then looks now and then.
  constexpr std::chrono::milliseconds kLook{50};
  const bool expendable = importance == Importance::kExpendable;
  for (;;) {
    const Deadline now = std::chrono::steady_clock::now();
    (void)progress_.wait_until(lock, expendable ? std::min(deadline, now + kLook) : deadline,
                               [&] { return is_safe(ring, position) || error_.has_value(); });
    if (is_safe(ring, position)) return {};
    if (error_) return tl::unexpected<Error>(*error_);
    if (expendable && preparer_->on_reserve()) {
      return make_error(ErrorCode::kNoSpace,
                        "no space: what remains is kept for records that are essential");
    }
    if (now >= deadline) {
      return make_error(ErrorCode::kTimeout, "records were not durable in time");
    }
  }
}

Result<std::uint64_t> WriterCore::flush(std::chrono::milliseconds timeout) {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout;
  // [RINGS] acquire pairs with the release in lease_ring().
  const std::uint32_t count = ring_count_.load(std::memory_order_acquire);
  for (std::uint32_t index = 0; index < count; ++index) {
    const ByteRing& ring = *rings_[index];
    if (auto waited = wait_safe(ring, importance_[index], ring.producer_position(), deadline);
        !waited) {
      return tl::unexpected<Error>(waited.error());
    }
  }
  if (const auto error = failure()) return tl::unexpected<Error>(*error);
  return safe_sequence();
}

Result<void> WriterCore::close() {
  const std::lock_guard closing(close_mutex_);
  // First: it may be waiting for a record of its own.
  if (keeper_ != nullptr) keeper_->stop();
  // Relaxed: only refuses later appends; the order is made by stop_ below.
  closed_.store(true, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    // [STOP] release: after the caller's appends. Pairs with the acquire in run_committer().
    stop_.store(true, std::memory_order_release);
  }
  committer_wake_.notify_all();
  if (committer_thread_.joinable()) committer_thread_.join();
  if (hasher_thread_.joinable()) hasher_thread_.join();
  if (closer_thread_.joinable()) closer_thread_.join();
  if (syncer_thread_.joinable()) syncer_thread_.join();
  preparer_->stop();
  if (checkpointer_ != nullptr) checkpointer_->stop(!failure().has_value());
  if (segment_hasher_ != nullptr) segment_hasher_->stop(!failure().has_value());
  lock_.release();
  if (const auto error = failure()) return tl::unexpected<Error>(*error);
  // [RINGS] acquire pairs with the release in lease_ring().
  const std::uint32_t count = ring_count_.load(std::memory_order_acquire);
  for (std::uint32_t index = 0; index < count; ++index) {
    if (rings_[index]->consumed_position() == rings_[index]->producer_position()) continue;
    return make_error(ErrorCode::kNoSpace,
                      "no space: records of an expendable producer were not written");
  }
  return {};
}

std::uint64_t WriterCore::safe_sequence() const noexcept {
  return config_.sync == SyncMode::kNone ? written_sequence() : durable_sequence();
}

std::uint64_t WriterCore::signed_sequence() const {
  if (segment_hasher_ != nullptr) return segment_hasher_->signed_sequence();
  return checkpointer_ == nullptr ? 0 : checkpointer_->signed_sequence();
}

std::uint64_t WriterCore::witnessed_sequence() const {
  if (segment_hasher_ != nullptr) return segment_hasher_->witnessed_sequence();
  return checkpointer_ == nullptr ? 0 : checkpointer_->witnessed_sequence();
}

std::uint64_t WriterCore::hashed_sequence() const {
  return segment_hasher_ == nullptr ? 0 : segment_hasher_->hashed_sequence();
}

WriterStats WriterCore::stats() const {
  const BlockStore::Stats stored = store_->stats();
  const std::uint64_t hashed = segment_hasher_ == nullptr ? 0 : segment_hasher_->hashed_segments();
  const std::lock_guard lock(mutex_);
  WriterStats stats = stats_;
  stats.records = stored.records;
  stats.payload_bytes = stored.payload_bytes;
  stats.blocks = stored.blocks;
  stats.block_bytes = stored.block_bytes;
  stats.segments_begun = stored.segments_begun;
  stats.waits += stored.segment_waits;
  stats.fail_overs = stored.fail_overs;
  stats.segments_hashed = hashed;
  // Relaxed: statistics, may lag.
  stats.in_place = committer_.in_place.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace grace::ledger::internal
