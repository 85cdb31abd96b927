#pragma once
#include <cstdint>
#include <limits>
#include <string_view>

#include "grace/core/platform.h"

namespace grace::core {

enum class EventKind : std::uint8_t {
  kMetric = 0,   // a sample of a series
  kAction = 1,   // an audit or log line: someone did something with a result
  kMesh = 2,     // published by an upstream subsystem: one of the ten event types
  kControl = 3,  // approval, feedback, outcome, topology, tick ...
};
inline constexpr std::size_t kEventKindCount = 4;

// What an action came to. The text itself stays in Event::result_text.
enum class ActionResult : std::uint8_t {
  kUnknown = 0,
  kSuccess = 1,  // success, succeeded, ok, allowed, completed, true, 2xx/3xx codes are not parsed
  kError = 2,    // error, failed, failure, blocked, timeout, denied, rejected, aborted, crashed ...
  kOther = 3,    // any other text: neither success nor error
};

// Control events from outside, and (from kTick on) those that only the engine itself may send.
enum class ControlKind : std::uint8_t {
  kNone = 0,
  kApprove,
  kReject,
  kFeedback,
  kOutcome,
  kTopology,
  kDeploy,
  kSilence,
  kPause,
  kResume,
  kAck,
  kTick,        // live clock, as an event, so that a replay sees the same ticks
  kStepResult,  // executor: a playbook step has ended
  kUndo,        // put one learned threshold or weight back
  kLog,         // another program's entry for the ledger
};

// A piece of text inside a chunk: offset from Event::text.
struct TextRef {
  std::uint32_t offset = 0;
  std::uint32_t size_bytes = 0;
};

// One telemetry record, parsed. Plain data, copied through rings; the texts stay in the chunk, so
// an Event must not be kept after the call that delivers it (copy or intern what you keep).
//
//  | sequence | ts_ns | route_key | service_key | name_key | value | text* | 8 x TextRef | kinds |
struct alignas(kCacheLineBytes) Event {
  // Place of the line's first byte in the input (all input so far, in chunk order): strictly
  // increasing, independent of chunk size and worker count, and the position in the journal.
  std::uint64_t sequence = 0;
  std::int64_t ts_ns = 0;  // event time, nanoseconds since the Unix epoch
  // Metric: hash of (service, metric, labels in any order): the series. Action: hash of the actor
  // (of the service, where it has no actor), so that an actor's errors are counted in one place
  // whatever trace or session they belong to. Chooses the partition.
  std::uint64_t route_key = 0;
  std::uint64_t service_key = 0;  // hash of service
  std::uint64_t name_key = 0;     // action: hash of name; else 0
  // Metric: the sample, finite. Action: duration in ms, NaN when absent. Else NaN.
  double value = std::numeric_limits<double>::quiet_NaN();
  const char* text = nullptr;  // base of all TextRefs

  TextRef service;  // `service` or `resource`
  TextRef domain;
  TextRef name;         // metric: metric; action: action; mesh: event_type; control: control
  TextRef actor;        // action, mesh, control
  TextRef subsystem;    // action: subsystem; mesh: source
  TextRef result_text;  // action: `result` or `status`, as written
  TextRef detail;       // metric: labels; else: payload. Raw JSON object, empty when absent
  TextRef line;         // the whole line, without its newline; of packed events: the record

  EventKind kind = EventKind::kMetric;
  ActionResult result = ActionResult::kUnknown;
  ControlKind control = ControlKind::kNone;
  std::uint8_t trusted = 0;  // 1: from the engine itself (executor, clock), not from outside
  // Action: 32 bits of the hash of the trace or session id in the payload; 0 when there is none.
  // Separates the interleaved sequences of one actor.
  std::uint32_t session_key = 0;

  [[nodiscard]] std::string_view view(TextRef ref) const noexcept {
    return {text + ref.offset, ref.size_bytes};
  }
  [[nodiscard]] std::size_t partition() const noexcept {
    return static_cast<std::size_t>(route_key >> 32) % kPartitionCount;
  }
};
static_assert(sizeof(Event) == 128, "two cache lines: ring slots must not straddle a third");

}  // namespace grace::core
