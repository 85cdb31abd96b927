// Any JSON as a request to log: it is refused with a sentence, or makes an entry that is a JSON
// object with everything a record has, within its bound.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "grace/core/control.h"
#include "log_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace grace;
  const auto json = parse::JsonValue::parse({reinterpret_cast<const char*>(data), size});
  if (!json) return 0;
  const auto request = tools::parse_log_request(*json);
  if (!request) {
    if (!request.error().message.starts_with("log: ")) std::abort();
    return 0;
  }
  if (request->entry.size() > core::LogControl::kEntryBytesMax) std::abort();
  const auto entry = parse::JsonValue::parse(request->entry);
  if (!entry || !(*entry)["payload"].is_object()) std::abort();
  for (const std::string_view name : {"actor", "action", "resource", "subsystem", "result"}) {
    if ((*entry)[name].as_string().empty()) std::abort();
  }
  return 0;
}
