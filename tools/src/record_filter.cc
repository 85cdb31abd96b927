#include "record_filter.h"

#include <charconv>
#include <compare>
#include <optional>

#include "grace/core/time.h"
#include "grace/schedule/pattern.h"

namespace grace::tools {
namespace {

using parse::JsonValue;

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Times are compared in nanoseconds, whichever way they are written.
std::optional<std::int64_t> time_of(const JsonValue& value) {
  if (value.is_integer()) return value.as_int64();
  if (value.is_string()) return core::parse_rfc3339(value.as_string());
  return std::nullopt;
}

// Nothing: they cannot be ordered.
std::partial_ordering order(const JsonValue& left, const JsonValue& right) {
  if (left.is_string() && right.is_string()) return left.as_string() <=> right.as_string();
  if (!left.is_number() || !right.is_number()) return std::partial_ordering::unordered;
  // Exact where both are integers: as doubles, large ones would be rounded to the same.
  if (left.is_integer() && right.is_integer()) return left.as_int64() <=> right.as_int64();
  if (left.is_unsigned() && right.is_unsigned()) return left.as_uint64() <=> right.as_uint64();
  return left.as_double() <=> right.as_double();
}

bool equal(const JsonValue& left, const JsonValue& right) {
  if (left.is_null() || right.is_null()) return left.is_null() && right.is_null();
  if (left.is_bool() && right.is_bool()) return left.as_bool() == right.as_bool();
  return order(left, right) == std::partial_ordering::equivalent;
}

bool like(const JsonValue& value, std::string_view pattern) {
  if (!value.is_string()) return false;
  if (pattern.find_first_of("*?") != std::string_view::npos) {
    return schedule::glob_matches(pattern, value.as_string());
  }
  return value.as_string().find(pattern) != std::string_view::npos;
}

const JsonValue& member(const JsonValue& value, const std::string& name) {
  if (!value.is_array()) return value[name];
  static const JsonValue kNull;
  std::size_t index = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, index);
  const bool there = error == std::errc() && stop == end && index < value.array().size();
  return there ? value.array()[index] : kNull;
}

}  // namespace

class FilterParser {
 public:
  explicit FilterParser(std::string_view text) : text_(text) {}

  core::Result<RecordFilter> run() {
    if (text_.size() > RecordFilter::kTextBytesMax) {
      fail(RecordFilter::kTextBytesMax,
           "a filter has at most " + std::to_string(RecordFilter::kTextBytesMax) + " bytes");
    } else if (any(0)) {
      blanks();
      if (at_ < text_.size()) fail(at_, "'and', 'or' or the end is expected");
    }
    if (error_) return tl::unexpected<core::Error>(*error_);
    return std::move(out_);
  }

 private:
  using Compare = RecordFilter::Compare;
  using Step = RecordFilter::Step;

  bool fail(std::size_t at, const std::string& what) {
    if (!error_) {
      error_ = core::Error{core::ErrorCode::kInvalidArgument,
                           "column " + std::to_string(at + 1) + ": " + what, 0, at + 1};
    }
    return false;
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void blanks() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n') ++at_;
  }
  [[nodiscard]] std::string_view word() const {
    std::size_t end = at_;
    if (is_name_start(peek())) {
      while (end < text_.size() &&
             (is_name_start(text_[end]) || is_digit(text_[end]) || text_[end] == '-')) {
        ++end;
      }
    }
    return text_.substr(at_, end - at_);
  }
  bool eat_word(std::string_view wanted) {
    blanks();
    if (word() != wanted) return false;
    at_ += wanted.size();
    return true;
  }

  bool any(std::size_t depth) {
    if (!all(depth)) return false;
    while (eat_word("or")) {
      if (!all(depth)) return false;
      out_.program_.push_back(Step::kOr);
    }
    return true;
  }
  bool all(std::size_t depth) {
    if (!term(depth)) return false;
    while (eat_word("and")) {
      if (!term(depth)) return false;
      out_.program_.push_back(Step::kAnd);
    }
    return true;
  }
  bool term(std::size_t depth) {
    blanks();
    const std::size_t start = at_;
    const bool negated = eat_word("not");
    if (!negated && peek() != '(') return test();
    if (depth == RecordFilter::kDepthMax) {
      return fail(start, "nested more than " + std::to_string(RecordFilter::kDepthMax) + " deep");
    }
    if (negated) {
      if (!term(depth + 1)) return false;
      out_.program_.push_back(Step::kNot);
      return true;
    }
    ++at_;
    if (!any(depth + 1)) return false;
    blanks();
    if (peek() != ')') {
      return fail(at_, "')' is expected for the '(' in column " + std::to_string(start + 1));
    }
    ++at_;
    return true;
  }

