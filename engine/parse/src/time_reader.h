#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace grace::parse {

// RFC 3339 texts as nanoseconds since the epoch, quick where the date is that of the text before: a
// stream hardly ever changes it. Single-threaded.
class TimeReader {
 public:
  // Up to 8 bytes past the end may be read.
  [[nodiscard]] std::optional<std::int64_t> read(std::string_view text) noexcept;

 private:
  // The date read last, "2025-01-15", and its midnight.
  std::uint64_t date_word_ = 0;
  std::uint64_t date_tail_ = ~std::uint64_t{0};  // none yet: no two bytes equal it
  std::int64_t date_ns_ = 0;
};

}  // namespace grace::parse
