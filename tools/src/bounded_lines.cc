#include "bounded_lines.h"

#include <cerrno>
#include <cstring>

namespace grace::tools {

core::Result<BoundedLines> BoundedLines::open(const std::string& path) {
  errno = 0;
  BoundedLines lines(path);
  if (!lines.stream_) {
    const int cause = errno;
    return core::make_error(core::ErrorCode::kIo, path + ": " + std::strerror(cause), cause);
  }
  return lines;
}

int BoundedLines::next_byte() {
  if (block_at_ == block_used_) {
    stream_.read(block_.data(), static_cast<std::streamsize>(block_.size()));
    block_used_ = static_cast<std::size_t>(stream_.gcount());
    block_at_ = 0;
    if (block_used_ == 0) return -1;
  }
  return static_cast<unsigned char>(block_[block_at_++]);
}

core::Result<bool> BoundedLines::next() {
  line_.clear();
  ++number_;
  for (;;) {
    const int byte = next_byte();
    if (byte < 0) {
      if (stream_.bad()) return core::make_error(core::ErrorCode::kIo, path_ + ": cannot be read");
      if (line_.empty()) return false;
      break;
    }
    if (byte == '\n') break;
    if (byte == 0) return error("a NUL byte: this is no text");
    if (line_.size() == kLineBytesMax) {
      return error("longer than " + std::to_string(kLineBytesMax) + " bytes");
    }
    line_.push_back(static_cast<char>(byte));
  }
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  return true;
}

tl::unexpected<core::Error> BoundedLines::error(std::string_view what) const {
  return core::make_error(core::ErrorCode::kInvalidArgument,
                          path_ + ":" + std::to_string(number_) + ": " + std::string(what), 0,
                          number_);
}

}  // namespace grace::tools
