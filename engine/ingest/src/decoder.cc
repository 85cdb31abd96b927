#include "decoder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace grace::ingest {

using core::ErrorCode;
using core::make_error;
using core::Result;

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}
void UniqueFd::reset() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}
int UniqueFd::release() noexcept {
  return std::exchange(fd_, -1);
}

tl::unexpected<core::Error> io_error(const std::string& what, int os_error, std::uint64_t offset) {
  return make_error(ErrorCode::kIo, what + ": " + std::strerror(os_error), os_error, offset);
}

namespace {

constexpr std::size_t kInputBytes = 256 * 1024;

// The file's bytes in order, through a buffer, with their offset.
class FileInput {
 public:
  FileInput(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Result<std::size_t> read_at_end(char* to, std::size_t size_bytes) {
    std::size_t done = 0;
    while (done < size_bytes) {
      const ssize_t count =
          ::pread(fd_.get(), to + done, size_bytes - done, static_cast<off_t>(read_bytes_));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return io_error(path_, errno, read_bytes_);
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
      read_bytes_ += static_cast<std::uint64_t>(count);
    }
    return done;
  }
  // Makes at least `wanted` bytes (at most kInputBytes) available, fewer only at the end.
  Result<std::size_t> want(std::size_t wanted) {
    if (available() >= wanted || ended_) return available();
    if (buffer_.empty()) buffer_.resize(kInputBytes);
    std::memmove(buffer_.data(), buffer_.data() + next_, available());
    filled_ -= next_;
    next_ = 0;
    auto count = read_at_end(buffer_.data() + filled_, buffer_.size() - filled_);
    if (!count) return count;
    ended_ = *count < buffer_.size() - filled_;
    filled_ += *count;
    return available();
  }
  [[nodiscard]] const char* data() const noexcept { return buffer_.data() + next_; }
  [[nodiscard]] std::size_t available() const noexcept { return filled_ - next_; }
  void consume(std::size_t size_bytes) noexcept { next_ += size_bytes; }
  [[nodiscard]] std::uint64_t offset() const noexcept { return read_bytes_ - available(); }
  [[nodiscard]] tl::unexpected<core::Error> corrupt(const std::string& reason) const {
    return make_error(ErrorCode::kCorrupt,
                      path_ + ": " + reason + " at byte " + std::to_string(offset()), 0, offset());
  }

 private:
  std::string path_;
  UniqueFd fd_;
  std::vector<char> buffer_;
  std::size_t next_ = 0, filled_ = 0;
  std::uint64_t read_bytes_ = 0;
  bool ended_ = false;
};

class PlainDecoder final : public Decoder {
 public:
  explicit PlainDecoder(FileInput input) : input_(std::move(input)) {}
  Result<std::size_t> read(char* to, std::size_t size_bytes) override {
    return input_.read_at_end(to, size_bytes);
  }

 private:
  FileInput input_;
};

// A compressed stream. decode_some() steps the library once; the rest (filling, keeping an error
// until the bytes before it are given) is the same for all formats.
class CompressedDecoder : public Decoder {
 public:
  Result<std::size_t> read(char* to, std::size_t size_bytes) final {
    std::size_t done = 0;
    while (done < size_bytes && !error_ && !ended_) {
      auto count = decode_some(to + done, size_bytes - done);
      if (count) {
        done += *count;
      } else {
        error_ = std::move(count.error());
      }
    }
    if (done == 0 && error_) return tl::unexpected<core::Error>(*error_);
    return done;
  }

 protected:
  explicit CompressedDecoder(FileInput input) : input_(std::move(input)) {}
  // Decodes at least one step; may give 0 bytes. Sets ended_ at the sound end of the file.
  virtual Result<std::size_t> decode_some(char* to, std::size_t size_bytes) = 0;
  FileInput input_;
  bool ended_ = false;

 private:
  std::optional<core::Error> error_;
};

// RFC 1952, any number of members; zero bytes behind the last one are padding (tapes, dd).
class GzipDecoder final : public CompressedDecoder {
 public:
  explicit GzipDecoder(FileInput input) : CompressedDecoder(std::move(input)) {
    constexpr int kGzipOnly = 16;
    ready_ = ::inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK;
  }
  ~GzipDecoder() override {
    if (ready_) ::inflateEnd(&stream_);
  }

