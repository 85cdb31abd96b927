#include "string_escape.h"

#include <cstdint>
#include <cstring>

namespace grace::parse {
namespace {

// Four hexadecimal digits at `at`; kNotHex when they are not.
constexpr std::uint32_t kNotHex = 0xFFFFFFFF;
std::uint32_t read_hex4(const char* at, const char* end) {
  if (end - at < 4) return kNotHex;
  std::uint32_t code = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = at[i];
    std::uint32_t digit;
    if (c >= '0' && c <= '9')
      digit = static_cast<std::uint32_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    else
      return kNotHex;
    code = code << 4 | digit;
  }
  return code;
}

std::size_t encode_utf8(std::uint32_t code, char* out) {
  const auto put = [&](std::size_t i, std::uint32_t byte) { out[i] = static_cast<char>(byte); };
  if (code < 0x80) {
    put(0, code);
    return 1;
  }
  if (code < 0x800) {
    put(0, 0xC0 | code >> 6);
    put(1, 0x80 | (code & 0x3F));
    return 2;
  }
  if (code < 0x10000) {
    put(0, 0xE0 | code >> 12);
    put(1, 0x80 | (code >> 6 & 0x3F));
    put(2, 0x80 | (code & 0x3F));
    return 3;
  }
  put(0, 0xF0 | code >> 18);
  put(1, 0x80 | (code >> 12 & 0x3F));
  put(2, 0x80 | (code >> 6 & 0x3F));
  put(3, 0x80 | (code & 0x3F));
  return 4;
}

// Character for a one-letter escape, 0 when there is none.
char simple_escape(char c) {
  switch (c) {
    case '"':
      return '"';
    case '\\':
      return '\\';
    case '/':
      return '/';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return 0;
  }
}

// Code point of \uXXXX (and its low surrogate) with `at` on the first digit; moves `at` past it.
std::uint32_t read_unicode(const char*& at, const char* end) {
  const std::uint32_t code = read_hex4(at, end);
  if (code == kNotHex) return kNotHex;
  at += 4;
  if (code < 0xD800 || code > 0xDFFF) return code;
  if (code > 0xDBFF || end - at < 6 || at[0] != '\\' || at[1] != 'u') return kNotHex;
  const std::uint32_t low = read_hex4(at + 2, end);
  if (low < 0xDC00 || low > 0xDFFF) return kNotHex;
  at += 6;
  const std::uint32_t pair = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
  return pair;
}

}  // namespace

std::size_t unescape(const char* at, const char* end, char* out) noexcept {
  std::size_t size = 0;
  while (at < end) {
    const void* const found = std::memchr(at, '\\', static_cast<std::size_t>(end - at));
    const char* const stop = found == nullptr ? end : static_cast<const char*>(found);
    const auto plain = static_cast<std::size_t>(stop - at);
    if (out != nullptr && plain != 0) std::memcpy(out + size, at, plain);
    size += plain;
    at = stop;
    if (at == end) break;
    if (end - at < 2) return kBadEscape;
    if (at[1] != 'u') {
      const char c = simple_escape(at[1]);
      if (c == 0) return kBadEscape;
      if (out != nullptr) out[size] = c;
      ++size;
      at += 2;
      continue;
    }
    at += 2;
    const std::uint32_t code = read_unicode(at, end);
    if (code == kNotHex) return kBadEscape;
    char bytes[4];
    const std::size_t length = encode_utf8(code, bytes);
    if (out != nullptr) std::memcpy(out + size, bytes, length);
    size += length;
  }
  return size;
}

}  // namespace grace::parse
