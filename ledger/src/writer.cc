#include "grace/ledger/writer.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "writer_core.h"

namespace grace::ledger {

Producer::~Producer() {
  release();
}

Producer::Producer(Producer&& other) noexcept
    : core_(std::exchange(other.core_, nullptr)),
      ring_(std::exchange(other.ring_, nullptr)),
      slot_(other.slot_),
      importance_(other.importance_) {}

Producer& Producer::operator=(Producer&& other) noexcept {
  if (this != &other) {
    release();
    core_ = std::exchange(other.core_, nullptr);
    ring_ = std::exchange(other.ring_, nullptr);
    slot_ = other.slot_;
    importance_ = other.importance_;
  }
  return *this;
}

void Producer::release() noexcept {
  if (core_ != nullptr) core_->return_ring(slot_);
  core_ = nullptr;
  ring_ = nullptr;
}

AppendStatus Producer::try_append(RecordType type, std::span<const std::byte> head,
                                  std::span<const std::byte> body) noexcept {
  if (core_ == nullptr) return AppendStatus::kClosed;
  // One that does not hold would make a writer that signs refuse the log.
  if (is_reserved(type)) return AppendStatus::kReserved;
  return core_->try_append(*ring_, importance_, type, head, body);
}

AppendStatus Producer::append_or_wait(RecordType type, std::span<const std::byte> head,
                                      std::span<const std::byte> body) noexcept {
  if (core_ == nullptr) return AppendStatus::kClosed;
  if (is_reserved(type)) return AppendStatus::kReserved;
  AppendStatus status = core_->try_commit(*ring_, importance_, type, head, body);
  std::chrono::microseconds sleep{20};
  while (status == AppendStatus::kFull) {
    core_->wake_committer();
    std::this_thread::sleep_for(sleep);
    sleep = std::min(sleep * 2, std::chrono::microseconds(1000));
    status = core_->try_commit(*ring_, importance_, type, head, body);
  }
  return status;
}

std::uint64_t Producer::next_sequence() const {
  return core_ == nullptr ? 0 : core_->next_sequence(*ring_);
}

std::uint64_t Producer::position() const noexcept {
  return ring_ == nullptr ? 0 : ring_->producer_position();
}

bool Producer::is_written(std::uint64_t position) const noexcept {
  return ring_ != nullptr && ring_->written_position() >= position;
}

bool Producer::is_durable(std::uint64_t position) const noexcept {
  return ring_ != nullptr && ring_->durable_position() >= position;
}

Result<void> Producer::wait_durable(std::uint64_t position, std::chrono::milliseconds timeout) {
  if (core_ == nullptr) return make_error(ErrorCode::kClosed, "this producer handle is empty");
  return core_->wait_safe(*ring_, importance_, position,
                          std::chrono::steady_clock::now() + timeout);
}

Writer::Writer(std::unique_ptr<internal::WriterCore> core) : core_(std::move(core)) {}
Writer::~Writer() = default;

Result<std::unique_ptr<Writer>> Writer::open(LogConfig config) {
  auto core = internal::WriterCore::open(std::move(config));
  if (!core) return tl::unexpected<Error>(core.error());
  return std::unique_ptr<Writer>(new Writer(std::move(*core)));
}

Result<Producer> Writer::producer(Importance importance) {
  const auto lease = core_->lease_ring(importance);
  if (!lease) return tl::unexpected<Error>(lease.error());
  return Producer(core_.get(), lease->ring, lease->slot, importance);
}

Result<std::uint64_t> Writer::flush(std::chrono::milliseconds timeout) {
  return core_->flush(timeout);
}
Result<void> Writer::close() {
  return core_->close();
}
Result<void> Writer::health() const {
  return core_->health();
}
std::optional<Error> Writer::last_fail_over() const {
  return core_->last_fail_over();
}
Result<void> Writer::checkpoint_health() const {
  return core_->checkpoint_health();
}
Result<void> Writer::keeper_health() const {
  return core_->keeper_health();
}
Result<void> Writer::hash_health() const {
  return core_->hash_health();
}
std::uint64_t Writer::written_sequence() const noexcept {
  return core_->written_sequence();
}
std::uint64_t Writer::durable_sequence() const noexcept {
  return core_->durable_sequence();
}
std::uint64_t Writer::signed_sequence() const {
  return core_->signed_sequence();
}
std::uint64_t Writer::witnessed_sequence() const {
  return core_->witnessed_sequence();
}
std::uint64_t Writer::hashed_sequence() const {
  return core_->hashed_sequence();
}
WriterStats Writer::stats() const {
  return core_->stats();
}
KeeperStats Writer::keeper_stats() const {
  return core_->keeper_stats();
}
const RecoveryReport& Writer::recovery() const {
  return core_->recovery();
}
std::string Writer::log_id_hex() const {
  return to_hex(core_->log_id());
}

Result<KeeperStats> keep_segments(LogConfig config) {
  if (const auto there = internal::segments_of_log(config.directory); !there) {
    return tl::unexpected<Error>(there.error());
  }
  auto core = internal::WriterCore::open(std::move(config), /*keeper_runs=*/false);
  if (!core) return tl::unexpected<Error>(core.error());
  const auto kept = (*core)->keep_now();
  const auto closed = (*core)->close();
  if (!kept) return tl::unexpected<Error>(kept.error());
  if (!closed) return tl::unexpected<Error>(closed.error());
  return (*core)->keeper_stats();
}

}  // namespace grace::ledger
