#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bounded_lines.h"
#include "grace/core/error.h"

namespace grace::tools {

// Rows of CSV (RFC 4180, without line breaks in quotes), one at a time; blanks around fields and
// blank lines are skipped. Lines and fields are bounded, so memory is. Errors name the source and
// the line.
class CsvReader {
 public:
  static constexpr std::size_t kFieldsMax = 1024;

  explicit CsvReader(BoundedLines lines) : lines_(std::move(lines)) {}

  // False at the end. fields() are valid until the next call.
  [[nodiscard]] core::Result<bool> next();
  [[nodiscard]] const std::vector<std::string_view>& fields() const noexcept { return fields_; }
  // "<name>:<line>: <what>".
  [[nodiscard]] tl::unexpected<core::Error> error(std::string_view what) const {
    return lines_.error(what);
  }

 private:
  // The rest of a quoted field becomes the next of fields_, and `rest` what stands behind it.
  // False: it has no end.
  [[nodiscard]] bool take_quoted(std::string_view& rest);

  BoundedLines lines_;
  std::string unquoted_;  // quoted fields of this row
  std::vector<std::string_view> fields_;
};

// The whole field as a number; false when it is none, or too large or too small for a double. "nan"
// and "inf" are numbers.
[[nodiscard]] bool parse_number(std::string_view field, double& value);

}  // namespace grace::tools
