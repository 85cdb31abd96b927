#include "json_fields.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>
#include <vector>

namespace grace::ledger::internal {
namespace {

bool is_blank(char letter) {
  return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

// Where the string that begins at `at` ends: behind its closing quote.
std::size_t string_end(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at + 1, text.size());
}

void append_code_point(std::uint32_t value, std::string& out) {
  if (value >= 0xd800 && value < 0xe000) value = 0xfffd;
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xc0 | value >> 6);
    put(0x80 | (value & 0x3f));
  } else if (value < 0x10000) {
    put(0xe0 | value >> 12);
    put(0x80 | (value >> 6 & 0x3f));
    put(0x80 | (value & 0x3f));
  } else {
    put(0xf0 | value >> 18);
    put(0x80 | (value >> 12 & 0x3f));
    put(0x80 | (value >> 6 & 0x3f));
    put(0x80 | (value & 0x3f));
  }
}

// The four digits behind "\u"; 0xfffd where they are none.
std::uint32_t hex_unit(std::string_view digits) {
  std::uint32_t unit = 0;
  const auto [end, outcome] =
      std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
  return outcome == std::errc{} && end == digits.data() + 4 ? unit : 0xfffd;
}

// What is left of a path once the names in front of it have been passed, and the whole of it.
struct Rest {
  std::string_view rest;
  std::string_view path;
};

// One pass over a checked object: recursion is as deep as its nesting, which the check bounds.
class FieldWalk {
 public:
  FieldWalk(std::string_view text, const ReplaceField& replace, std::string& out)
      : text_(text), replace_(replace), out_(out) {}

  bool run(std::span<const std::string> paths) {
    std::vector<Rest> rests;
    for (const std::string& path : paths) rests.push_back({path, path});
    blanks();
    value(rests);
    out_.append(text_.substr(copied_));
    return replaced_;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }
  // Passes over '[' or ',' and blanks; false behind the closing bracket.
  bool next_element(char closing) {
    ++at_;
    blanks();
    if (peek() != closing) return at_ < text_.size();
    ++at_;
    return false;
  }
  void separator(char closing, bool& more) {
    blanks();
    more = peek() == ',';
    if (!more && peek() == closing) ++at_;
    if (!more) return;
    ++at_;
    blanks();
  }

  void value(const std::vector<Rest>& rests) {
    if (peek() == '{') return object(rests);
    if (peek() == '[') return array(rests);
    if (peek() == '"') {
      at_ = string_end(text_, at_);
      return;
    }
    while (at_ < text_.size() && !is_blank(peek()) && peek() != ',' && peek() != '}' &&
           peek() != ']') {
      ++at_;
    }
  }

  void array(const std::vector<Rest>& rests) {
    bool more = next_element(']');
    while (more) {
      value(rests);
      separator(']', more);
    }
  }

  void object(const std::vector<Rest>& rests) {
    bool more = next_element('}');
    while (more) {
      member(rests);
      separator('}', more);
    }
  }

  void member(const std::vector<Rest>& rests) {
    const std::size_t name_at = at_;
    at_ = string_end(text_, at_);
    const std::string name =
        rests.empty() ? std::string() : unescaped(text_.substr(name_at + 1, at_ - name_at - 2));
    blanks();
    ++at_;  // the colon
    blanks();
    std::vector<Rest> inner;
    for (const Rest& rest : rests) {
      if (rest.rest == name) return replace_value(rest.path);
      if (rest.rest.starts_with(name) && rest.rest.substr(name.size()).starts_with('.')) {
        inner.push_back({rest.rest.substr(name.size() + 1), rest.path});
      }
    }
    value(inner);
  }

  void replace_value(std::string_view path) {
    const std::size_t begin = at_;
    value({});
    out_.append(text_.substr(copied_, begin - copied_));
    replace_(path, text_.substr(begin, at_ - begin), out_);
    copied_ = at_;
    replaced_ = true;
  }

  const std::string_view text_;
  const ReplaceField& replace_;
  std::string& out_;
  std::size_t at_ = 0;
  std::size_t copied_ = 0;
  bool replaced_ = false;
};

}  // namespace

bool replace_fields(std::string_view object, std::span<const std::string> paths,
                    const ReplaceField& replace, std::string& out) {
  return FieldWalk(object, replace, out).run(paths);
}

void append_without_blanks(std::string_view value, std::string& out) {
  for (std::size_t at = 0; at < value.size();) {
    const std::size_t end = value[at] == '"' ? string_end(value, at) : at + 1;
    if (!is_blank(value[at])) out.append(value.substr(at, end - at));
    at = end;
  }
}

std::string unescaped(std::string_view string) {
  constexpr std::string_view kNames = "bfnrt";
  constexpr std::string_view kLetters = "\b\f\n\r\t";
  std::string out;
  out.reserve(string.size());
  for (std::size_t at = 0; at < string.size(); ++at) {
    if (string[at] != '\\' || at + 1 == string.size()) {
      out.push_back(string[at]);
      continue;
    }
    const char escaped = string[++at];
    if (escaped != 'u') {
      const std::size_t known = kNames.find(escaped);
      out.push_back(known == std::string_view::npos ? escaped : kLetters[known]);
      continue;
    }
    std::uint32_t unit = hex_unit(string.substr(at + 1, 4));
    at = std::min(at + 4, string.size() - 1);
    if (unit >= 0xd800 && unit < 0xdc00 && string.substr(at + 1).starts_with("\\u")) {
      const std::uint32_t low = hex_unit(string.substr(at + 3, 4));
      if (low >= 0xdc00 && low < 0xe000) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      }
    }
    append_code_point(unit, out);
  }
  return out;
}

}  // namespace grace::ledger::internal
