#include "line_walker.h"

#include <array>
#include <cstring>
#include <string_view>

#include "grace/core/hash.h"
#include "string_escape.h"
#include "text_scan.h"

namespace grace::parse {
namespace {

bool is_text(const char* begin, const char* end, std::string_view expected) noexcept {
  return std::string_view(begin, static_cast<std::size_t>(end - begin)) == expected;
}

// Literals that are no JSON, but that common writers emit for doubles that are not finite.
bool is_not_finite(const char* begin, const char* end) noexcept {
  if (*begin == '-' || *begin == '+') ++begin;
  for (const std::string_view name :
       {"NaN", "nan", "NAN", "Infinity", "infinity", "Inf", "inf", "INF"}) {
    if (is_text(begin, end, name)) return true;
  }
  return false;
}

}  // namespace

void LineWalker::begin_window(const char* text, std::size_t size,
                              const std::uint32_t* tokens) noexcept {
  text_ = text;
  text_end_ = text + size;
  tokens_ = tokens;
  const void* const found = std::memchr(text, '\\', size);
  next_backslash_ = found == nullptr ? text_end_ : static_cast<const char*>(found);
}

// End of the scalar or string that begins with the token at_: the next token begins after it, and
// nothing but white space lies between.
inline std::uint32_t LineWalker::token_end() const noexcept {
  std::uint32_t end = tokens_[at_ + 1];
  while (is_space(text_[end - 1])) --end;
  return end;
}

void LineWalker::find_backslash(const char* begin) noexcept {
  const void* const found = std::memchr(begin, '\\', static_cast<std::size_t>(text_end_ - begin));
  next_backslash_ = found == nullptr ? text_end_ : static_cast<const char*>(found);
}

// The string at at_, which is a quote; its escapes are proven valid.
inline bool LineWalker::read_string(Text& text) noexcept {
  const std::uint32_t begin = tokens_[at_] + 1;
  const std::uint32_t end = token_end() - 1;
  if (end < begin || text_[end] != '"') [[unlikely]]
    return false;
  text.begin = text_ + begin;
  text.size = end - begin;
  text.escaped = has_backslash(text.begin, text_ + end);
  return !text.escaped || unescape(text.begin, text_ + end, nullptr) != kBadEscape;
}

Field LineWalker::field_of(const Text& key) noexcept {
  if (!key.escaped) [[likely]]
    return kFieldTable.find(key.begin, key.size);
  char name[kKeyBytesMax + sizeof(std::uint64_t)] = {};
  if (key.size > kKeyBytesMax) return Field::kUnknown;
  return kFieldTable.find(name, unescape(key.begin, key.begin + key.size, name));
}

// The members of an object whose opening brace is consumed; `on_member` consumes each value.
template <typename OnMember>
inline bool LineWalker::members(OnMember&& on_member) noexcept {
  if (peek() == '}') {
    ++at_;
    return true;
  }
  for (;;) {
    Text key;
    if (peek() != '"' || tokens_[at_] >= line_end_ || !read_string(key)) return false;
    ++at_;
    if (peek() != ':') return false;
    ++at_;
    if (!on_member(key)) return false;
    const char c = peek();
    ++at_;
    if (c == '}') return true;
    if (c != ',') return false;
  }
}

void LineWalker::note_number(NumberForm form) noexcept {
  if (bad_number_ != NumberForm::kInteger) return;  // the first one decides
  bad_number_ = form;
  bad_field_ = field_;
}

bool LineWalker::literal(const char* begin, const char* end) noexcept {
  if (is_text(begin, end, "true") || is_text(begin, end, "false") || is_text(begin, end, "null")) {
    return true;
  }
  if (!is_not_finite(begin, end)) return false;
  note_number(NumberForm::kNotFinite);
  return true;
}

// A scalar that is no string: checked, not kept.
inline bool LineWalker::scalar() noexcept {
  const char* const begin = text_ + tokens_[at_];
  const char* const end = text_ + token_end();
  if (!is_digit(*begin) && (*begin != '-' || !is_digit(begin[1]))) return literal(begin, end);
  const Number number = read_number(begin, end);
  if (number.form == NumberForm::kMalformed) return false;
  if (!number.valid()) note_number(number.form);
  return true;
}

// Any value; `depth` is that of the container it stands in.
inline bool LineWalker::skip_value(std::uint32_t depth) noexcept {
  const char c = peek();
  if (c == '{' || c == '[') return container(depth);
  if (c == '"') {
    Text text;
    if (!read_string(text)) return false;
  } else if (!scalar()) {
    return false;
  }
  ++at_;
  return true;
}

// An object's key and its colon.
inline bool LineWalker::skip_key() noexcept {
  Text text;
  if (peek() != '"' || tokens_[at_] >= line_end_ || !read_string(text)) return false;
  ++at_;
  if (peek() != ':') return false;
  ++at_;
  return true;
}

// An object or array with all that is in it. The stack is a word: bit n tells whether the container
// n levels out is an object; depth_max <= 64 keeps it in one.
bool LineWalker::container(std::uint32_t outer_depth) noexcept {
  std::uint64_t objects = 0;
  std::uint32_t open = 0;
  for (;;) {
    // A value begins here.
    char c = peek();
    if (tokens_[at_] >= line_end_) return false;
    if (c == '{' || c == '[') {
      if (outer_depth + ++open > depth_max_) {
        too_deep_ = true;
        return false;
      }
      const bool object = c == '{';
      objects = objects << 1 | (object ? 1 : 0);
      ++at_;
      if (peek() != (object ? '}' : ']')) {
        if (object && !skip_key()) return false;
        continue;
      }
      ++at_;  // empty: closed at once
      objects >>= 1;
      --open;
    } else if (!skip_value(0)) {  // no container: its depth is not looked at
      return false;
    }
    // A value has ended: close as many containers as close here, then go on behind a comma.
    for (;;) {
      if (open == 0) return true;
      c = peek();
      ++at_;
      if (c == ',') break;
      if (c != ((objects & 1) != 0 ? '}' : ']')) return false;
      objects >>= 1;
      --open;
    }
    if ((objects & 1) != 0 && !skip_key()) return false;
  }
}

// Names written with escapes hash like the names they mean.
std::uint64_t LineWalker::hash_of(const Text& text) noexcept {
  if (!text.escaped) [[likely]]
    return hash_short(text.begin, text.size);
  return hash_short(scratch_, unescape(text.begin, text.begin + text.size, scratch_));
}

inline bool LineWalker::labels(LineFields& fields) noexcept {
  fields.labels_hash = 0;
  fields.labels_nested = false;
  ++at_;
  return members([&](const Text& key) {
    const std::uint64_t key_hash = hash_of(key);
    std::uint64_t value_hash = 0;
    const char c = peek();
    if (c == '"') {
      Text text;
      if (!read_string(text)) return false;
      value_hash = hash_of(text);
      ++at_;
    } else if (c == '{' || c == '[') {
      fields.labels_nested = true;
      if (!container(2)) return false;
    } else {
      if (!scalar()) return false;
      value_hash = hash_short(text_ + tokens_[at_], token_end() - tokens_[at_]);
      ++at_;
    }
    // A sum: labels are a set, their order on the wire means nothing.
    fields.labels_hash += core::combine(key_hash, value_hash);
    return true;
  });
}

// Preference of a payload key among those that say to whom an event belongs; the count: none.
std::size_t LineWalker::session_index(const Text& key) noexcept {
  if (key.size < 7 || key.size > kKeyBytesMax) [[likely]]
    return kSessionKeys.size();
  char name[kKeyBytesMax];
  std::string_view text(key.begin, key.size);
  if (key.escaped) text = {name, unescape(key.begin, key.begin + key.size, name)};
  std::size_t index = 0;
  while (index < kSessionKeys.size() && kSessionKeys[index] != text) ++index;
  return index;
}

inline bool LineWalker::payload(LineFields& fields) noexcept {
  fields.session_present = 0;
  ++at_;
  return members([&](const Text& key) {
    const std::size_t index = session_index(key);
    if (index == LineFields::kSessionKeyCount) [[likely]]
      return skip_value(2);
    const std::uint32_t bit = 1U << index;
    fields.session_present &= ~bit;
    if (peek() != '"') return skip_value(2);
    Text text;
    if (!read_string(text)) return false;
    const std::uint32_t begin = tokens_[at_];
    fields.session[index] = {begin, begin + text.size + 2};
    fields.session_present |= text.size != 0 ? bit : 0;
    fields.session_escaped =
        text.escaped ? fields.session_escaped | bit : fields.session_escaped & ~bit;
    ++at_;
    return true;
  });
}

inline bool LineWalker::number_value(Number& number) noexcept {
  const char* const begin = text_ + tokens_[at_];
  if (!is_digit(*begin) && (*begin != '-' || !is_digit(begin[1]))) return scalar();
  number = read_number(begin, text_ + token_end());
  if (number.form == NumberForm::kMalformed) return false;
  if (!number.valid()) note_number(number.form);
  return true;
}

// The value of a top-level field: checked, and noted where the field is known.
inline bool LineWalker::member(Field field, LineFields& fields) noexcept {
  if (field == Field::kUnknown) return skip_value(1);
  const std::uint32_t bit = LineFields::bit(field);
  const std::uint32_t begin = tokens_[at_];
  Span& span = fields.spans[static_cast<std::size_t>(field)];
  const char c = text_[begin];
  fields.present |= bit;
  if (c == '"') {
    Text text;
    if (!read_string(text)) return false;
    span = {begin, begin + text.size + 2};
    fields.escaped = text.escaped ? fields.escaped | bit : fields.escaped & ~bit;
    ++at_;
    return true;
  }
  if (c == '{' || c == '[') {
    bool ok;
    if (c == '{' && field == Field::kLabels)
      ok = labels(fields);
    else if (c == '{' && field == Field::kPayload)
      ok = payload(fields);
    else
      ok = container(1);
    span = {begin, tokens_[at_ - 1] + 1};
    return ok;
  }
  span = {begin, token_end()};
  bool ok;
  switch (field) {
    case Field::kTs:
      ok = number_value(fields.ts);
      break;
    case Field::kValue:
      ok = number_value(fields.value);
      break;
    case Field::kDurationMs:
      ok = number_value(fields.duration_ms);
      break;
    default:
      ok = scalar();
      break;
  }
  ++at_;
  if (c == 'n') fields.present &= ~bit;  // null
  return ok;
}

WalkResult LineWalker::walk(std::size_t first, std::uint32_t line_end, LineFields& fields,
                            char* scratch) noexcept {
  at_ = first;
  line_end_ = line_end;
  scratch_ = scratch;
  bad_number_ = NumberForm::kInteger;
  too_deep_ = false;
  field_ = Field::kUnknown;
  fields.present = 0;
  fields.escaped = 0;
  fields.session_present = 0;
  const bool object = peek() == '{';
  bool ok;
  if (object) [[likely]] {
    ++at_;
    ok = members([&](const Text& key) {
      field_ = field_of(key);
      return member(field_, fields);
    });
  } else {
    ok = skip_value(0);
  }
  if (!ok) return too_deep_ ? WalkResult::kTooDeep : WalkResult::kMalformed;
  // The value's last token is on this line, so all of its tokens are; and no token follows it.
  if (tokens_[at_ - 1] >= line_end || tokens_[at_] < line_end) return WalkResult::kMalformed;
  if (!object) return WalkResult::kNotObject;
  return bad_number_ == NumberForm::kInteger ? WalkResult::kOk : WalkResult::kBadNumber;
}

WalkResult LineWalker::walk_value(Field field, std::uint32_t end, LineFields& fields,
                                  char* scratch) noexcept {
  at_ = 0;
  line_end_ = end;
  scratch_ = scratch;
  bad_number_ = NumberForm::kInteger;
  too_deep_ = false;
  field_ = field;
  if (tokens_[0] >= end) return WalkResult::kMalformed;
  if (!member(field, fields)) return too_deep_ ? WalkResult::kTooDeep : WalkResult::kMalformed;
  if (tokens_[at_ - 1] >= end || tokens_[at_] < end) return WalkResult::kMalformed;
  return bad_number_ == NumberForm::kInteger ? WalkResult::kOk : WalkResult::kBadNumber;
}

}  // namespace grace::parse
