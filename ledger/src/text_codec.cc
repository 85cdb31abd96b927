#include "text_codec.h"

#include <array>
#include <charconv>

namespace grace::ledger::internal {
namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> kBase64Values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (std::size_t index = 0; index < kBase64.size(); ++index) {
    values[static_cast<unsigned char>(kBase64[index])] = static_cast<std::uint8_t>(index);
  }
  return values;
}();

std::uint32_t base64_value(char digit) {
  return kBase64Values[static_cast<unsigned char>(digit)];
}

}  // namespace

void append_base64(std::span<const std::uint8_t> bytes, std::string& out) {
  out.reserve(out.size() + base64_size(bytes.size()));
  while (!bytes.empty()) {
    const std::size_t count = bytes.size() < 3 ? bytes.size() : 3;
    std::uint32_t bits = 0;
    for (std::size_t index = 0; index < 3; ++index) {
      bits = bits << 8 | (index < count ? bytes[index] : 0U);
    }
    for (std::size_t index = 0; index < 4; ++index) {
      out.push_back(index <= count ? kBase64[bits >> (18 - 6 * index) & 63] : '=');
    }
    bytes = bytes.subspan(count);
  }
}

std::optional<std::size_t> base64_decoded_size(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  if (text.ends_with("==")) {
    padding = 2;
  } else if (text.ends_with('=')) {
    padding = 1;
  }
  return text.size() / 4 * 3 - padding;
}

bool decode_base64(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != base64_size(out.size())) return false;
  while (!out.empty()) {
    const std::size_t count = out.size() < 3 ? out.size() : 3;
    std::uint32_t bits = 0;
    for (std::size_t index = 0; index < 4; ++index) {
      const bool padding = index > count;
      const std::uint32_t value = padding ? 0 : base64_value(text[index]);
      if (value == kNoDigit || (padding && text[index] != '=')) return false;
      bits = bits << 6 | value;
    }
    for (std::size_t index = 0; index < 3; ++index) {
      const auto byte = static_cast<std::uint8_t>(bits >> (16 - 8 * index));
      if (index < count) {
        out[index] = byte;
      } else if (byte != 0) {
        return false;
      }
    }
    text.remove_prefix(4);
    out = out.subspan(count);
  }
  return true;
}

bool decode_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() % 2 != 0 || text.size() / 2 != out.size()) return false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char digit = text[at];
    unsigned value = 0;
    if (digit >= '0' && digit <= '9') {
      value = static_cast<unsigned>(digit - '0');
    } else if (digit >= 'a' && digit <= 'f') {
      value = static_cast<unsigned>(digit - 'a') + 10;
    } else {
      return false;
    }
    std::uint8_t& byte = out[at / 2];
    byte = static_cast<std::uint8_t>(at % 2 == 0 ? value << 4 : byte | value);
  }
  return true;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  if (text[0] == '0' && text.size() > 1) return std::nullopt;
  std::uint64_t value = 0;
  const auto end = text.data() + text.size();
  const auto [stopped, failed] = std::from_chars(text.data(), end, value);
  if (failed != std::errc() || stopped != end) return std::nullopt;
  return value;
}

CodePoint decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t index) {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0U;
  };
  const unsigned lead = byte(0);
  if (text.empty()) return {};
  if (lead < 0x80) return {static_cast<char32_t>(lead), 1};
  // The smallest value that takes as many bytes: a smaller one is over-long.
  std::size_t size = 0;
  char32_t value = 0;
  char32_t smallest = 0;
  if (lead >> 5 == 0x06) {
    size = 2;
    value = lead & 0x1f;
    smallest = 0x80;
  } else if (lead >> 4 == 0x0e) {
    size = 3;
    value = lead & 0x0f;
    smallest = 0x800;
  } else if (lead >> 3 == 0x1e) {
    size = 4;
    value = lead & 0x07;
    smallest = 0x10000;
  } else {
    return {};
  }
  for (std::size_t index = 1; index < size; ++index) {
    if (byte(index) >> 6 != 0x02) return {};
    value = value << 6 | (byte(index) & 0x3f);
  }
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < smallest || value > 0x10ffff || surrogate) return {};
  return {value, size};
}

bool is_note_text(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = decode_utf8(text);
    if (point.size_bytes == 0) return false;
    if (point.value < 0x20 && point.value != '\n') return false;
    text.remove_prefix(point.size_bytes);
  }
  return true;
}

std::optional<std::string_view> LineReader::next() {
  const std::size_t newline = rest_.find('\n');
  if (newline == std::string_view::npos) return std::nullopt;
  const std::string_view line = rest_.substr(0, newline);
  rest_.remove_prefix(newline + 1);
  return line;
}

std::optional<std::string_view> LineReader::next_value(std::string_view key) {
  if (!rest_.starts_with(key) || rest_.substr(key.size(), 1) != " ") return std::nullopt;
  const auto line = next();
  if (!line) return std::nullopt;
  return line->substr(key.size() + 1);
}

}  // namespace grace::ledger::internal
