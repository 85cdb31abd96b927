#pragma once
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"

namespace grace::tools {

// Reads a text file line by line, each of at most kLineBytesMax, so that no input takes more memory
// than that. Ends of lines may be "\n" or "\r\n". A file that cannot be opened or read, a longer
// line and a NUL byte (a binary file) are errors that name file and line. Thread: one.
class BoundedLines {
 public:
  static constexpr std::size_t kLineBytesMax = std::size_t{1} << 20;

  [[nodiscard]] static core::Result<BoundedLines> open(const std::string& path);
  // The next line, without its end; valid until the next call. False at the end of the file.
  [[nodiscard]] core::Result<bool> next();
  [[nodiscard]] std::string_view line() const noexcept { return line_; }
  [[nodiscard]] std::uint64_t line_number() const noexcept { return number_; }
  // An error about the current line: "FILE:LINE: what".
  [[nodiscard]] tl::unexpected<core::Error> error(std::string_view what) const;

 private:
  explicit BoundedLines(std::string path) : path_(std::move(path)), stream_(path_) {}

  // The next byte; -1 at the end of the file, or when it cannot be read.
  int next_byte();

  std::string path_;
  std::ifstream stream_;
  std::vector<char> block_ = std::vector<char>(std::size_t{1} << 16);
  std::size_t block_used_ = 0;
  std::size_t block_at_ = 0;
  std::string line_;
  std::uint64_t number_ = 0;
};

}  // namespace grace::tools
