#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace grace::parse {

// Why a line was not taken. One reason a line: where several apply, the line's form is judged first
// (length, UTF-8, JSON, in this order), then its fields. Names in output are stable.
enum class RejectReason : std::uint8_t {
  kMalformedJson = 0,  // not exactly one JSON value on the line
  kInvalidUtf8,        // anywhere in the line, also outside of strings
  kNotObject,          // valid JSON, but not an object
  kWrongType,          // a field of this kind has another JSON type than documented
  kMissingField,       // a required field is absent, null, or an empty name
  kNotFinite,          // NaN or Infinity (as literals), or a number past the range of a double
  kOutOfRange,         // a valid number outside its field's range, or an integer past 64 bits
  kFieldTooLong,       // a name is longer than name_bytes_max
  kLineTooLong,        // longer than line_bytes_max; counted once, where the line begins
  kTooDeep,            // nesting over depth_max
  kTsInvalid,          // neither nanoseconds in int64 from 0 up, nor RFC 3339
  kTsAhead,            // later than arrival + ahead_max
  kTruncated,          // the source ended inside this line
  kUnknownKind,        // `kind` is none of metric, action, mesh, control
  kUnknownEventType,   // `event_type` is none of the ten
  kUnknownControl,     // `control` is none that exists
  kControlForbidden,   // a control that this source may not send
  kInvalidPayload,     // mesh or control: a payload value is none of those documented
};
inline constexpr std::size_t kRejectReasonCount = 18;

[[nodiscard]] std::string_view to_string(RejectReason reason) noexcept;  // "malformed_json"

}  // namespace grace::parse
