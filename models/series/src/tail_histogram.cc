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
  const std::size_t octave = bin / kBinsOctave;
  Rank rank;
  for (std::size_t i = octave + 1; i < kOctaves; ++i) rank.above += octaves_[i];
  for (std::size_t i = bin + 1; i < (octave + 1) * kBinsOctave; ++i) rank.above += bins_[i];
  rank.beside = bins_[bin];
  return rank;
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
  ++octaves_[bin / kBinsOctave];
  if (++total_ >= kTotalMax) halve();
}

void TailHistogram::halve() noexcept {
  octaves_.fill(0);
  total_ = 0;
  for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
    // Rounded up: what was seen once stays known.
    bins_[bin] = static_cast<std::uint16_t>((bins_[bin] + 1U) / 2U);
    octaves_[bin / kBinsOctave] =
        static_cast<std::uint16_t>(octaves_[bin / kBinsOctave] + bins_[bin]);
    total_ += bins_[bin];
  }
}

}  // namespace grace::models
