#include "alert_line.h"

#include <initializer_list>

#include "grace/core/time.h"
#include "grace/parse/json_value.h"

namespace grace::tools {
namespace {

using core::ErrorCode;
using core::make_error;
using parse::JsonValue;

struct Member {
  std::string_view name;
  const JsonValue* value = nullptr;
};

// The first of the names that is there and not null.
Member first_of(const JsonValue& object, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const JsonValue* const value = object.find(name);
    if (value != nullptr && !value->is_null()) return {name, value};
  }
  return {};
}

core::Result<std::string> text_of(const JsonValue& object,
                                  std::initializer_list<std::string_view> names) {
  const Member member = first_of(object, names);
  if (member.value == nullptr) return std::string();
  if (!member.value->is_string()) {
    return make_error(ErrorCode::kInvalidArgument, std::string(member.name) + " is no string");
  }
  return std::string(member.value->as_string());
}

core::Result<std::int64_t> time_of(const JsonValue& object) {
  const Member member = first_of(object, {"ts", "timestamp", "time"});
  if (member.value == nullptr) return make_error(ErrorCode::kInvalidArgument, "no ts");
  if (member.value->is_integer()) return member.value->as_int64();
  const auto ts_ns = core::parse_rfc3339(member.value->as_string());
  if (ts_ns) return *ts_ns;
  return make_error(ErrorCode::kInvalidArgument,
                    std::string(member.name) + " is neither RFC 3339 nor integer nanoseconds");
}

}  // namespace

core::Result<AlertLine> parse_alert_line(std::string_view line) {
  const auto json = JsonValue::parse(line);
  if (!json) return tl::unexpected(json.error());
  if (!json->is_object()) return make_error(ErrorCode::kInvalidArgument, "no JSON object");
  AlertLine alert;
  if (const Member index = first_of(*json, {"index"}); index.value != nullptr) {
    if (!index.value->is_integer() || index.value->as_int64() < 0) {
      return make_error(ErrorCode::kInvalidArgument, "index is no integer from 0");
    }
    alert.index = index.value->as_uint64();
  }
  const auto ts_ns = time_of(*json);
  if (!ts_ns) return tl::unexpected(ts_ns.error());
  alert.ts_ns = *ts_ns;
  auto service = text_of(*json, {"service", "host", "resource"});
  if (!service) return tl::unexpected(service.error());
  auto signature = text_of(*json, {"signature", "rule"});
  if (!signature) return tl::unexpected(signature.error());
  auto text = text_of(*json, {"name", "message", "title"});
  if (!text) return tl::unexpected(text.error());
  alert.service = std::move(*service);
  alert.signature = std::move(*signature);
  alert.text = std::move(*text);
  if (alert.signature.empty() && alert.text.empty()) {
    return make_error(ErrorCode::kInvalidArgument, "neither a signature nor a name");
  }
  return alert;
}

}  // namespace grace::tools
