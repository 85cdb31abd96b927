#pragma once
#include <cstdint>
#include <fstream>
#include <istream>
#include <memory>
#include <string>
#include <string_view>

#include "grace/core/error.h"

namespace grace::tools {

// Reads text line by line, each of at most kLineBytesMax, so that no input takes more memory than
// that. Ends of lines may be "\n" or "\r\n". A file that cannot be opened or read, a longer line
// and a NUL byte (a binary file) are errors that name file and line. Thread: one.
class BoundedLines {
 public:
  static constexpr std::size_t kLineBytesMax = std::size_t{1} << 20;

  [[nodiscard]] static core::Result<BoundedLines> open(const std::string& path);
  // Lines of a stream, which must outlive them; `name` is what errors call it.
  BoundedLines(std::istream& stream, std::string name);

  // The next line, without its end; valid until the next call. False at the end of the file.
  [[nodiscard]] core::Result<bool> next();
  [[nodiscard]] std::string_view line() const noexcept { return line_; }
  // Of the current line, from 1; 0 before the first.
  [[nodiscard]] std::uint64_t line_number() const noexcept { return number_; }
  // An error about the current line: "FILE:LINE: what".
  [[nodiscard]] tl::unexpected<core::Error> error(std::string_view what) const;

 private:
  std::unique_ptr<std::ifstream> file_;  // none when the stream is someone else's
  std::istream* stream_;
  std::string name_;
  std::unique_ptr<char[]> buffer_;
  std::string_view line_;
  std::uint64_t number_ = 0;
};

}  // namespace grace::tools
