#pragma once
#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "grace/core/json_writer.h"

namespace grace::tools {

// Builds one NDJSON line of the native form, with numbers printed to few decimals so that the bytes
// do not depend on a machine's last bit.
class LineBuilder {
 public:
  std::string& text() { return text_; }

  LineBuilder& begin(std::int64_t ts_ns) {
    text_.assign("{\"ts\":");
    text_ += std::to_string(ts_ns);
    return *this;
  }
  LineBuilder& field(std::string_view key, std::string_view value) {
    text_ += ",\"";
    text_ += key;
    text_ += "\":";
    text_ += core::json_quoted(value);
    return *this;
  }
  LineBuilder& field(std::string_view key, double value, int decimals = 3) {
    char digits[64];
    const auto [end, error] =
        std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, decimals);
    static_cast<void>(error);
    text_ += ",\"";
    text_ += key;
    text_ += "\":";
    text_.append(digits, end);
    return *this;
  }
  LineBuilder& raw(std::string_view key, std::string_view json) {
    text_ += ",\"";
    text_ += key;
    text_ += "\":";
    text_ += json;
    return *this;
  }
  const std::string& end() {
    text_ += "}\n";
    return text_;
  }

 private:
  std::string text_;
};

}  // namespace grace::tools
