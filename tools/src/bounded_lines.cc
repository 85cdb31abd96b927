#include "bounded_lines.h"

#include <cerrno>
#include <cstring>

namespace grace::tools {

core::Result<BoundedLines> BoundedLines::open(const std::string& path) {
  errno = 0;
  auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!*file) {
    const int cause = errno;
    return core::make_error(core::ErrorCode::kIo, path + ": " + std::strerror(cause), cause);
  }
  BoundedLines lines(*file, path);
  lines.file_ = std::move(file);
  return lines;
}

BoundedLines::BoundedLines(std::istream& stream, std::string name)
    : stream_(&stream),
      name_(std::move(name)),
      buffer_(std::make_unique_for_overwrite<char[]>(kLineBytesMax + 1)) {}

core::Result<bool> BoundedLines::next() {
  line_ = {};
  stream_->getline(buffer_.get(), kLineBytesMax + 1);
  auto size = static_cast<std::size_t>(stream_->gcount());
  if (stream_->bad()) return core::make_error(core::ErrorCode::kIo, name_ + ": cannot be read");
  if (stream_->eof()) {
    if (size == 0) return false;
  } else if (stream_->good()) {
    --size;  // getline counts the end that it took
  }
  ++number_;
  // It gives up when the buffer is full, and not at the end of the file.
  if (stream_->fail()) return error("longer than " + std::to_string(kLineBytesMax) + " bytes");
  line_ = {buffer_.get(), size};
  if (line_.find('\0') != std::string_view::npos) return error("a NUL byte: this is no text");
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  return true;
}

tl::unexpected<core::Error> BoundedLines::error(std::string_view what) const {
  return core::make_error(core::ErrorCode::kInvalidArgument,
                          name_ + ":" + std::to_string(number_) + ": " + std::string(what), 0,
                          number_);
}

}  // namespace grace::tools
