#pragma once
#include <simdjson.h>

#include <optional>

#include "grace/core/control.h"
#include "grace/core/event.h"
#include "grace/core/finding.h"
#include "grace/parse/reject_reason.h"

namespace grace::parse {

// Reads what mesh and control events say. One implementation both for the worker's check (accept or
// reject) and for the ordered stage's decoding, so that what was accepted can be decoded. Keeps
// simdjson's memory between calls; not thread-safe.
class PayloadDecoder {
 public:
  // nullopt: `finding` is complete.
  [[nodiscard]] std::optional<RejectReason> decode_mesh(const core::Event& event,
                                                        core::Finding& finding);
  [[nodiscard]] std::optional<RejectReason> decode_control(const core::Event& event,
                                                           core::ControlEvent& control);
  [[nodiscard]] std::optional<RejectReason> check_mesh(const core::Event& event) {
    core::Finding finding;
    return decode_mesh(event, finding);
  }
  [[nodiscard]] std::optional<RejectReason> check_control(const core::Event& event) {
    core::ControlEvent control;
    return decode_control(event, control);
  }

 private:
  simdjson::dom::parser parser_;
};

}  // namespace grace::parse
