#pragma once
#include <atomic>
#include <cstdint>

namespace grace::core {

// The seam for time. Detectors and the ordered stage never use it: they live in event time. Any
// thread may call.
class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since the Unix epoch; may jump when the machine's clock is set.
  [[nodiscard]] virtual std::int64_t wall_ns() const noexcept = 0;
  // Nanoseconds since some fixed moment; never goes back.
  [[nodiscard]] virtual std::int64_t monotonic_ns() const noexcept = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t wall_ns() const noexcept override;
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override;
};

// Moves only when told to: for tests and simulation.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t wall_ns = 0) : wall_offset_ns_(wall_ns) {}
  // Relaxed, here and below: each value is whole by itself and orders nothing else.
  [[nodiscard]] std::int64_t wall_ns() const noexcept override {
    return wall_offset_ns_.load(std::memory_order_relaxed) + monotonic_ns();
  }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override {
    return monotonic_ns_.load(std::memory_order_relaxed);  // relaxed: see above
  }
  // Both clocks move on. duration_ns >= 0.
  void advance(std::int64_t duration_ns) noexcept;
  // The wall clock jumps, back too; the monotonic one does not notice.
  void set_wall(std::int64_t wall_ns) noexcept;

 private:
  std::atomic<std::int64_t> wall_offset_ns_;
  std::atomic<std::int64_t> monotonic_ns_{0};
};

}  // namespace grace::core
