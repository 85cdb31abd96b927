#include "grace/parse/reject_reason.h"

#include <array>

namespace grace::parse {

std::string_view to_string(RejectReason reason) noexcept {
  static constexpr std::array<std::string_view, kRejectReasonCount> kNames{
      "malformed_json",    "invalid_utf8",   "not_object",         "wrong_type",
      "missing_field",     "not_finite",     "out_of_range",       "field_too_long",
      "line_too_long",     "too_deep",       "ts_invalid",         "ts_ahead",
      "truncated",         "unknown_kind",   "unknown_event_type", "unknown_control",
      "control_forbidden", "invalid_payload"};
  static_assert(static_cast<std::size_t>(RejectReason::kInvalidPayload) + 1 == kRejectReasonCount);
  return kNames[static_cast<std::size_t>(reason)];
}

}  // namespace grace::parse
