#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "grace/core/control.h"
#include "grace/ingest/internal_source.h"
#include "grace/parse/json_value.h"
#include "grace/pipeline/engine.h"

namespace grace::tools {

// What the control protocol says. Requests {"op":"stats"}, {"op":"position"}, {"op":"runs"},
// {"op":"run","id":...},
// {"op":"silences"}, {"op":"subsystems"}, {"op":"log","kind":"action",...}, and
// {"op":"control","control":"approve",...} with a control event's own fields; answers
// {"ok":true,...} or {"ok":false,"error":"..."}. See docs/control_protocol.md.
//
// Questions are answered by the ordered stage between two events. Commands become control lines in
// the input: they are journaled, and act at their place in the order. The answer to a command comes
// when it has acted (at most kActWait later). Thread: the control server's.
class ControlApi {
 public:
  static constexpr std::chrono::milliseconds kActWait{2'000};
  // Before the engine starts.
  ControlApi(pipeline::Engine& engine, ingest::InternalSource& commands, std::string mode)
      : engine_(engine),
        commands_(commands),
        mode_(std::move(mode)),
        first_sequence_(engine.decided_sequence()) {}
  [[nodiscard]] std::string handle(std::string_view request, const std::string& actor);

 private:
  [[nodiscard]] std::string stats();
  [[nodiscard]] std::string position() const;
  [[nodiscard]] std::string runs(std::string_view id);
  [[nodiscard]] std::string silences();
  [[nodiscard]] std::string subsystems();
  [[nodiscard]] std::string log(const parse::JsonValue& request, const std::string& actor);
  // Where the control acted; nothing: in vain, or `why` says why it could not.
  [[nodiscard]] std::optional<pipeline::ControlOutcome> send(const core::ControlEvent& control,
                                                             std::string& why);
  [[nodiscard]] std::string command(const parse::JsonValue& request, const std::string& actor);
  [[nodiscard]] bool wait_until(const std::function<bool(const pipeline::OrderedView&)>& holds);

  pipeline::Engine& engine_;
  ingest::InternalSource& commands_;
  std::string mode_;
  std::uint64_t first_sequence_;  // of this engine's input
};

// One run as JSON, for the protocol and `grace runs --json`.
[[nodiscard]] std::string run_to_json(const core::PlaybookRun& run);

}  // namespace grace::tools
