#include "packed_detail.h"

#include <string_view>

#include "grace/core/hash.h"
#include "text_scan.h"

namespace grace::parse {
namespace {

struct Plain {
  const char* begin;  // content
  std::size_t size;
};

// `"text"` at `at`, which moves behind it.
bool read_string(const char*& at, Plain& text) noexcept {
  if (*at != '"') return false;
  const char* const end = plain_end<Text::kUtf8>(at + 1);
  if (end == nullptr) return false;
  text = {at + 1, static_cast<std::size_t>(end - at - 1)};
  at = end + 1;
  return true;
}

// A short number without exponent, true or false; `at` moves behind it.
bool read_scalar(const char*& at) noexcept {
  constexpr std::size_t kDigitsMax = 15;  // any number of so many digits is exact
  const std::uint64_t word = load8(at);
  if (low_bytes(word, 4) == pack8("true")) {
    at += 4;
    return true;
  }
  if (low_bytes(word, 5) == pack8("false")) {
    at += 5;
    return true;
  }
  if (*at == '-') ++at;
  const char* const first = at;
  while (is_digit(*at)) ++at;
  const auto whole = static_cast<std::size_t>(at - first);
  if (whole == 0 || whole > kDigitsMax || (whole > 1 && *first == '0')) return false;
  if (*at != '.') return true;
  const char* const fraction = ++at;
  while (is_digit(*at)) ++at;
  const auto digits = static_cast<std::size_t>(at - fraction);
  return digits > 0 && whole + digits <= kDigitsMax;
}

// The members of one object, up to the end of the text. `on_member(key, at)` reads the value.
template <typename OnMember>
bool read_members(const char* text, std::size_t size, OnMember&& on_member) noexcept {
  const char* at = text;
  if (*at != '{') return false;
  do {
    ++at;
    Plain key;
    if (!read_string(at, key) || *at != ':') return false;
    ++at;
    if (!on_member(key, at)) return false;
  } while (*at == ',');
  return *at == '}' && at + 1 == text + size;
}

}  // namespace

bool read_plain_labels(const char* text, std::size_t size, LineFields& fields) noexcept {
  std::uint64_t hash = 0;
  const bool plain = read_members(text, size, [&](const Plain& key, const char*& at) {
    Plain value;
    if (!read_string(at, value)) return false;
    hash += core::combine(hash_short(key.begin, key.size), hash_short(value.begin, value.size));
    return true;
  });
  if (!plain) return false;
  fields.labels_hash = hash;
  fields.labels_nested = false;
  fields.spans[static_cast<std::size_t>(Field::kLabels)] = {0, static_cast<std::uint32_t>(size)};
  fields.present |= LineFields::bit(Field::kLabels);
  return true;
}

bool read_plain_payload(const char* text, std::size_t size, LineFields& fields) noexcept {
  std::uint32_t present = 0;
  const bool plain = read_members(text, size, [&](const Plain& key, const char*& at) {
    std::size_t session = kSessionKeys.size();
    if (key.size >= 7 && key.size <= 10) [[unlikely]] {
      session = 0;
      while (session < kSessionKeys.size() &&
             kSessionKeys[session] != std::string_view(key.begin, key.size))
        ++session;
    }
    const char* const begin = at;
    Plain value;
    if (*at != '"') return session == kSessionKeys.size() && read_scalar(at);
    if (!read_string(at, value)) return false;
    if (session == kSessionKeys.size()) return true;
    const std::uint32_t bit = 1U << session;
    fields.session[session] = {static_cast<std::uint32_t>(begin - text),
                               static_cast<std::uint32_t>(at - text)};
    present = value.size != 0 ? present | bit : present & ~bit;
    return true;
  });
  if (!plain) return false;
  fields.session_present = present;
  fields.session_escaped = 0;
  fields.spans[static_cast<std::size_t>(Field::kPayload)] = {0, static_cast<std::uint32_t>(size)};
  fields.present |= LineFields::bit(Field::kPayload);
  return true;
}

}  // namespace grace::parse
