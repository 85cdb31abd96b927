#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "grace/core/error.h"

namespace grace::parse {

// A JSON value that owns its content, for cold paths (tools reading ledger records, control
// replies, tests). Objects keep their members' order; of repeated keys find() gives the last.
class JsonValue {
 public:
  using Array = std::vector<JsonValue>;
  using Object = std::vector<std::pair<std::string, JsonValue>>;
  using Data = std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string,
                            Array, Object>;

  JsonValue() = default;
  explicit JsonValue(Data data) : data_(std::move(data)) {}

  // kInvalidArgument with the parser's message when `text` is not one JSON value.
  [[nodiscard]] static core::Result<JsonValue> parse(std::string_view text);

  [[nodiscard]] bool is_null() const noexcept { return holds<std::nullptr_t>(); }
  [[nodiscard]] bool is_bool() const noexcept { return holds<bool>(); }
  [[nodiscard]] bool is_string() const noexcept { return holds<std::string>(); }
  [[nodiscard]] bool is_array() const noexcept { return holds<Array>(); }
  [[nodiscard]] bool is_object() const noexcept { return holds<Object>(); }
  [[nodiscard]] bool is_number() const noexcept {
    return holds<std::int64_t>() || holds<std::uint64_t>() || holds<double>();
  }

  [[nodiscard]] bool is_integer() const noexcept { return holds<std::int64_t>(); }
  // Only what int64 cannot hold.
  [[nodiscard]] bool is_unsigned() const noexcept { return holds<std::uint64_t>(); }

  // The value, or `fallback` when it is of another type (or does not fit).
  [[nodiscard]] bool as_bool(bool fallback = false) const noexcept;
  [[nodiscard]] double as_double(double fallback = 0.0) const noexcept;
  [[nodiscard]] std::int64_t as_int64(std::int64_t fallback = 0) const noexcept;
  [[nodiscard]] std::uint64_t as_uint64(std::uint64_t fallback = 0) const noexcept;
  [[nodiscard]] std::string_view as_string(std::string_view fallback = {}) const noexcept;
  // Empty when it is of another type.
  [[nodiscard]] const Array& array() const noexcept;
  [[nodiscard]] const Object& object() const noexcept;

  // Member of an object; null when absent or when this is no object.
  [[nodiscard]] const JsonValue* find(std::string_view key) const noexcept;
  // The same, but a null value instead of no value: v["payload"]["code"].as_string().
  [[nodiscard]] const JsonValue& operator[](std::string_view key) const noexcept;

  // Canonical JSON (core::JsonWriter).
  [[nodiscard]] std::string to_json() const;

 private:
  template <typename T>
  [[nodiscard]] bool holds() const noexcept {
    return std::holds_alternative<T>(data_);
  }
  Data data_ = nullptr;
};

}  // namespace grace::parse
