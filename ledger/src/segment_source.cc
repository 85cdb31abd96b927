#include "segment_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "compressed_segment.h"
#include "directory.h"
#include "io_error.h"

namespace grace::ledger::internal {

Result<std::unique_ptr<FileSource>> FileSource::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return make_io_error("open", path, -errno);
  return std::unique_ptr<FileSource>(new FileSource(fd, path));
}

FileSource::~FileSource() {
  ::close(fd_);
}

Result<std::uint64_t> FileSource::size() {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) return make_io_error("stat", path_, -errno);
  return static_cast<std::uint64_t>(info.st_size);
}

Result<std::uint64_t> FileSource::read(std::uint64_t offset, std::span<std::byte> out) {
  std::uint64_t done = 0;
  while (done < out.size()) {
    const auto got =
        ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return make_io_error("read", path_, -errno);
    if (got == 0) break;
    done += static_cast<std::uint64_t>(got);
  }
  return done;
}

std::uint64_t FileSource::identity() {
  struct stat info {};
  return ::fstat(fd_, &info) == 0 ? info.st_ino : 0;
}

Result<std::uint64_t> MemorySource::read(std::uint64_t offset, std::span<std::byte> out) {
  if (offset >= bytes_.size()) return std::uint64_t{0};
  const auto part = std::min<std::uint64_t>(out.size(), bytes_.size() - offset);
  if (part > 0) std::memcpy(out.data(), bytes_.data() + offset, part);
  return part;
}

Result<std::unique_ptr<ByteSource>> open_segment(const std::string& directory,
                                                 std::uint64_t number) {
  auto plain = FileSource::open(segment_path(directory, number));
  if (plain) return std::move(*plain);
  if (!is_absent(plain.error())) return tl::unexpected<Error>(plain.error());
  auto packed = FileSource::open(compressed_path(directory, number));
  if (packed) return std::make_unique<CompressedSource>(std::move(*packed));
  return tl::unexpected<Error>(is_absent(packed.error()) ? plain.error() : packed.error());
}

bool is_absent(const Error& error) {
  return error.code == ErrorCode::kIo && error.os_error == ENOENT;
}

}  // namespace grace::ledger::internal
