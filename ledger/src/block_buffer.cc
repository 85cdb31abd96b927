#include "block_buffer.h"

#include <cstring>
#include <utility>

#include "assert.h"

namespace grace::ledger::internal {

BlockBufferPool::BlockBufferPool(std::uint64_t buffer_bytes, std::uint64_t bytes_max)
    : buffer_bytes_(buffer_bytes), bytes_max_(bytes_max) {
  GRACE_LEDGER_ASSERT(bytes_max >= buffer_bytes, "not even one buffer");
}

std::unique_ptr<BlockBuffer> BlockBufferPool::take(bool& waited) {
  std::unique_lock lock(mutex_);
  const auto is_free = [this] { return stopped_ || bytes_out_ + buffer_bytes_ <= bytes_max_; };
  if (!is_free()) {
    waited = true;
    changed_.wait(lock, is_free);
  }
  if (stopped_) return nullptr;
  std::unique_ptr<BlockBuffer> buffer;
  if (free_.empty()) {
    buffer = std::make_unique<BlockBuffer>(buffer_bytes_);
  } else {
    buffer = std::move(free_.back());
    free_.pop_back();
    bytes_free_ -= buffer->capacity();
  }
  bytes_out_ += buffer->capacity();
  return buffer;
}

bool BlockBufferPool::has_room() {
  const std::lock_guard lock(mutex_);
  return bytes_out_ + buffer_bytes_ <= bytes_max_;
}

std::unique_ptr<BlockBuffer> BlockBufferPool::grow(std::unique_ptr<BlockBuffer> buffer,
                                                   std::uint64_t used, std::uint64_t capacity) {
  auto larger = std::make_unique<BlockBuffer>(capacity);
  std::memcpy(larger->data(), buffer->data(), used);
  {
    const std::lock_guard lock(mutex_);
    bytes_out_ += capacity;
  }
  give_back(std::move(buffer));
  return larger;
}

void BlockBufferPool::give_back(std::unique_ptr<BlockBuffer> buffer) {
  if (buffer == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    bytes_out_ -= buffer->capacity();
    if (bytes_free_ + bytes_out_ + buffer->capacity() <= bytes_max_) {
      bytes_free_ += buffer->capacity();
      free_.push_back(std::move(buffer));
    }
  }
  changed_.notify_all();
}

void BlockBufferPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

}  // namespace grace::ledger::internal
