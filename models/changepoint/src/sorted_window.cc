#include "grace/models/sorted_window.h"

#include <algorithm>

namespace grace::models {

void SortedWindow::push(double value) noexcept {
  const auto begin = sorted_.begin();
  auto end = begin + static_cast<std::ptrdiff_t>(size_);
  if (size_ == kCapacity) {
    const auto oldest = std::lower_bound(begin, end, arrived_[next_]);
    std::move(oldest + 1, end, oldest);
    --end;
  } else {
    ++size_;
  }
  arrived_[next_] = value;
  next_ = (next_ + 1) % kCapacity;
  const auto place = std::upper_bound(begin, end, value);
  std::move_backward(place, end, end + 1);
  *place = value;
}

double SortedWindow::median() const noexcept {
  if (size_ == 0) return 0.0;
  // Halves before the sum: two huge values must not overflow.
  return 0.5 * sorted_[(size_ - 1) / 2] + 0.5 * sorted_[size_ / 2];
}

double SortedWindow::mean_of_smallest(std::size_t count) const noexcept {
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) sum += sorted_[i] / static_cast<double>(count);
  return sum;
}

}  // namespace grace::models
