#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "grace/core/error.h"
#include "grace/parse/json_value.h"

namespace grace::tools {

// How safe a record must be before its request is answered: grace/ledger/writer.h.
enum class Durability : std::uint8_t { kD0 = 0, kD1 = 1, kD2 = 2 };
[[nodiscard]] std::string to_string(Durability durability);

// {"op":"log","kind":...}: an entry that another program wants in the ledger. See
// docs/control_protocol.md for the fields of each kind.
struct LogRequest {
  static constexpr std::size_t kNameBytesMax = 256;   // actor, action, resource, subsystem ...
  static constexpr std::size_t kTextBytesMax = 8192;  // error, each reason
  static constexpr std::size_t kReasonsMax = 64;
  static constexpr std::chrono::milliseconds kWaitMax{5'000};

  std::string entry;  // JSON text of the record, as SubsystemLogger writes it
  Durability durability = Durability::kD2;
  std::chrono::milliseconds timeout{2'000};
};

// kInvalidArgument names the field and what is wrong with it. A field that its kind does not know
// is refused: a misspelt one must not vanish from a record. Pure; safe on any value.
[[nodiscard]] core::Result<LogRequest> parse_log_request(const parse::JsonValue& request);

}  // namespace grace::tools
