#pragma once
#include <cstdint>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"

namespace grace::tools {

// Rows of a CSV stream, one at a time: fields between commas, no quoting, LF or CR LF, blank lines
// skipped. Lines and fields are bounded, so memory is. Errors name the source and the line.
class CsvReader {
 public:
  static constexpr std::size_t kLineBytesMax = 64 * 1024;
  static constexpr std::size_t kFieldsMax = 1024;

  // `name` is what errors call the stream. The stream must outlive the reader.
  CsvReader(std::istream& input, std::string name) : input_(input), name_(std::move(name)) {}

  // False at the end of the stream. fields() are valid until the next call.
  [[nodiscard]] core::Result<bool> next();
  [[nodiscard]] const std::vector<std::string_view>& fields() const noexcept { return fields_; }
  [[nodiscard]] std::uint64_t line() const noexcept { return line_; }

  // "<name>:<line>: <what>".
  [[nodiscard]] tl::unexpected<core::Error> error(std::string_view what) const;

 private:
  [[nodiscard]] core::Result<bool> read_line();

  std::istream& input_;
  std::string name_;
  std::string text_;
  std::vector<std::string_view> fields_;
  std::uint64_t line_ = 0;
};

// The whole field as a number; false when it is none. "nan" and "inf" are numbers.
[[nodiscard]] bool parse_number(std::string_view field, double& value);

}  // namespace grace::tools
