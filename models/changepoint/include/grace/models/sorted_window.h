#pragma once
#include <array>
#include <cstddef>

namespace grace::models {

// The newest kCapacity values, kept sorted beside their order of arrival: a median at any time for
// one move of at most kCapacity doubles a value. Values must be finite. Plain data, about 2 KiB.
// Thread: its owner's.
class SortedWindow {
 public:
  static constexpr std::size_t kCapacity = 128;

  void push(double value) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // Of the values held; 0 when there is none.
  [[nodiscard]] double median() const noexcept;
  [[nodiscard]] double mean() const noexcept { return mean_of_smallest(size_); }
  // Without the largest tenth.
  [[nodiscard]] double trimmed_mean() const noexcept {
    return mean_of_smallest(size_ - size_ / 10);
  }

 private:
  [[nodiscard]] double mean_of_smallest(std::size_t count) const noexcept;

  std::array<double, kCapacity> arrived_{};  // ring
  std::array<double, kCapacity> sorted_{};
  std::size_t size_ = 0;
  std::size_t next_ = 0;  // place in arrived_ of the oldest, once full
};

}  // namespace grace::models
