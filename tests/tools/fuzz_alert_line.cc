// Any line as an alert: it is refused with a sentence, or has a time and something to tell it by.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "alert_line.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto alert = grace::tools::parse_alert_line({reinterpret_cast<const char*>(data), size});
  if (!alert) {
    if (alert.error().message.empty()) std::abort();
    return 0;
  }
  if (alert->signature.empty() && alert->text.empty()) std::abort();
  return 0;
}
