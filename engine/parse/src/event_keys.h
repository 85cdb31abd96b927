#pragma once
#include <cstdint>
#include <string_view>

#include "grace/core/event.h"
#include "grace/core/hash.h"
#include "text_scan.h"

// What follows from an event's texts, however they were read.
namespace grace::parse {

[[nodiscard]] core::ActionResult result_from(std::string_view text) noexcept;

inline void set_metric_keys(core::Event& event, std::uint64_t labels_hash) noexcept {
  event.service_key = core::hash_bytes(event.view(event.service));
  const std::uint64_t name_hash = hash_short(event.text + event.name.offset, event.name.size_bytes);
  event.route_key = core::combine(core::combine(event.service_key, name_hash),
                                  event.detail.size_bytes != 0 ? labels_hash : 0);
}

// All of one actor's actions meet in one partition, in order, whatever session they belong to.
inline void set_action_keys(core::Event& event) noexcept {
  if (event.service.size_bytes != 0) {
    event.service_key = core::hash_bytes(event.view(event.service));
  }
  event.name_key = core::hash_bytes(event.view(event.name));
  event.route_key =
      event.actor.size_bytes != 0 ? core::hash_bytes(event.view(event.actor)) : event.service_key;
}

inline void set_result(core::Event& event) noexcept {
  const core::TextRef ref = event.result_text;
  switch (word7(event.text + ref.offset, ref.size_bytes)) {
    case word7("success"):
      event.result = core::ActionResult::kSuccess;
      break;
    case word7("error"):
      event.result = core::ActionResult::kError;
      break;
    default:
      event.result = result_from(event.view(ref));
  }
}

// Whether an event's time is too far ahead of the wall clock when it came. ts_ns >= 0 and
// ahead_max_ns >= 0: the difference cannot overflow for arrivals from 0 up.
[[nodiscard]] inline bool is_ahead(std::int64_t ts_ns, std::int64_t arrival_ns,
                                   std::int64_t ahead_max_ns) noexcept {
  return arrival_ns > 0 && ts_ns - arrival_ns > ahead_max_ns;
}

// Sets what follows from the texts of a metric sample or an action that EventBuilder would accept
// as far as its texts and its value go. False: it would not, and knows why.
[[nodiscard]] inline bool complete(core::Event& event, std::uint64_t labels_hash) noexcept {
  if (event.name.size_bytes == 0) return false;
  if (event.kind == core::EventKind::kMetric) {
    if (event.service.size_bytes == 0) return false;
    set_metric_keys(event, labels_hash);
    return true;
  }
  if (event.actor.size_bytes == 0 && event.service.size_bytes == 0) return false;
  if (event.value < 0) return false;
  set_result(event);
  set_action_keys(event);
  return true;
}

// Of the trace or session that a payload names.
[[nodiscard]] inline std::uint32_t session_key_of(std::string_view session) noexcept {
  return static_cast<std::uint32_t>(core::hash_bytes(session)) | 1;  // never the "none" of 0
}

}  // namespace grace::parse
