#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>

#include "past_caches.h"

namespace grace::ledger::internal {

// What threads share, as the standard library has it. A parameter of the lock-free parts only so
// that a model checker can run the same source with its own types, which notice races and weak
// orders (tests/ledger/relacy_sharing.h). Aliases, and calls that are inlined: it costs nothing.
struct StdSharing {
  template <typename T>
  using Atomic = std::atomic<T>;
  // Of one thread at a time: its owner's, or whoever's the comment beside it says.
  template <typename T>
  using Plain = T;
  using Mutex = std::mutex;
  using ConditionVariable = std::condition_variable;

  // Plain memory that threads pass to and fro.
  class Bytes {
   public:
    using View = std::span<const std::byte>;
    explicit Bytes(std::uint64_t count)
        : bytes_(std::make_unique_for_overwrite<std::byte[]>(count)) {}
    void write(std::uint64_t at, std::span<const std::byte> head,
               std::span<const std::byte> body) noexcept {
      std::byte* const to = bytes_.get() + at;
      if (!head.empty()) std::memcpy(to, head.data(), head.size());
      if (body.size() >= kPastCachesBytesMin) {
        copy_past_caches(to + head.size(), body);
        order_past_caches();
      } else if (!body.empty()) {
        std::memcpy(to + head.size(), body.data(), body.size());
      }
    }
    void read(std::uint64_t at, void* to, std::size_t count) const noexcept {
      std::memcpy(to, bytes_.get() + at, count);
    }
    [[nodiscard]] View view(std::uint64_t at, std::size_t count) const noexcept {
      return {bytes_.get() + at, count};
    }

   private:
    static constexpr std::size_t kPastCachesBytesMin = 4 << 10;
    const std::unique_ptr<std::byte[]> bytes_;
  };
};

}  // namespace grace::ledger::internal
