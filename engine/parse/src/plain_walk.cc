// LineWalker's short way: lines as machines write them, without blanks and escapes, in the fields'
// usual order. It takes a line only when the general walk would take it with the very same result
// (fuzzed against it), and says no otherwise; it never rejects.
#include "grace/core/hash.h"
#include "line_walker.h"
#include "plain_number.h"
#include "text_scan.h"

namespace grace::parse {
namespace {

constexpr bool is_number_field(Field field) {
  return field == Field::kTs || field == Field::kValue || field == Field::kDurationMs;
}

}  // namespace

// The text of a member's key, `"key":` with nothing between, whose opening quote is *token.
// False: written in another way.
inline bool LineWalker::plain_key(const std::uint32_t* token) const noexcept {
  return text_[token[0]] == '"' && text_[token[1]] == ':' && text_[token[1] - 1] == '"';
}

// A scalar inside labels or payload or in an unknown field, from `begin` to the next token.
inline bool LineWalker::plain_scalar(std::uint32_t begin, std::uint32_t next) const noexcept {
  const char* const at = text_ + begin;
  if (*at == '"') return text_[next - 1] == '"';
  return is_plain_scalar(at, next - begin);
}

// The members of labels whose opening brace is token[-1]. Leaves `token` behind the closing one.
inline bool LineWalker::plain_labels(const std::uint32_t*& token, LineFields& fields) noexcept {
  fields.labels_hash = 0;
  fields.labels_nested = false;
  if (text_[*token] == '}') {
    ++token;
    return true;
  }
  for (;; token += 4) {
    if (!plain_key(token) || !plain_scalar(token[2], token[3])) return false;
    const std::uint64_t key_hash = hash_short(text_ + token[0] + 1, token[1] - token[0] - 2);
    const std::uint32_t quote = text_[token[2]] == '"' ? 1 : 0;
    const std::uint64_t value_hash =
        hash_short(text_ + token[2] + quote, token[3] - token[2] - 2 * quote);
    fields.labels_hash += core::combine(key_hash, value_hash);
    const char c = text_[token[3]];
    if (c == ',') continue;
    token += 4;
    return c == '}';
  }
}

// The same for payload: notes sessions, walks over containers in the general way.
inline bool LineWalker::plain_payload(const std::uint32_t*& token, LineFields& fields) noexcept {
  fields.session_present = 0;
  if (text_[*token] == '}') {
    ++token;
    return true;
  }
  for (;;) {
    if (!plain_key(token)) return false;
    const Text key{text_ + token[0] + 1, token[1] - token[0] - 2, false};
    if (key.size >= 7 && key.size <= 10 && session_index(key) < LineFields::kSessionKeyCount) {
      const std::size_t index = session_index(key);
      const std::uint32_t bit = 1U << index;
      if (text_[token[2]] != '"') return false;
      fields.session[index] = {token[2], token[3]};
      fields.session_present &= ~bit;
      if (token[3] - token[2] > 2) fields.session_present |= bit;
      fields.session_escaped &= ~bit;
    }
    if (!plain_value(token, 2)) return false;
    const char c = text_[*token++];
    if (c == ',') continue;
    return c == '}';
  }
}

// A value that is not kept, at token[2]; `token` moves to what follows it.
inline bool LineWalker::plain_value(const std::uint32_t*& token, std::uint32_t depth) noexcept {
  const char c = text_[token[2]];
  if (c == '{' || c == '[') {
    at_ = static_cast<std::size_t>(token + 2 - tokens_);
    if (!container(depth)) return false;
    token = tokens_ + at_;
    return true;
  }
  if (!plain_scalar(token[2], token[3])) return false;
  token += 3;
  return true;
}

// Which field a key names. A stream's lines have their fields in the same order, so the field that
// followed the one before the last time is tried first, by comparing its whole text.
inline Field LineWalker::plain_field(const std::uint32_t* token, Field before) noexcept {
  const char* const key = text_ + token[0] + 1;
  const std::uint32_t size = token[1] - token[0] - 2;
  Guess& guess = guesses_[static_cast<std::size_t>(before)];
  const std::uint64_t word = load8(key);
  if (guess.size == size && (word & guess.mask) == guess.word) [[likely]]
    return guess.field;
  const Field field = kFieldTable.find(key, size);
  if (size <= 8) guess = {low_bytes(word, size), kByteMasks.first[size], size, field};
  return field;
}

bool LineWalker::walk_plain(std::size_t first, std::uint32_t line_end,
                            LineFields& fields) noexcept {
  if (has_backslash(text_ + tokens_[first], text_ + line_end)) return false;
  const std::uint32_t* token = tokens_ + first;
  if (text_[*token] != '{') return false;
  ++token;
  line_end_ = line_end;
  too_deep_ = false;
  bad_number_ = NumberForm::kInteger;
  fields.escaped = 0;
  std::uint32_t present = 0;
  Field field = Field::kUnknown;
  for (;;) {
    if (!plain_key(token)) return false;
    field = plain_field(token, field);
    const std::uint32_t begin = token[2];
    const std::uint32_t next = token[3];
    const char c = text_[begin];
    if (field == Field::kUnknown) {
      if (!plain_value(token, 1)) return false;
    } else {
      Span& span = fields.spans[static_cast<std::size_t>(field)];
      present |= LineFields::bit(field);
      if (c == '"') {
        if (text_[next - 1] != '"') return false;
        token += 3;
      } else if (c == '{') {
        token += 3;
        if (field == Field::kLabels) {
          if (!plain_labels(token, fields)) return false;
        } else if (field != Field::kPayload || !plain_payload(token, fields)) {
          return false;
        }
        span = {begin, token[-1] + 1};
      } else {
        if (!is_number_field(field) || (!is_digit(c) && c != '-') || !is_digit(text_[next - 1]))
          return false;
        Number& number = field == Field::kTs      ? fields.ts
                         : field == Field::kValue ? fields.value
                                                  : fields.duration_ms;
        number = read_plain_number(text_ + begin, next - begin);
        if (!number.valid()) return false;
        token += 3;
      }
      if (c != '{') span = {begin, next};
    }
    const char end = text_[*token++];
    if (end == ',') continue;
    if (end != '}') return false;
    break;
  }
  // As in walk(): the last token is on this line, and no other follows it there. A container that
  // noted a bad number leaves the line to walk().
  if (token[-1] >= line_end || *token < line_end || bad_number_ != NumberForm::kInteger) {
    return false;
  }
  fields.present = present;
  at_ = static_cast<std::size_t>(token - tokens_);
  return true;
}

}  // namespace grace::parse