 private:
  Result<std::size_t> decode_some(char* to, std::size_t size_bytes) override {
    if (!ready_) return make_error(ErrorCode::kFull, "no memory for a gzip decoder");
    const auto available = input_.want(between_members_ ? 2 : 1);
    if (!available) return available;
    if (between_members_) return begin_member(*available);
    if (*available == 0) return input_.corrupt("gzip data ends early");
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(input_.data()));
    stream_.avail_in = static_cast<uInt>(*available);
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(size_bytes);
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    input_.consume(*available - stream_.avail_in);
    const std::size_t count = size_bytes - stream_.avail_out;
    if (status == Z_STREAM_END) {
      between_members_ = true;
    } else if (status != Z_OK && count == 0) {
      // With bytes decoded first, the same call fails again at once.
      return input_.corrupt(std::string("corrupt gzip data (") +
                            (stream_.msg != nullptr ? stream_.msg : ::zError(status)) + ")");
    }
    return count;
  }
  Result<std::size_t> begin_member(std::size_t available) {
    const auto* head = reinterpret_cast<const unsigned char*>(input_.data());
    if (available >= 2 && head[0] == 0x1f && head[1] == 0x8b) {
      ::inflateReset(&stream_);
      between_members_ = false;
    } else if (available == 0) {
      ended_ = true;
    } else if (head[0] == 0) {
      input_.consume(1);
    } else {
      return input_.corrupt("bytes behind the gzip data that are no gzip member");
    }
    return std::size_t{0};
  }
  z_stream stream_{};
  bool ready_ = false;
  bool between_members_ = true;
};

// RFC 8878, any number of frames, skippable ones too.
class ZstdDecoder final : public CompressedDecoder {
 public:
  explicit ZstdDecoder(FileInput input)
      : CompressedDecoder(std::move(input)), stream_(::ZSTD_createDStream()) {}
  ~ZstdDecoder() override { ::ZSTD_freeDStream(stream_); }

 private:
  Result<std::size_t> decode_some(char* to, std::size_t size_bytes) override {
    if (stream_ == nullptr) return make_error(ErrorCode::kFull, "no memory for a zstd decoder");
    const auto available = input_.want(1);
    if (!available) return available;
    if (*available == 0 && frame_done_) {
      ended_ = true;
      return std::size_t{0};
    }
    ZSTD_inBuffer in{input_.data(), *available, 0};
    ZSTD_outBuffer out{to, size_bytes, 0};
    const std::size_t status = ::ZSTD_decompressStream(stream_, &out, &in);
    input_.consume(in.pos);
    if (::ZSTD_isError(status) != 0) {
      return input_.corrupt(std::string("corrupt zstd data (") + ::ZSTD_getErrorName(status) + ")");
    }
    frame_done_ = status == 0;
    if (*available == 0 && out.pos == 0) return input_.corrupt("zstd data ends early");
    return out.pos;
  }
  ZSTD_DStream* stream_;  // owned
  bool frame_done_ = true;
};

}  // namespace

Result<std::unique_ptr<Decoder>> open_decoder(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return io_error(path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return io_error(path, errno);
  if (!S_ISREG(info.st_mode)) {
    return make_error(ErrorCode::kInvalidArgument,
                      path + ": not a regular file (give a pipe to standard input instead)");
  }
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  unsigned char head[4] = {};
  const ssize_t count = ::pread(fd.get(), head, sizeof(head), 0);
  if (count < 0) return io_error(path, errno);
  FileInput input(path, std::move(fd));
  if (count >= 2 && head[0] == 0x1f && head[1] == 0x8b) {
    return std::make_unique<GzipDecoder>(std::move(input));
  }
  // A frame's magic number, or that of a skippable frame before it: 0x184D2A50 to 0x184D2A5F.
  const bool frame = head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd;
  const bool skippable = head[0] >> 4 == 5 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18;
  if (count == 4 && (frame || skippable)) return std::make_unique<ZstdDecoder>(std::move(input));
  return std::make_unique<PlainDecoder>(std::move(input));
}

}  // namespace grace::ingest
