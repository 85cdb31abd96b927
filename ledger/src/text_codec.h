#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// The small pieces that notes, checkpoints and proofs are written with. One spelling for each
// value: what decodes is exactly what the encoder gives, so a text that parses is the text of its
// content. Pure functions, safe on any bytes.
namespace grace::ledger::internal {

// Base64 with padding (RFC 4648, section 4).
[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}
// Appends without a copy of its own, so that a secret stays where the caller reserved space for it.
void append_base64(std::span<const std::uint8_t> bytes, std::string& out);
// How many bytes the text stands for, if it is Base64 at all; only its length and padding count.
[[nodiscard]] std::optional<std::size_t> base64_decoded_size(std::string_view text);
// False unless the text stands for exactly out.size() bytes. Refuses blanks, and bits that stand
// for nothing (section 3.5). On false `out` may hold a part.
[[nodiscard]] bool decode_base64(std::string_view text, std::span<std::uint8_t> out);

// Lower-case hexadecimal, two digits for each of out.size() bytes.
[[nodiscard]] bool decode_hex(std::string_view text, std::span<std::uint8_t> out);

// Decimal without sign, blanks or leading zeros.
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text);

// One code point and the bytes it takes; size_bytes is 0 where there is no valid UTF-8 (RFC 3629).
struct CodePoint {
  char32_t value = 0;
  std::size_t size_bytes = 0;
};
[[nodiscard]] CodePoint decode_utf8(std::string_view text);

// Valid UTF-8 without control characters below U+0020 but newline: what a signed note may hold.
[[nodiscard]] bool is_note_text(std::string_view text);

// Walks over lines that each end in a newline.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}
  // The next line without its newline; nothing where no newline is left.
  [[nodiscard]] std::optional<std::string_view> next();
  // What follows "<key> " in the next line; nothing, and no step, where that is another line.
  [[nodiscard]] std::optional<std::string_view> next_value(std::string_view key);
  [[nodiscard]] std::string_view rest() const { return rest_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace grace::ledger::internal
