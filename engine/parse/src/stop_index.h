#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "wide_registers.h"

namespace grace::parse {

// Whether the CPU has the instructions that LineShapes is made of: AVX-512 with VBMI2 and VAES
// (Intel from Ice Lake on, AMD from Zen 4 on).
[[nodiscard]] bool has_wide_registers() noexcept;

// All bytes at which the content of a JSON string can end, or be other than it looks: quotes,
// backslashes, control characters (each newline is one) and bytes from 0x80 on. Between two stops
// stands plain ASCII.
[[nodiscard]] inline bool is_stop(char c) noexcept {
  return c == '"' || c == '\\' || static_cast<signed char>(c) < 0x20;
}

// The places of stops in [begin, end) of `text`, ascending, as offsets from `text`, go to `out`;
// returns where they end. Reads up to 63 bytes past `end`, writes up to 64 words past what it
// returns. Only where has_wide_registers().
[[nodiscard]] GRACE_WIDE std::uint32_t* find_stops(const char* text, std::uint32_t begin,
                                                   std::uint32_t end, std::uint32_t* out) noexcept;

// The stops of some lines of a text, in windows of whole lines. Single-threaded; owns 64 KiB and a
// little.
class StopIndex {
 public:
  static constexpr std::uint32_t kWindowBytesMax = 16 * 1024;
  // That can be read from next() on, whatever stands there: the window's last newline is repeated.
  static constexpr std::uint32_t kStopsAhead = 192;

  // `used`: whether lines will be asked for.
  explicit StopIndex(bool used) : stops_(used ? kWindowBytesMax + kStopsAhead : 0) {}

  // Another text.
  void begin() noexcept { begin_ = end_ = 0; }
  // Whether the line that begins at text[at] is covered; lines are asked for in their order. Up to
  // 63 bytes behind text[size - 1] are read.
  [[nodiscard]] bool covers(const char* text, std::uint32_t at, std::uint32_t size) noexcept {
    if (at >= end_ && !extend(text, at, size)) return false;
    while (*next_ < at) ++next_;
    return true;
  }
  // The first stop of the line that covers() was asked for.
  [[nodiscard]] const std::uint32_t* next() const noexcept { return next_; }
  // The line was read; the next one's stops begin at `next`.
  void took(const std::uint32_t* next) noexcept {
    next_ = next;
    ++taken_;
  }
  // It has to be read in another way.
  void left() noexcept { ++left_; }

 private:
  [[nodiscard]] bool extend(const char* text, std::uint32_t at, std::uint32_t size) noexcept;

  std::vector<std::uint32_t> stops_;
  const std::uint32_t* next_ = nullptr;
  std::uint32_t begin_ = 0;  // before it no line is covered, whether or not it could be
  std::uint32_t end_ = 0;    // covered until there: behind a newline
  std::uint32_t window_bytes_ = kWindowBytesMax;
  std::uint32_t taken_ = 0;  // lines since that was last judged
  std::uint32_t left_ = 0;
};

}  // namespace grace::parse
