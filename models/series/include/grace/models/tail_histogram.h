#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace grace::models {

// How rare is a value among those before it? Conformal p-values (Vovk, Gammerman and Shafer 2005,
// "Algorithmic Learning in a Random World", chapter 2; for anomalies: Laxhammar and Falkman 2011)
// from counts in logarithmic bins, eight an octave, so that neither the unit nor the range of the
// values need be known. Under exchangeability a p-value of p or less comes with probability about
// p, whatever the distribution.
//
// Values: >= 0, finite; below 2^-48 counts as 0, above 2^48 as 2^48. Counts are halved when they
// reach kTotalMax, so that old values fade. About 1.5 KiB, no allocation. Not thread safe.
class TailHistogram {
 public:
  static constexpr std::uint32_t kTotalMax = 32768;
  static constexpr double kRare = 0.01;

  // Values seen, faded ones no longer counted.
  [[nodiscard]] std::uint32_t total() const noexcept { return total_; }
  // P(a value >= this one), ties counted half: the middle p-value, in (0, 1).
  [[nodiscard]] double middle(double value) const noexcept;
  // The same with ties counted whole: valid as it stands, never too small, in (0, 1].
  [[nodiscard]] double conservative(double value) const noexcept;
  // True only where middle(value) >= kRare, and then nearly always: known without looking at the
  // counts, which with many series are not in the caches.
  [[nodiscard]] bool common(double value) const noexcept;
  void add(double value) noexcept;

 private:
  static constexpr std::size_t kOctaves = 96;
  static constexpr std::size_t kBinsOctave = 8;
  struct Rank {
    std::uint32_t above = 0;   // values in higher bins
    std::uint32_t beside = 0;  // values in the same bin
  };
  [[nodiscard]] static std::size_t bin_of(double value) noexcept;
  [[nodiscard]] Rank rank(double value) const noexcept;
  void halve() noexcept;
  void settle_mark() noexcept;

  std::uint32_t total_ = 0;
  std::uint32_t above_mark_ = 0;  // values in bins above mark_
  std::uint16_t mark_ = 0;        // the bin above which one to two times kRare of the values lie
  std::uint16_t highest_ = 0;     // bin with a value
  bool mark_holds_ = false;       // what lies in mark_ or below has middle() >= kRare
  std::array<std::uint16_t, kOctaves * kBinsOctave> bins_{};
};

}  // namespace grace::models