  bool test() {
    RecordFilter::Test test;
    if (!path(test.path)) return false;
    blanks();
    if (!compare(test.compare)) return fail(at_, "=, !=, <, <=, >, >= or ~ is expected");
    blanks();
    const std::size_t start = at_;
    if (!value(test.value)) return false;
    if (test.compare == Compare::kLike && !test.value.is_string()) {
      return fail(start, "~ takes a text in double quotes");
    }
    const bool is_time = test.path.size() == 1 && test.path[0] == "ts";
    if (is_time && test.compare != Compare::kLike) {
      const auto time_ns = time_of(test.value);
      if (!time_ns) return fail(start, "ts takes a time such as \"2025-01-15T14:30:00Z\"");
      test.value = JsonValue(*time_ns);
    }
    out_.asks_for_type_ = out_.asks_for_type_ || (test.path.size() == 1 && test.path[0] == "type");
    out_.tests_.push_back(std::move(test));
    out_.program_.push_back(Step::kTest);
    return true;
  }
  bool path(std::vector<std::string>& out) {
    blanks();
    const std::string_view first = word();
    if (first.empty()) return fail(at_, "a field, 'not' or '(' is expected");
    for (const std::string_view taken : {"and", "or", "not", "true", "false", "null"}) {
      if (first == taken) return fail(at_, "a field is expected, not '" + std::string(taken) + "'");
    }
    out.emplace_back(first);
    at_ += first.size();
    while (peek() == '.') {
      ++at_;
      std::string_view part = word();
      if (part.empty()) {
        std::size_t end = at_;
        while (end < text_.size() && is_digit(text_[end])) ++end;
        part = text_.substr(at_, end - at_);
      }
      if (part.empty()) return fail(at_, "a name or an index is expected after '.'");
      out.emplace_back(part);
      at_ += part.size();
    }
    return true;
  }
  bool compare(Compare& out) {
    const std::string_view two = text_.substr(at_, 2);
    const auto take = [&](std::size_t bytes, Compare found) {
      at_ += bytes;
      out = found;
      return true;
    };
    if (two == "!=") return take(2, Compare::kNotEqual);
    if (two == "<=") return take(2, Compare::kLessEqual);
    if (two == ">=") return take(2, Compare::kMoreEqual);
    switch (peek()) {
      case '=':
        return take(1, Compare::kEqual);
      case '<':
        return take(1, Compare::kLess);
      case '>':
        return take(1, Compare::kMore);
      case '~':
        return take(1, Compare::kLike);
      default:
        return false;
    }
  }
  bool value(JsonValue& out) {
    if (peek() == '"') return text(out);
    if (eat_word("true")) return out = JsonValue(true), true;
    if (eat_word("false")) return out = JsonValue(false), true;
    if (eat_word("null")) return out = JsonValue(), true;
    const char* const begin = text_.data() + at_;
    const char* const end = text_.data() + text_.size();
    std::int64_t whole = 0;
    const auto [stop, error] = std::from_chars(begin, end, whole);
    const bool ended = stop == end || std::string_view(" \t\n)").find(*stop) != text_.npos;
    if (error == std::errc() && ended) {
      at_ += static_cast<std::size_t>(stop - begin);
      return out = JsonValue(whole), true;
    }
    double real = 0;
    const bool digits = is_digit(peek()) || peek() == '-';  // not "inf" and "nan"
    const auto [real_stop, real_error] = std::from_chars(begin, end, real);
    if (!digits || real_error != std::errc()) {
      return fail(at_, "a text in double quotes, a number, true, false or null is expected");
    }
    at_ += static_cast<std::size_t>(real_stop - begin);
    return out = JsonValue(real), true;
  }
  bool text(JsonValue& out) {
    const std::size_t start = at_++;
    std::string content;
    while (at_ < text_.size() && peek() != '"') {
      if (peek() == '\\') {
        ++at_;
        if (peek() != '"' && peek() != '\\') return fail(at_, "only \\\" and \\\\ are escapes");
      }
      content.push_back(text_[at_++]);
    }
    if (peek() != '"') return fail(start, "a text is not ended with '\"'");
    ++at_;
    return out = JsonValue(std::move(content)), true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  RecordFilter out_;
  std::optional<core::Error> error_;
};

core::Result<RecordFilter> RecordFilter::parse(std::string_view text) {
  return FilterParser(text).run();
}

bool RecordFilter::holds(const Test& test, const FilteredRecord& record) {
  JsonValue own;
  const JsonValue* value = &record.json;
  if (test.path.front() == "sequence" && test.path.size() == 1) {
    own = JsonValue(static_cast<std::int64_t>(record.sequence));
    value = &own;
  } else if (test.path.front() == "type" && test.path.size() == 1) {
    own = JsonValue(std::string(record.type));
    value = &own;
  } else {
    for (const std::string& name : test.path) value = &member(*value, name);
  }
  if (test.compare == Compare::kLike) return like(*value, test.value.as_string());
  if (test.path.size() == 1 && test.path.front() == "ts") {
    if (const auto time_ns = time_of(*value)) {
      own = JsonValue(*time_ns);
      value = &own;
    }
  }
  switch (test.compare) {
    case Compare::kEqual:
      return equal(*value, test.value);
    case Compare::kNotEqual:
      return !equal(*value, test.value);
    case Compare::kLess:
      return order(*value, test.value) < 0;
    case Compare::kLessEqual:
      return order(*value, test.value) <= 0;
    case Compare::kMore:
      return order(*value, test.value) > 0;
    case Compare::kMoreEqual:
      return order(*value, test.value) >= 0;
    case Compare::kLike:
      break;
  }
  return false;
}

bool RecordFilter::matches(const FilteredRecord& record) const {
  std::vector<char> stack;
  std::size_t next_test = 0;
  for (const Step step : program_) {
    if (step == Step::kTest) {
      stack.push_back(holds(tests_[next_test++], record));
      continue;
    }
    if (step == Step::kNot) {
      stack.back() = stack.back() == 0;
      continue;
    }
    const char right = stack.back();
    stack.pop_back();
    stack.back() = step == Step::kAnd ? (stack.back() & right) : (stack.back() | right);
  }
  return stack.back() != 0;
}

}  // namespace grace::tools
