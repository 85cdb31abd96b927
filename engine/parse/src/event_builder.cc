#include "event_builder.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "event_keys.h"
#include "grace/core/control.h"
#include "grace/core/hash.h"
#include "string_escape.h"
#include "text_scan.h"

namespace grace::parse {
namespace {

using core::ActionResult;
using core::Event;
using core::EventKind;
using core::TextRef;

struct ResultWord {
  std::string_view text;
  ActionResult result;
};
// Lower case. What is not here is kOther.
constexpr std::array kResultWords{
    ResultWord{"success", ActionResult::kSuccess},
    ResultWord{"succeeded", ActionResult::kSuccess},
    ResultWord{"successful", ActionResult::kSuccess},
    ResultWord{"ok", ActionResult::kSuccess},
    ResultWord{"allowed", ActionResult::kSuccess},
    ResultWord{"allow", ActionResult::kSuccess},
    ResultWord{"completed", ActionResult::kSuccess},
    ResultWord{"passed", ActionResult::kSuccess},
    ResultWord{"true", ActionResult::kSuccess},
    ResultWord{"error", ActionResult::kError},
    ResultWord{"failed", ActionResult::kError},
    ResultWord{"failure", ActionResult::kError},
    ResultWord{"fail", ActionResult::kError},
    ResultWord{"blocked", ActionResult::kError},
    ResultWord{"timeout", ActionResult::kError},
    ResultWord{"timed_out", ActionResult::kError},
    ResultWord{"denied", ActionResult::kError},
    ResultWord{"deny", ActionResult::kError},
    ResultWord{"rejected", ActionResult::kError},
    ResultWord{"aborted", ActionResult::kError},
    ResultWord{"crashed", ActionResult::kError},
    ResultWord{"exception", ActionResult::kError},
    ResultWord{"fatal", ActionResult::kError},
    ResultWord{"panic", ActionResult::kError},
    ResultWord{"refused", ActionResult::kError},
    ResultWord{"unavailable", ActionResult::kError},
    ResultWord{"unauthorized", ActionResult::kError},
    ResultWord{"forbidden", ActionResult::kError},
    ResultWord{"false", ActionResult::kError},
};

}  // namespace

ActionResult result_from(std::string_view text) noexcept {
  if (text.empty()) return ActionResult::kUnknown;
  for (const ResultWord& word : kResultWords) {
    if (word.text.size() != text.size()) continue;
    const bool same = std::equal(text.begin(), text.end(), word.text.begin(), [](char a, char b) {
      return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
    if (same) return word.result;
  }
  return ActionResult::kOther;
}

template <Form kForm>
inline bool EventBuilder<kForm>::text(Field field, TextRef& out) {
  if (!fields_->has(field)) return true;
  const Span span = fields_->span(field);
  if constexpr (kForm == Form::kPacked) {
    out = {place_.window_offset + span.begin, span.end - span.begin};
    return out.size_bytes <= config_.name_bytes_max || fail(RejectReason::kFieldTooLong);
  }
  const std::uint32_t size_bytes = span.end - span.begin - 2;
  if (*at(span) == '"' && (fields_->escaped & LineFields::bit(field)) == 0 &&
      size_bytes <= config_.name_bytes_max) [[likely]] {
    out = {place_.window_offset + span.begin + 1, size_bytes};
    return true;
  }
  return text_slow(field, out);
}

template <Form kForm>
inline bool EventBuilder<kForm>::text_of(Field field, Field alias, TextRef& out) {
  return text(field, out) && (out.size_bytes != 0 || text(alias, out));
}

template <Form kForm>
inline bool EventBuilder<kForm>::object(Field field, TextRef& out) {
  if (!fields_->has(field)) return true;
  const Span span = fields_->span(field);
  if (*at(span) != '{') return fail(RejectReason::kWrongType);
  out = {place_.window_offset + span.begin, span.end - span.begin};
  return true;
}

template <Form kForm>
inline bool EventBuilder<kForm>::is_number(Field field) const noexcept {
  if constexpr (kForm == Form::kPacked) return true;
  const char first = *at(fields_->span(field));
  return is_digit(first) || first == '-';
}

template <Form kForm>
std::optional<RejectReason> EventBuilder<kForm>::build(const LineFields& fields, LinePlace place,
                                                       Event& event) {
  fields_ = &fields;
  place_ = place;
  event = nothing_;
  event.sequence = chunk_->first_sequence + place.begin;
  event.text = chunk_->text();
  event.line = {place.begin, place.end - place.begin};
  event.trusted = chunk_->trusted ? 1 : 0;
  const std::uint32_t scratch_used_bytes = chunk_->scratch_used_bytes;
  bool ok = set_kind(event) && set_time(event);
  if (ok) {
    switch (event.kind) {
      case EventKind::kMetric:
        ok = set_metric(event);
        break;
      case EventKind::kAction:
        ok = set_action(event);
        break;
      case EventKind::kMesh:
        ok = set_mesh(event);
        break;
      case EventKind::kControl:
        ok = set_control(event);
        break;
    }
  }
  if (ok) [[likely]]
    return std::nullopt;
  chunk_->scratch_used_bytes = scratch_used_bytes;
  return reason_;
}

template <Form kForm>
bool EventBuilder<kForm>::set_kind(Event& event) {
  if (fields_->has(Field::kKind)) {
    TextRef ref;
    if (!text(Field::kKind, ref)) return false;
    switch (word7(event.text + ref.offset, ref.size_bytes)) {
      case word7("metric"):
        event.kind = EventKind::kMetric;
        break;
      case word7("action"):
        event.kind = EventKind::kAction;
        break;
      case word7("mesh"):
        event.kind = EventKind::kMesh;
        break;
      case word7("control"):
        event.kind = EventKind::kControl;
        break;
      default:
        return fail(RejectReason::kUnknownKind);
    }
    return true;
  }
  if (fields_->has(Field::kEventType))
    event.kind = EventKind::kMesh;
  else if (fields_->has(Field::kMetric))
    event.kind = EventKind::kMetric;
  else if (fields_->has(Field::kAction))
    event.kind = EventKind::kAction;
  else if (fields_->has(Field::kControl))
    event.kind = EventKind::kControl;
  else
    return fail(RejectReason::kMissingField);
  return true;
}

template <Form kForm>
bool EventBuilder<kForm>::set_time(Event& event) {
  if (!fields_->has(Field::kTs)) {
    event.ts_ns = chunk_->arrival_ns;
    return true;
  }
  const Span span = fields_->span(Field::kTs);
  if (kForm == Form::kJson && *at(span) == '"') {
    const bool escaped = (fields_->escaped & LineFields::bit(Field::kTs)) != 0;
    const auto ts_ns = time_.read(event.view(unescaped(span, escaped)));
    if (!ts_ns || *ts_ns < 0) return fail(RejectReason::kTsInvalid);
    event.ts_ns = *ts_ns;
  } else {
    if (!is_number(Field::kTs) || fields_->ts.form != NumberForm::kInteger ||
        fields_->ts.integer < 0) {
      return fail(RejectReason::kTsInvalid);
    }
    event.ts_ns = fields_->ts.integer;
  }
  if (is_ahead(event.ts_ns, chunk_->arrival_ns, config_.ahead_max.count())) {
    return fail(RejectReason::kTsAhead);
  }
  return true;
}

template <Form kForm>
bool EventBuilder<kForm>::set_metric(Event& event) {
  if (!text_of(Field::kService, Field::kResource, event.service) ||
      !text(Field::kMetric, event.name) || !text(Field::kDomain, event.domain) ||
      !object(Field::kLabels, event.detail)) {
    return false;
  }
  if (event.service.size_bytes == 0 || event.name.size_bytes == 0 || !fields_->has(Field::kValue)) {
    return fail(RejectReason::kMissingField);
  }
  if (!is_number(Field::kValue)) return fail(RejectReason::kWrongType);
  event.value = fields_->value.value;
  if (event.detail.size_bytes != 0 && fields_->labels_nested) {
    return fail(RejectReason::kWrongType);
  }
  set_metric_keys(event, fields_->labels_hash);
  return true;
}

template <Form kForm>
bool EventBuilder<kForm>::set_action(Event& event) {
  if (!text(Field::kAction, event.name) || !text(Field::kActor, event.actor) ||
      !text_of(Field::kService, Field::kResource, event.service) ||
      !text(Field::kDomain, event.domain) || !text(Field::kSubsystem, event.subsystem) ||
      !result_text(event) || !object(Field::kPayload, event.detail)) {
    return false;
  }
  if (event.name.size_bytes == 0 ||
      (event.actor.size_bytes == 0 && event.service.size_bytes == 0)) {
    return fail(RejectReason::kMissingField);
  }
  if (fields_->has(Field::kDurationMs)) {
    if (!is_number(Field::kDurationMs)) return fail(RejectReason::kWrongType);
    event.value = fields_->duration_ms.value;
    if (event.value < 0) return fail(RejectReason::kOutOfRange);
  }
  set_action_keys(event);
  event.session_key = session_key(event);
  return true;
}

// The trace or session that the payload names; 0 when it names none.
template <Form kForm>
std::uint32_t EventBuilder<kForm>::session_key(const Event& event) {
  if (fields_->session_present == 0 || event.detail.size_bytes == 0) return 0;
  const auto index = static_cast<std::size_t>(std::countr_zero(fields_->session_present));
  const bool escaped = (fields_->session_escaped >> index & 1) != 0;
  const std::uint32_t scratch_used_bytes = chunk_->scratch_used_bytes;
  const std::uint32_t key = session_key_of(event.view(unescaped(fields_->session[index], escaped)));
  chunk_->scratch_used_bytes = scratch_used_bytes;
  return key;
}

template <Form kForm>
bool EventBuilder<kForm>::set_mesh(Event& event) {
  if (!text(Field::kEventType, event.name) ||
      !text_of(Field::kService, Field::kResource, event.service) ||
      !text(Field::kDomain, event.domain) || !text(Field::kActor, event.actor) ||
      !text(Field::kSource, event.subsystem) || !object(Field::kPayload, event.detail)) {
    return false;
  }
  if (event.name.size_bytes == 0) return fail(RejectReason::kMissingField);
  if (!core::type_from_event_type(event.view(event.name))) {
    return fail(RejectReason::kUnknownEventType);
  }
  if (event.service.size_bytes == 0 || event.detail.size_bytes == 0) {
    return fail(RejectReason::kMissingField);
  }
  event.service_key = core::hash_bytes(event.view(event.service));
  event.route_key = event.service_key;
  return check(decoder_.check_mesh(event));
}

template <Form kForm>
bool EventBuilder<kForm>::set_control(Event& event) {
  if (!text(Field::kControl, event.name) ||
      !text_of(Field::kService, Field::kResource, event.service) ||
      !text(Field::kActor, event.actor) || !object(Field::kPayload, event.detail)) {
    return false;
  }
  if (event.name.size_bytes == 0) return fail(RejectReason::kMissingField);
  event.control = core::control_from(event.view(event.name));
  if (event.control == core::ControlKind::kNone) return fail(RejectReason::kUnknownControl);
  const bool operator_allowed = chunk_->operator_allowed || chunk_->trusted;
  if ((core::is_internal(event.control) && !chunk_->trusted) ||
      (core::is_operator(event.control) && !operator_allowed)) {
    return fail(RejectReason::kControlForbidden);
  }
  if (event.service.size_bytes != 0) {
    event.service_key = core::hash_bytes(event.view(event.service));
  }
  event.route_key = event.service_key;
  return check(decoder_.check_control(event));
}

template <Form kForm>
TextRef EventBuilder<kForm>::unescaped(Span span, bool escaped) {
  const std::uint32_t begin = place_.window_offset + span.begin + 1;
  const std::uint32_t end = place_.window_offset + span.end - 1;
  if (!escaped) [[likely]]
    return {begin, end - begin};
  // Each string of the text is unescaped at most once at a time, and never lengthens, so the
  // scratch area, as large as the text, cannot run out.
  const auto offset =
      static_cast<std::uint32_t>(chunk_->scratch_offset()) + chunk_->scratch_used_bytes;
  char* const out = chunk_->text() + offset;
  const auto size =
      static_cast<std::uint32_t>(unescape(chunk_->text() + begin, chunk_->text() + end, out));
  chunk_->scratch_used_bytes += size;
  return {offset, size};
}

template <Form kForm>
bool EventBuilder<kForm>::text_slow(Field field, TextRef& out) {
  const Span span = fields_->span(field);
  if (*at(span) != '"') return fail(RejectReason::kWrongType);
  out = unescaped(span, (fields_->escaped & LineFields::bit(field)) != 0);
  if (out.size_bytes > config_.name_bytes_max) return fail(RejectReason::kFieldTooLong);
  return true;
}

// Also what other loggers write: true, false, a status number. As written.
template <Form kForm>
bool EventBuilder<kForm>::result_text(Event& event) {
  for (const Field field : {Field::kResult, Field::kStatus}) {
    if (!fields_->has(field)) continue;
    const Span span = fields_->span(field);
    const char first = kForm == Form::kPacked ? '"' : *at(span);
    if (first == '{' || first == '[') return fail(RejectReason::kWrongType);
    if (first == '"') {
      if (!text(field, event.result_text)) return false;
    } else {
      event.result_text = {place_.window_offset + span.begin, span.end - span.begin};
    }
    if (event.result_text.size_bytes != 0) break;
  }
  set_result(event);
  return true;
}

template class EventBuilder<Form::kJson>;
template class EventBuilder<Form::kPacked>;

}  // namespace grace::parse
