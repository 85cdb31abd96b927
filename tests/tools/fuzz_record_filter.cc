// Any text as a filter, and what is a filter on any record: the first line is the filter, the rest
// the record. Whatever parses matches or not, in bounded time; what does not names a column.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "record_filter.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace grace;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const std::string_view filter = text.substr(0, line);
  const auto parsed = tools::RecordFilter::parse(filter);
  if (!parsed) {
    const auto column = parsed.error().offset;
    if (column == 0 || column > tools::RecordFilter::kTextBytesMax + 1) std::abort();
    return 0;
  }
  const auto json = parse::JsonValue::parse(line == text.npos ? "" : text.substr(line + 1));
  const parse::JsonValue nothing;
  const parse::JsonValue& record = json ? *json : nothing;
  const bool first = parsed->matches({7, "json", record});
  if (parsed->matches({7, "json", record}) != first) std::abort();
  // A filter within "not ( )" says the opposite.
  const std::string negated = "not (" + std::string(filter) + ")";
  const auto opposite = tools::RecordFilter::parse(negated);
  if (opposite && opposite->matches({7, "json", record}) == first) std::abort();
  return 0;
}
