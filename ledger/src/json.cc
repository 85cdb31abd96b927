#include "json.h"

#include <array>

#include "text_codec.h"

namespace grace::ledger::internal {
namespace {

// 0 where no valid UTF-8 begins.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  return decode_utf8(text.substr(at)).size_bytes;
}

// Strict recursive-descent check; keeps nothing.
class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  bool object_only() {
    blanks();
    if (!object(1)) return false;
    blanks();
    return at_ == text_.size();
  }

 private:
  static constexpr int kDepthMax = 64;

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool eat(char wanted) {
    if (peek() != wanted || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }
  void blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }
  std::size_t digits() {
    const std::size_t start = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ - start;
  }

  bool number() {
    (void)eat('-');
    const bool zero = peek() == '0';
    const std::size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) return false;
    if (eat('.') && digits() == 0) return false;
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (!eat('+')) (void)eat('-');
      if (digits() == 0) return false;
    }
    return true;
  }

  bool string() {
    if (!eat('"')) return false;
    while (at_ < text_.size()) {
      const char next = text_[at_];
      if (next == '"') return eat('"');
      if (static_cast<unsigned char>(next) < 0x20) return false;
      if (next == '\\') {
        ++at_;
        const char escaped = peek();
        ++at_;
        if (escaped == 'u') {
          for (int digit = 0; digit < 4; ++digit, ++at_) {
            if (std::string_view("0123456789abcdefABCDEF").find(peek()) == text_.npos) return false;
          }
        } else if (std::string_view("\"\\/bfnrt").find(escaped) == text_.npos) {
          return false;
        }
        continue;
      }
      const std::size_t length = utf8_length(text_, at_);
      if (length == 0) return false;
      at_ += length;
    }
    return false;
  }

  bool value(int depth) {
    switch (peek()) {
      case '{':
        return object(depth + 1);
      case '[':
        return array(depth + 1);
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool array(int depth) {
    if (depth > kDepthMax || !eat('[')) return false;
    blanks();
    if (eat(']')) return true;
    for (;;) {
      blanks();
      if (!value(depth)) return false;
      blanks();
      if (eat(']')) return true;
      if (!eat(',')) return false;
    }
  }

  bool object(int depth) {
    if (depth > kDepthMax || !eat('{')) return false;
    blanks();
    if (eat('}')) return true;
    for (;;) {
      blanks();
      if (!string()) return false;
      blanks();
      if (!eat(':')) return false;
      blanks();
      if (!value(depth)) return false;
      blanks();
      if (eat('}')) return true;
      if (!eat(',')) return false;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

void JsonText::quote(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out_.push_back('"');
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = utf8_length(text, at);
    if (byte == '"' || byte == '\\') {
      out_.push_back('\\');
      out_.push_back(text[at]);
    } else if (byte < 0x20) {
      out_.append("\\u00");
      out_.push_back(kHex[byte >> 4]);
      out_.push_back(kHex[byte & 15]);
    } else if (length == 0) {
      out_.append("\xef\xbf\xbd");  // U+FFFD
    } else {
      out_.append(text.substr(at, length));
    }
    at += length == 0 ? 1 : length;
  }
  out_.push_back('"');
}

bool is_json_object(std::string_view text) {
  return Checker(text).object_only();
}

}  // namespace grace::ledger::internal
