#include "grace/core/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "descriptor.h"
#include "grace/core/time.h"

namespace grace::core {
namespace {

FileInfo to_info(const struct stat& status) {
  FileInfo info;
  info.size_bytes = static_cast<std::uint64_t>(status.st_size);
  info.device = status.st_dev;
  info.inode = status.st_ino;
  info.modified_ns = status.st_mtim.tv_sec * kNsPerSecond + status.st_mtim.tv_nsec;
  info.regular = S_ISREG(status.st_mode);
  info.directory = S_ISDIR(status.st_mode);
  return info;
}

class SystemFile final : public File {
 public:
  SystemFile(Descriptor descriptor, std::string path, bool owned)
      : descriptor_(std::move(descriptor)), path_(std::move(path)), owned_(owned) {}
  ~SystemFile() override {
    if (!owned_) descriptor_.give_up();
  }

  Result<IoCount> read(std::span<char> to) override {
    const ssize_t got =
        retry_interrupted([&] { return ::read(descriptor_.get(), to.data(), to.size()); });
    if (got > 0) return IoCount{static_cast<std::size_t>(got), IoState::kOk};
    if (got == 0) return IoCount{0, to.empty() ? IoState::kOk : IoState::kEnd};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return IoCount{0, IoState::kWouldBlock};
    return io_error(path_ + ": read");
  }

  Result<IoCount> read_at(std::span<char> to, std::uint64_t offset) override {
    std::size_t done = 0;
    while (done < to.size()) {
      const ssize_t got = retry_interrupted([&] {
        return ::pread(descriptor_.get(), to.data() + done, to.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (got < 0) return io_error(path_ + ": read at " + std::to_string(offset + done));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return IoCount{done, done == 0 && !to.empty() ? IoState::kEnd : IoState::kOk};
  }

  Result<void> write(std::span<const char> from) override {
    while (!from.empty()) {
      const ssize_t put =
          retry_interrupted([&] { return ::write(descriptor_.get(), from.data(), from.size()); });
      if (put < 0) return io_error(path_ + ": write");
      from = from.subspan(static_cast<std::size_t>(put));
    }
    return {};
  }

  Result<void> sync() override {
    if (retry_interrupted([&] { return ::fdatasync(descriptor_.get()); }) != 0) {
      return io_error(path_ + ": sync");
    }
    return {};
  }

  Result<FileInfo> info() const override {
    struct stat status {};
    if (::fstat(descriptor_.get(), &status) != 0) return io_error(path_ + ": stat");
    return to_info(status);
  }

 private:
  Descriptor descriptor_;
  std::string path_;
  bool owned_;
};

class SystemFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC | O_NOCTTY;
    switch (mode) {
      case OpenMode::kRead:
        flags |= O_RDONLY;
        break;
      case OpenMode::kReadNonBlocking:
        flags |= O_RDONLY | O_NONBLOCK;
        break;
      case OpenMode::kAppend:
        flags |= O_WRONLY | O_CREAT | O_APPEND;
        break;
      case OpenMode::kTruncate:
        flags |= O_RDWR | O_CREAT | O_TRUNC;
        break;
    }
    Descriptor descriptor(retry_interrupted([&] { return ::open(path.c_str(), flags, 0640); }));
    if (!descriptor.valid()) return io_error(path + ": open");
    return std::make_unique<SystemFile>(std::move(descriptor), path, true);
  }

  Result<FileInfo> info(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return io_error(path + ": stat");
    return to_info(status);
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(directory.c_str()), &::closedir);
    if (handle == nullptr) return io_error(directory + ": list");
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* const entry = ::readdir(handle.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return io_error(directory + ": list");
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> make_directories(const std::string& path) override {
    // Every prefix that ends before a slash, then the whole.
    for (std::size_t end = 1; end <= path.size(); ++end) {
      if (end < path.size() && path[end] != '/') continue;
      const std::string prefix = path.substr(0, end);
      if (::mkdir(prefix.c_str(), 0750) == 0) continue;
      const int os_error = errno;
      struct stat status {};
      if (::stat(prefix.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) continue;
      errno = os_error;
      return io_error(prefix + ": make directory");
    }
    return {};
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (std::rename(from.c_str(), to.c_str()) != 0) return io_error(from + ": rename to " + to);
    return {};
  }

  Result<void> remove(const std::string& path) override {
    if (std::remove(path.c_str()) != 0) return io_error(path + ": remove");
    return {};
  }
};

}  // namespace

std::unique_ptr<FileSystem> make_system_file_system() {
  return std::make_unique<SystemFileSystem>();
}

std::unique_ptr<File> make_standard_input(OpenMode mode) {
  if (mode == OpenMode::kReadNonBlocking) {
    const int flags = ::fcntl(STDIN_FILENO, F_GETFL);
    // A standard input that is closed shows at the first read.
    if (flags >= 0) static_cast<void>(::fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK));
  }
  return std::make_unique<SystemFile>(Descriptor(STDIN_FILENO), "standard input", false);
}

}  // namespace grace::core
