#include "flat_json.h"

#include <charconv>

namespace grace::schedule {
namespace {

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  bool eat(char c) {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] char peek() const { return done() ? '\0' : text_[at_]; }

  std::optional<std::string> string() {
    if (!eat('"')) return std::nullopt;
    std::string out;
    while (!done()) {
      const char c = text_[at_++];
      if (c == '"') return out;
      if (c != '\\') {
        out.push_back(c);
        continue;
      }
      if (done()) return std::nullopt;
      const char escaped = text_[at_++];
      switch (escaped) {
        case 'n':
          out.push_back('\n');
          break;
        case 'r':
          out.push_back('\r');
          break;
        case 't':
          out.push_back('\t');
          break;
        case 'u': {
          // JsonWriter writes \u00XX for control characters only.
          unsigned code = 0;
          const std::string_view digits = text_.substr(at_, 4);
          const auto [end, error] =
              std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
          if (error != std::errc{} || end != digits.data() + 4 || code > 0x7f) return std::nullopt;
          out.push_back(static_cast<char>(code));
          at_ += 4;
          break;
        }
        default:
          out.push_back(escaped);
      }
    }
    return std::nullopt;
  }

  // Raw text of a number, flag, null, object or array.
  std::optional<std::string> raw() {
    const std::size_t begin = at_;
    int depth = 0;
    while (!done()) {
      const char c = text_[at_];
      if (c == '"') {
        if (!string()) return std::nullopt;
        continue;
      }
      if (depth == 0 && (c == ',' || c == '}')) break;
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      ++at_;
    }
    if (depth != 0 || at_ == begin) return std::nullopt;
    return std::string(text_.substr(begin, at_ - begin));
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<FlatJson> FlatJson::parse(std::string_view object) {
  FlatJson json;
  Cursor cursor(object);
  if (!cursor.eat('{')) return std::nullopt;
  if (cursor.eat('}')) return cursor.done() ? std::optional(json) : std::nullopt;
  do {
    auto key = cursor.string();
    if (!key || !cursor.eat(':')) return std::nullopt;
    auto value = cursor.peek() == '"' ? cursor.string() : cursor.raw();
    if (!value) return std::nullopt;
    json.values_[std::move(*key)] = std::move(*value);
  } while (cursor.eat(','));
  if (!cursor.eat('}') || !cursor.done()) return std::nullopt;
  return json;
}

std::string_view FlatJson::text(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? std::string_view() : std::string_view(found->second);
}

std::int64_t FlatJson::integer(std::string_view key, std::int64_t absent) const {
  const std::string_view digits = text(key);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc{} && end == digits.data() + digits.size() ? value : absent;
}

double FlatJson::number(std::string_view key) const {
  const std::string_view digits = text(key);
  double value = 0.0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc{} && end == digits.data() + digits.size() ? value : 0.0;
}

}  // namespace grace::schedule
