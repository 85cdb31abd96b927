#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace grace::schedule {

// Reads back the one-level payloads this module wrote with core::JsonWriter, for recovery from the
// ledger. Strings are unescaped; numbers, flags and null keep their text; nested objects and arrays
// keep their raw JSON. Not a general parser: nullopt for anything JsonWriter would not write.
class FlatJson {
 public:
  [[nodiscard]] static std::optional<FlatJson> parse(std::string_view object);
  [[nodiscard]] std::string_view text(std::string_view key) const;  // empty when absent
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t absent = 0) const;
  [[nodiscard]] double number(std::string_view key) const;
  [[nodiscard]] bool flag(std::string_view key) const { return text(key) == "true"; }
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& all() const {
    return values_;
  }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace grace::schedule
