#include "segment_preparer.h"

#include <algorithm>
#include <chrono>

namespace grace::ledger::internal {

SegmentPreparer::SegmentPreparer(const LogConfig& config, std::uint64_t first_number)
    : config_(config), next_number_(first_number), thread_([this] { run(); }) {}

SegmentPreparer::~SegmentPreparer() {
  stop();
}

Result<std::unique_ptr<MappedSegment>> SegmentPreparer::take(bool& waited) {
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
  if (ready_.empty()) {
    if (error_) return tl::unexpected<Error>(*error_);
    return make_error(ErrorCode::kClosed, "the writer is closing");
  }
  std::unique_ptr<MappedSegment> segment = std::move(ready_.front());
  ready_.pop_front();
  wanted_ = 0;
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
  return error_;
}

void SegmentPreparer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& segment : ready_) segment->discard();
  ready_.clear();
}

void SegmentPreparer::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (ready_.size() >= wanted_) {
      changed_.wait(lock);
      continue;
    }
    const std::uint64_t number = next_number_;
    // When the committer waits, faulting in pages is quicker done as it writes them.
    const bool prefault = config_.prefault && !urgent_;
    lock.unlock();
    auto prepared = MappedSegment::prepare(*config_.file_system, config_.directory, number,
                                           config_.segment_bytes, prefault);
    lock.lock();
    if (prepared) {
      ready_.push_back(std::move(*prepared));
      ++next_number_;
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
