#include "grace/ledger/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

namespace grace::ledger {
namespace {

// Runs a system call again while a signal interrupts it.
template <typename Call>
auto retried(Call call) {
  auto outcome = call();
  while (outcome < 0 && errno == EINTR) outcome = call();
  return outcome;
}

int status_of(int outcome) {
  return outcome < 0 ? -errno : outcome;
}

}  // namespace

int FileSystem::open(const std::string& path, int flags, unsigned mode) {
  return status_of(retried([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); }));
}

// Not repeated on EINTR: on Linux the descriptor is gone either way.
int FileSystem::close(int fd) {
  return status_of(::close(fd));
}

int FileSystem::allocate(int fd, std::uint64_t bytes) {
  const int outcome =
      status_of(retried([&] { return ::fallocate(fd, 0, 0, static_cast<off_t>(bytes)); }));
  if (outcome != -EOPNOTSUPP) return outcome;
  // A file system without fallocate: write the zeros, so that space is taken now and a later write
  // cannot fail for want of it.
  static constexpr std::array<std::byte, 65536> kZeros{};
  for (std::uint64_t at = 0; at < bytes; at += kZeros.size()) {
    const auto part = std::min<std::uint64_t>(bytes - at, kZeros.size());
    const std::int64_t written = write_at(fd, std::span(kZeros).first(part), at);
    if (written < 0) return static_cast<int>(written);
  }
  return 0;
}

int FileSystem::truncate(int fd, std::uint64_t bytes) {
  return status_of(retried([&] { return ::ftruncate(fd, static_cast<off_t>(bytes)); }));
}

std::int64_t FileSystem::write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto written = retried([&] {
      return ::pwrite(fd, bytes.data() + done, bytes.size() - done,
                      static_cast<off_t>(offset + done));
    });
    if (written < 0) return -errno;
    if (written == 0) return -EIO;  // a regular file that takes nothing would loop for ever
    done += static_cast<std::size_t>(written);
  }
  return static_cast<std::int64_t>(done);
}

std::int64_t FileSystem::file_bytes(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) < 0 ? -errno : static_cast<std::int64_t>(info.st_size);
}

int FileSystem::sync_data(int fd) {
  return status_of(retried([&] { return ::fdatasync(fd); }));
}

int FileSystem::sync_file(int fd) {
  return status_of(retried([&] { return ::fsync(fd); }));
}

int FileSystem::sync_directory(const std::string& path) {
  const int fd = open(path, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return fd;
  const int outcome = sync_file(fd);
  (void)close(fd);
  return outcome;
}

int FileSystem::rename(const std::string& from, const std::string& to) {
  return status_of(::rename(from.c_str(), to.c_str()));
}

int FileSystem::remove(const std::string& path) {
  return status_of(::unlink(path.c_str()));
}

int FileSystem::make_directory(const std::string& path) {
  return status_of(::mkdir(path.c_str(), 0750));
}

FileSystem& real_file_system() {
  static FileSystem instance;
  return instance;
}

}  // namespace grace::ledger
