// Any bytes as a time, and as a text in JSON: what is accepted must read back, and what is written
// must be printable, valid UTF-8 between its quotes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "grace/core/assert.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace grace::core;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto ts_ns = parse_rfc3339(text)) {
    GRACE_ASSERT(parse_rfc3339(format_rfc3339(*ts_ns)) == ts_ns, "%lld does not read back",
                 static_cast<long long>(*ts_ns));
  }
  const std::string quoted = json_quoted(text);
  GRACE_ASSERT(quoted.size() >= 2 && quoted.front() == '"' && quoted.back() == '"');
  for (const char c : quoted) GRACE_ASSERT(static_cast<unsigned char>(c) >= 0x20);
  // Once repaired, always repaired: writing the content of a text without escapes changes nothing.
  const std::string content = quoted.substr(1, quoted.size() - 2);
  if (content.find('\\') == std::string::npos) {
    GRACE_ASSERT(json_quoted(content) == quoted, "a repaired text is not valid");
  }
  return 0;
}
