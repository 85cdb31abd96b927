// Any bytes as CSV: rows or an error that names a line, never more than the bounds.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "csv_reader.h"
#include "grace/core/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using grace::tools::BoundedLines;
  using grace::tools::CsvReader;
  std::istringstream input(std::string(reinterpret_cast<const char*>(data), size));
  CsvReader reader(BoundedLines(input, "fuzz"));
  for (;;) {
    const auto more = reader.next();
    if (!more) {
      GRACE_ASSERT(more.error().message.rfind("fuzz:", 0) == 0);
      return 0;
    }
    if (!*more) return 0;
    GRACE_ASSERT(!reader.fields().empty() && reader.fields().size() <= CsvReader::kFieldsMax);
    for (const std::string_view field : reader.fields()) {
      GRACE_ASSERT(field.size() <= BoundedLines::kLineBytesMax);
      GRACE_ASSERT(field.find('\n') == std::string_view::npos);  // a comma may be quoted
      double value = 0.0;
      if (grace::tools::parse_number(field, value)) GRACE_ASSERT(!field.empty());
    }
  }
}
