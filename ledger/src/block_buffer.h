#pragma once
#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <vector>

#include "grace/ledger/log_config.h"
#include "sharing.h"

namespace grace::ledger::internal {

// Memory that begins with a cache line, not initialised.
struct LinesFree {
  void operator()(std::byte* bytes) const {
    ::operator delete (bytes, std::align_val_t{kCacheLineBytes});
  }
};
using Lines = std::unique_ptr<std::byte[], LinesFree>;
[[nodiscard]] inline Lines allocate_lines(std::uint64_t bytes) {
  return Lines(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{kCacheLineBytes})));
}

// Memory in which a block is composed before it is written, and kept until it is durable.
class BlockBuffer {
 public:
  explicit BlockBuffer(std::uint64_t capacity)
      : bytes_(allocate_lines(capacity)), capacity_(capacity) {}
  [[nodiscard]] std::byte* data() { return bytes_.get(); }
  [[nodiscard]] std::span<std::byte> first(std::uint64_t count) { return {bytes_.get(), count}; }
  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }

 private:
  Lines bytes_;
  std::uint64_t capacity_;
};

// Of a buffer at first: a block closes with the record that fills it, and few are larger than this.
[[nodiscard]] inline std::uint64_t block_buffer_bytes(const LogConfig& config) {
  constexpr std::uint64_t kUsualRecordBytes = 64 << 10;
  return block_footprint_bytes(
      config.block_bytes +
      std::min(record_footprint_bytes(config.record_bytes_max), kUsualRecordBytes));
}

// Hands out buffers and takes them back. Bound: `bytes_max` in use and kept for use, and beyond it
// one buffer grown for a record that is larger. The buffer that came back last is given first,
// since its bytes may still be in a cache. Any thread.
class BlockBufferPool {
 public:
  BlockBufferPool(std::uint64_t buffer_bytes, std::uint64_t bytes_max);

  // Waits while bytes_max are in use. Null after stop(). `waited` is set if it had to wait.
  [[nodiscard]] std::unique_ptr<BlockBuffer> take(bool& waited);
  // Whether take() gives one without a wait: stays true for who alone takes.
  [[nodiscard]] bool has_room();
  // A larger one in exchange, with the first `used` bytes of the other.
  [[nodiscard]] std::unique_ptr<BlockBuffer> grow(std::unique_ptr<BlockBuffer> buffer,
                                                  std::uint64_t used, std::uint64_t capacity);
  void give_back(std::unique_ptr<BlockBuffer> buffer);
  // Nobody waits in take() any more.
  void stop();

 private:
  const std::uint64_t buffer_bytes_;
  const std::uint64_t bytes_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::vector<std::unique_ptr<BlockBuffer>> free_;
  std::uint64_t bytes_free_ = 0;
  std::uint64_t bytes_out_ = 0;
  bool stopped_ = false;
};

}  // namespace grace::ledger::internal
