#include "segment_preparer.h"

#include <algorithm>
#include <chrono>

namespace grace::ledger::internal {

SegmentPreparer::SegmentPreparer(const LogConfig& config, std::uint64_t first_number)
    : config_(config), next_number_(first_number), thread_([this] { run(); }) {}

SegmentPreparer::~SegmentPreparer() {
  stop();
}

Result<std::unique_ptr<SegmentFile>> SegmentPreparer::take(bool& waited) {
  std::unique_lock lock(mutex_);
  waited = ready_.empty();
  if (ready_.empty()) {
    // An error of an earlier attempt may be out of date: wait for one made now.
    error_.reset();
    urgent_ = true;
    wanted_ = std::max<std::size_t>(wanted_, 1);
    changed_.notify_all();
    changed_.wait(lock, [this] { return !ready_.empty() || error_.has_value() || stop_; });
    urgent_ = false;
  }
  if (ready_.empty() && reserve_ != nullptr && error_ && error_->code == ErrorCode::kNoSpace) {
    // Relaxed: see on_reserve().
    on_reserve_.store(true, std::memory_order_relaxed);
    reserve_reason_ = error_;
    return std::move(reserve_);
  }
  if (ready_.empty()) {
    if (error_) return tl::unexpected<Error>(*error_);
    return make_error(ErrorCode::kClosed, "the writer is closing");
  }
  std::unique_ptr<SegmentFile> segment = std::move(ready_.front());
  ready_.pop_front();
  wanted_ = 0;
  if (config_.reserve && !reserve_wanted_) {
    reserve_wanted_ = true;
    changed_.notify_all();
  }
  return segment;
}

void SegmentPreparer::want_ahead() {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = config_.segments_ahead;
  }
  changed_.notify_all();
}

std::optional<Error> SegmentPreparer::error() const {
  const std::lock_guard lock(mutex_);
  return error_ || !on_reserve() ? error_ : reserve_reason_;
}

void SegmentPreparer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& segment : ready_) segment->remove();
  ready_.clear();
  if (reserve_ != nullptr) reserve_->remove();
  reserve_.reset();
}

void SegmentPreparer::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const bool for_reserve = ready_.size() >= wanted_;
    if (for_reserve && (!reserve_wanted_ || reserve_ != nullptr)) {
      changed_.wait(lock);
      continue;
    }
    const std::uint64_t number = next_number_++;
    lock.unlock();
    auto prepared = SegmentFile::prepare(*config_.file_system, config_.directory, number,
                                         config_.segment_bytes);
    lock.lock();
    if (prepared) {
      // What was to be the reserve is given to who waits for a segment now.
      if (for_reserve && !urgent_) {
        reserve_ = std::move(*prepared);
        on_reserve_.store(false, std::memory_order_relaxed);  // relaxed: see on_reserve()
      } else {
        ready_.push_back(std::move(*prepared));
      }
      error_.reset();
      changed_.notify_all();
      continue;
    }
    error_ = prepared.error();
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::milliseconds(100), [this] { return stop_ || urgent_; });
  }
}

}  // namespace grace::ledger::internal
