#include "grace/parse/json_value.h"

#include <simdjson.h>

#include <cmath>
#include <limits>

#include "grace/core/json_writer.h"

namespace grace::parse {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

// The conversions throw only on another type than the one just asked for, so never. Recursion is
// bounded by simdjson's depth limit (1024).
JsonValue convert(element from) {
  switch (from.type()) {
    case element_type::ARRAY: {
      JsonValue::Array items;
      const simdjson::dom::array array = from;
      for (const element item : array) items.push_back(convert(item));
      return JsonValue(JsonValue::Data(std::move(items)));
    }
    case element_type::OBJECT: {
      JsonValue::Object members;
      const simdjson::dom::object object = from;
      for (const auto member : object) {
        members.emplace_back(member.key, convert(member.value));
      }
      return JsonValue(JsonValue::Data(std::move(members)));
    }
    case element_type::INT64:
      return JsonValue(JsonValue::Data(std::int64_t(from)));
    case element_type::UINT64:
      return JsonValue(JsonValue::Data(std::uint64_t(from)));
    case element_type::DOUBLE:
      return JsonValue(JsonValue::Data(double(from)));
    case element_type::STRING:
      return JsonValue(JsonValue::Data(std::string(std::string_view(from))));
    case element_type::BOOL:
      return JsonValue(JsonValue::Data(bool(from)));
    case element_type::NULL_VALUE:
      break;
  }
  return JsonValue();
}

struct Writer {
  core::JsonWriter& json;

  void write(const JsonValue& value) const {
    if (value.is_object()) {
      json.begin_object();
      for (const auto& [name, member] : value.object()) {
        json.key(name);
        write(member);
      }
      json.end_object();
    } else if (value.is_array()) {
      json.begin_array();
      for (const JsonValue& item : value.array()) write(item);
      json.end_array();
    } else if (value.is_string()) {
      json.value(value.as_string());
    } else if (value.is_bool()) {
      json.value(value.as_bool());
    } else if (!value.is_number()) {
      json.null();
    } else if (value.is_integer()) {
      json.value(value.as_int64());
    } else if (value.is_unsigned()) {
      json.value(value.as_uint64());
    } else {
      json.value(value.as_double());
    }
  }
};

}  // namespace

core::Result<JsonValue> JsonValue::parse(std::string_view text) {
  simdjson::dom::parser parser;
  element root;
  const simdjson::error_code error = parser.parse(text.data(), text.size()).get(root);
  if (error != simdjson::SUCCESS) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            std::string("not JSON: ") + simdjson::error_message(error));
  }
  return convert(root);
}

bool JsonValue::as_bool(bool fallback) const noexcept {
  const bool* const value = std::get_if<bool>(&data_);
  return value == nullptr ? fallback : *value;
}

double JsonValue::as_double(double fallback) const noexcept {
  if (const auto* value = std::get_if<double>(&data_)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&data_)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<std::uint64_t>(&data_)) return static_cast<double>(*value);
  return fallback;
}

std::int64_t JsonValue::as_int64(std::int64_t fallback) const noexcept {
  if (const auto* value = std::get_if<std::int64_t>(&data_)) return *value;
  return fallback;  // simdjson gives uint64 only to what int64 cannot hold
}

std::uint64_t JsonValue::as_uint64(std::uint64_t fallback) const noexcept {
  if (const auto* value = std::get_if<std::uint64_t>(&data_)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&data_)) {
    if (*value >= 0) return static_cast<std::uint64_t>(*value);
  }
  return fallback;
}

std::string_view JsonValue::as_string(std::string_view fallback) const noexcept {
  const auto* value = std::get_if<std::string>(&data_);
  return value == nullptr ? fallback : std::string_view(*value);
}

const JsonValue::Array& JsonValue::array() const noexcept {
  static const Array kEmpty;
  const auto* value = std::get_if<Array>(&data_);
  return value == nullptr ? kEmpty : *value;
}

const JsonValue::Object& JsonValue::object() const noexcept {
  static const Object kEmpty;
  const auto* value = std::get_if<Object>(&data_);
  return value == nullptr ? kEmpty : *value;
}

const JsonValue* JsonValue::find(std::string_view key) const noexcept {
  const JsonValue* found = nullptr;
  for (const auto& [name, member] : object()) {
    if (name == key) found = &member;
  }
  return found;
}

const JsonValue& JsonValue::operator[](std::string_view key) const noexcept {
  static const JsonValue kNull;
  const JsonValue* const found = find(key);
  return found == nullptr ? kNull : *found;
}

std::string JsonValue::to_json() const {
  std::string out;
  core::JsonWriter json(out);
  Writer{json}.write(*this);
  return out;
}

}  // namespace grace::parse
