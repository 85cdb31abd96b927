#include "grace/schedule/pattern.h"

#include <charconv>

namespace grace::schedule {
namespace {

using core::ErrorCode;
using core::make_error;
using core::Result;
using Accepts = std::bitset<128>;

constexpr bool is_printable(char c) {
  return c >= 0x20 && c <= 0x7e;
}  // char may be signed

void accept_range(Accepts& accepts, char from, char to) {
  for (int c = from; c <= to; ++c) accepts.set(static_cast<std::size_t>(c));
}

Accepts printable() {
  Accepts all;
  accept_range(all, 0x20, 0x7e);
  return all;
}

// Reads a pattern from left to right; `at_` is where it is, for messages.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  [[nodiscard]] bool done() const { return at_ == text_.size(); }
  [[nodiscard]] char peek() const { return done() ? '\0' : text_[at_]; }
  [[nodiscard]] std::size_t at() const { return at_; }
  char take() { return text_[at_++]; }

  [[nodiscard]] tl::unexpected<core::Error> fail(std::string_view what) const {
    return make_error(ErrorCode::kInvalidArgument,
                      "pattern '" + std::string(text_) + "': " + std::string(what) +
                          " at character " + std::to_string(at_ + 1),
                      0, at_);
  }

  Result<Accepts> atom() {
    const char c = take();
    if (c == '.') return printable();
    if (c == '[') return char_class();
    if (c == '\\') return escape();
    if (c == '(' || c == ')' || c == '^' || c == '$' || c == '*' || c == '+' || c == '?' ||
        c == '{' || c == '}' || c == ']') {
      --at_;
      return fail("unsupported '" + std::string(1, c) + "'");
    }
    if (!is_printable(c)) return fail("a character that is not printable ASCII");
    Accepts one;
    one.set(static_cast<std::size_t>(c));
    return one;
  }

  struct Repeat {
    std::size_t least = 1;
    std::size_t most = 1;
    bool unbounded = false;
  };
  Result<Repeat> repeat() {
    switch (peek()) {
      case '?':
        take();
        return Repeat{0, 1, false};
      case '*':
        take();
        return Repeat{0, 0, true};
      case '+':
        take();
        return Repeat{1, 1, true};
      case '{':
        take();
        return braces();
      default:
        return Repeat{};
    }
  }

 private:
  Result<Accepts> escape() {
    if (done()) return fail("nothing after '\\'");
    const char c = take();
    Accepts accepts;
    if (c == 'd') {
      accept_range(accepts, '0', '9');
    } else if (c == 'w') {
      accept_range(accepts, '0', '9');
      accept_range(accepts, 'A', 'Z');
      accept_range(accepts, 'a', 'z');
      accepts.set('_');
    } else if (is_printable(c)) {
      accepts.set(static_cast<std::size_t>(c));
    } else {
      return fail("a character that is not printable ASCII");
    }
    return accepts;
  }

  Result<Accepts> char_class() {
    Accepts accepts;
    const bool negated = peek() == '^';
    if (negated) take();
    if (peek() == ']') return fail("empty class");
    while (!done() && peek() != ']') {
      if (peek() == '\\') {
        take();
        auto escaped = escape();
        if (!escaped) return escaped;
        accepts |= *escaped;
        continue;
      }
      const char from = take();
      char to = from;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        take();
        to = take();
      }
      if (!is_printable(from) || !is_printable(to)) return fail("not printable ASCII");
      if (to < from) return fail("range runs backwards");
      accept_range(accepts, from, to);
    }
    if (done()) return fail("class without ']'");
    take();
    return negated ? (~accepts & printable()) : accepts;
  }

  Result<std::size_t> number() {
    std::size_t value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc{} || value > Pattern::kStatesMax)
      return fail("count missing or too large");
    at_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  Result<Repeat> braces() {
    const auto least = number();
    if (!least) return tl::unexpected(least.error());
    Repeat repeat{*least, *least, false};
    if (peek() == ',') {
      take();
      if (peek() == '}') {
        repeat.unbounded = true;
      } else {
        const auto most = number();
        if (!most) return tl::unexpected(most.error());
        repeat.most = *most;
      }
    }
    if (peek() != '}') return fail("expected '}'");
    take();
    if (repeat.most < repeat.least) return fail("counts run backwards");
    return repeat;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Pattern> Pattern::compile(std::string_view text) {
  Pattern pattern;
  pattern.text_ = std::string(text);
  Reader reader(text);
  pattern.branch_starts_.push_back(0);
  const auto end_branch = [&] {
    State end;
    end.ends_branch = true;
    pattern.states_.push_back(end);
  };
  while (!reader.done()) {
    if (reader.peek() == '|') {
      reader.take();
      end_branch();
      pattern.branch_starts_.push_back(pattern.states_.size());
      continue;
    }
    const auto accepts = reader.atom();
    if (!accepts) return tl::unexpected(accepts.error());
    const auto repeat = reader.repeat();
    if (!repeat) return tl::unexpected(repeat.error());
    if (pattern.states_.size() + repeat->most + 2 > kStatesMax) return reader.fail("too large");
    for (std::size_t i = 0; i < repeat->most; ++i) {
      pattern.states_.push_back(State{*accepts, i >= repeat->least, false, false});
    }
    // x{m,} is m copies of x, then a copy that may be skipped or repeated.
    if (repeat->unbounded) pattern.states_.push_back(State{*accepts, true, true, false});
  }
  end_branch();
  return pattern;
}

void Pattern::close(States& states) const noexcept {
  // Skips lead forward only, so one pass from left to right is enough.
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (states[i] && states_[i].skippable) states.set(i + 1);
  }
}

bool Pattern::matches(std::string_view value) const noexcept {
  if (value.size() > kValueBytesMax) return false;
  States active;
  for (const std::size_t start : branch_starts_) active.set(start);
  close(active);
  for (const char c : value) {
    if (!is_printable(c)) return false;
    States next;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (!active[i] || !states_[i].accepts[static_cast<std::size_t>(c)]) continue;
      next.set(i + 1);
      if (states_[i].repeats) next.set(i);
    }
    close(next);
    active = next;
    if (active.none()) return false;
  }
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (active[i] && states_[i].ends_branch) return true;
  }
  return false;
}

bool glob_matches(std::string_view glob, std::string_view text) noexcept {
  std::size_t g = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // last '*' seen
  std::size_t resume = 0;                     // where its run may be made one longer
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = t;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t])) {
      ++g;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

}  // namespace grace::schedule
