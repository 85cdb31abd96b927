#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "grace/core/error.h"

namespace grace::tools {

// One alert of an NDJSON file, as `grace score groups` reads it.
struct AlertLine {
  std::optional<std::uint64_t> index;  // absent: the caller numbers lines
  std::int64_t ts_ns = 0;
  std::string service;
  std::string signature;
  std::string text;
};

// Reads a JSON object with
//   ts or timestamp or time  RFC 3339, or integer nanoseconds since the epoch; required
//   service or host or resource, signature or rule, name or message or title: strings
//   index                    integer from 0
// One of signature and text must be there. Other fields are ignored, null is the same as absent.
// The error says what is wrong, without the line.
[[nodiscard]] core::Result<AlertLine> parse_alert_line(std::string_view line);

}  // namespace grace::tools
