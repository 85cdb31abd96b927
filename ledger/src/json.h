#pragma once
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace grace::ledger::internal {

// Appends JSON to a string the caller owns: just what the ledger's own records need. Shortest
// round-trip numbers, no blanks; NaN and infinities become null; invalid UTF-8 becomes U+FFFD.
class JsonText {
 public:
  explicit JsonText(std::string& out) : out_(out) {}

  JsonText& begin_object() { return open('{'); }
  JsonText& end_object() { return shut('}'); }
  JsonText& begin_array() { return open('['); }
  JsonText& end_array() { return shut(']'); }
  JsonText& key(std::string_view name) {
    separate();
    quote(name);
    out_.push_back(':');
    first_ = true;
    return *this;
  }
  JsonText& value(std::string_view text) {
    separate();
    quote(text);
    return *this;
  }
  JsonText& value(const char* text) { return value(std::string_view(text)); }
  JsonText& value(const std::string& text) { return value(std::string_view(text)); }
  JsonText& value(std::int64_t number) { return print(number); }
  JsonText& value(std::uint64_t number) { return print(number); }
  JsonText& value(double number) {
    if (!std::isfinite(number)) return raw("null");
    return print(number);
  }
  JsonText& raw(std::string_view json) {
    separate();
    out_.append(json);
    return *this;
  }
  template <typename T>
  JsonText& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }

 private:
  JsonText& open(char bracket) {
    separate();
    out_.push_back(bracket);
    first_ = true;
    return *this;
  }
  JsonText& shut(char bracket) {
    out_.push_back(bracket);
    first_ = false;
    return *this;
  }
  void separate() {
    if (!first_) out_.push_back(',');
    first_ = false;
  }
  template <typename Number>
  JsonText& print(Number number) {
    separate();
    char text[32];
    const auto end = std::to_chars(text, text + sizeof(text), number).ptr;
    out_.append(text, end);
    return *this;
  }
  void quote(std::string_view text);

  std::string& out_;
  bool first_ = true;  // no separator is due
};

// Whether `text` is one complete JSON object: strict RFC 8259, UTF-8, at most 64 levels deep.
[[nodiscard]] bool is_json_object(std::string_view text);

}  // namespace grace::ledger::internal
