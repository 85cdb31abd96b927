#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace grace::core {

// Appends JSON to a string the caller owns. Canonical: keys in call order, shortest round-trip
// numbers (std::to_chars), no blanks, so equal content gives equal bytes. NaN and infinities become
// null. Invalid UTF-8 becomes U+FFFD. Cold paths.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}
  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(double number);
  JsonWriter& value(std::int64_t number);
  JsonWriter& value(std::uint64_t number);
  JsonWriter& value(std::int32_t number) { return value(static_cast<std::int64_t>(number)); }
  JsonWriter& value(std::uint32_t number) { return value(static_cast<std::uint64_t>(number)); }
  JsonWriter& value(bool flag);
  JsonWriter& null();
  JsonWriter& raw(std::string_view json);  // already JSON

  template <typename T>
  JsonWriter& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }
  JsonWriter& raw_field(std::string_view name, std::string_view json) {
    return key(name).raw(json);
  }
  template <typename Range>
  JsonWriter& array_field(std::string_view name, const Range& items) {
    key(name).begin_array();
    for (const auto& item : items) value(std::string_view(item));
    return end_array();
  }

 private:
  void separate();
  std::string& out_;
  bool first_ = true;  // nothing yet at this level
};

// `text` as a JSON string with quotes.
[[nodiscard]] std::string json_quoted(std::string_view text);

}  // namespace grace::core
