#include "grace/models/tail_histogram.h"

#include <algorithm>
#include <bit>

namespace grace::models {

std::size_t TailHistogram::bin_of(double value) noexcept {
  // Exponent and the three highest bits of the mantissa of an IEEE 754 double.
  static_assert(kBinsOctave == 8);
  constexpr std::uint64_t kLowest = (1023 - kOctaves / 2) * kBinsOctave;
  if (!(value > 0.0)) return 0;
  const std::uint64_t place = std::bit_cast<std::uint64_t>(value) >> 49U;
  if (place <= kLowest) return 0;
  return std::min<std::uint64_t>(place - kLowest, kOctaves * kBinsOctave - 1);
}

TailHistogram::Rank TailHistogram::rank(double value) const noexcept {
  const std::size_t bin = bin_of(value);
  Rank rank;
  rank.beside = bins_[bin];
  // From the nearer end of what was seen: few bins, and no more of the state than they lie in.
  if (bin > highest_) return rank;
  if (highest_ - bin <= bin) {
    for (std::size_t i = bin + 1; i <= highest_; ++i) rank.above += bins_[i];
  } else {
    rank.above = total_ - rank.beside;
    for (std::size_t i = 0; i < bin; ++i) rank.above -= bins_[i];
  }
  return rank;
}

bool TailHistogram::common(double value) const noexcept {
  return mark_holds_ && bin_of(value) <= mark_;
}

double TailHistogram::middle(double value) const noexcept {
  const Rank found = rank(value);
  return (found.above + 0.5 * found.beside + 0.5) / (total_ + 1.0);
}

double TailHistogram::conservative(double value) const noexcept {
  const Rank found = rank(value);
  return (found.above + found.beside + 1.0) / (total_ + 1.0);
}

void TailHistogram::add(double value) noexcept {
  const std::size_t bin = bin_of(value);
  ++bins_[bin];
  highest_ = std::max(highest_, static_cast<std::uint16_t>(bin));
  if (bin > mark_) ++above_mark_;
  if (++total_ >= kTotalMax) halve();
  settle_mark();
}

// Between one and two times the share nothing moves, so that the mark rests. It falls by a bin a
// value, and rises by no more than it fell and the range grew: constant time a value on the whole.
void TailHistogram::settle_mark() noexcept {
  const double rare = kRare * (total_ + 1.0);
  if (above_mark_ + 0.5 < rare) {
    if (mark_ > 0) above_mark_ += bins_[mark_--];
  } else {
    while (above_mark_ > 2.0 * rare && mark_ < highest_) above_mark_ -= bins_[++mark_];
  }
  mark_holds_ = (above_mark_ + 0.5) / (total_ + 1.0) >= kRare;
}

void TailHistogram::halve() noexcept {
  above_mark_ = 0;
  total_ = 0;
  for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
    // Rounded up: what was seen once stays known.
    bins_[bin] = static_cast<std::uint16_t>((bins_[bin] + 1U) / 2U);
    total_ += bins_[bin];
    if (bin > mark_) above_mark_ += bins_[bin];
  }
}

}  // namespace grace::models
