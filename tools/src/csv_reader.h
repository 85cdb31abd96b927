#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "bounded_lines.h"
#include "grace/core/error.h"

namespace grace::tools {

// Rows of CSV, one at a time: fields between commas, no quoting, blanks around them and blank lines
// skipped. Lines and fields are bounded, so memory is. Errors name the source and the line.
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
  BoundedLines lines_;
  std::vector<std::string_view> fields_;
};

// The whole field as a number; false when it is none, or too large or too small for a double. "nan"
// and "inf" are numbers.
[[nodiscard]] bool parse_number(std::string_view field, double& value);

}  // namespace grace::tools
