#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flat_line.h"
#include "grace/core/platform.h"
#include "wide_registers.h"

namespace grace::parse {

// Hashes of labels by their text, whose size the caller knows: a program has few sets of labels and
// sends them over and over. As FlatLine's own memo, but without a loop over the text. Only where
// has_wide_registers(). Single-threaded; owns 32 KiB, of which a stream uses two cache lines for
// each set of labels.
class LabelMemo {
 public:
  // `flat` reads labels that are new. `used`: not where there are no wide registers.
  LabelMemo(FlatLine& flat, bool used);

  [[nodiscard]] bool used() const noexcept { return !known_.empty(); }
  // Where used(). The labels at[0, size), as FlatLine::labels() would read them. False: it would
  // not.
  [[nodiscard]] GRACE_WIDE bool read(const char* at, std::size_t size,
                                     std::uint64_t& hash) noexcept;

 private:
  struct alignas(2 * core::kCacheLineBytes) Known {
    static constexpr std::size_t kBytesMax = 112;
    std::array<char, kBytesMax> text;
    std::uint64_t hash = 0;  // LineFields::labels_hash
    std::uint64_t size_bytes = 0;
  };
  static_assert(sizeof(Known) == 2 * core::kCacheLineBytes);
  static constexpr std::size_t kKnown = 256;

  [[nodiscard]] bool read_new(const char* at, std::size_t size, Known* known,
                              std::uint64_t& hash) noexcept;

  FlatLine& flat_;
  std::vector<Known> known_;
};

}  // namespace grace::parse
