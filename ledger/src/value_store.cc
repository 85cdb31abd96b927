#include "value_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "directory.h"
#include "io_error.h"

namespace grace::ledger::internal {
namespace {

constexpr std::string_view kValues = ".values";

// All bytes of a file become zeros, durably. Nothing happens where it is not there.
Result<void> wipe(FileSystem& fs, const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return make_io_error("look at", path, -errno);
  }
  const int fd = fs.open(path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return make_io_error("open", path, fd);
  const std::vector<std::byte> zeros(64 << 10);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  int outcome = 0;
  for (std::uint64_t at = 0; at < size && outcome >= 0; at += zeros.size()) {
    const auto piece = std::span(zeros).first(std::min<std::uint64_t>(zeros.size(), size - at));
    outcome = write_all(fs, fd, piece, at);
  }
  if (outcome >= 0) outcome = fs.sync_file(fd);
  (void)fs.close(fd);
  if (outcome < 0) return make_io_error("overwrite", path, outcome);
  return {};
}

Result<std::optional<ValueFile>> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    const int number = errno;
    if (number == ENOENT) return std::optional<ValueFile>();
    return make_io_error("open", path, -number);
  }
  const auto size = static_cast<std::uint64_t>(file.tellg());
  if (size > kValueFileBytesMax) {
    return make_error(ErrorCode::kUnsupported, path + " is larger than a file of values gets");
  }
  std::string bytes(size, '\0');
  file.seekg(0);
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  if (file.bad()) return make_io_error("read", path, -EIO);
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  auto parsed = parse_value_file(std::as_bytes(std::span(bytes)));
  ::explicit_bzero(bytes.data(), bytes.size());
  return parsed;
}

}  // namespace

std::string value_directory(const std::string& log_directory) {
  return log_directory + "/redacted";
}

Result<std::vector<ValueFileName>> list_value_files(const std::string& directory) {
  const auto numbers = list_numbered(directory, kValues);
  if (!numbers && numbers.error().code == ErrorCode::kNotFound) {
    return make_error(ErrorCode::kNotFound, "no stored values: " + directory);
  }
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  std::vector<ValueFileName> files;
  for (const std::uint64_t first_id : *numbers) {
    files.push_back({first_id, numbered_path(directory, first_id, kValues)});
  }
  return files;
}

Result<std::optional<ValueFile>> read_value_file(const std::string& path) {
  const std::string rewrite = path.substr(0, path.rfind('.')) + ".rewrite";
  // An interrupted deletion: the file itself may be half overwritten.
  if (file_exists(rewrite)) return read_file(rewrite);
  return read_file(path);
}

Result<ValueLock> ValueLock::acquire(const std::string& directory) {
  const std::string path = lock_path(directory);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return make_io_error("open", path, -errno);
  ValueLock lock(fd);
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return make_io_error("lock", path, -errno);
  }
  return lock;
}

ValueLock ValueLock::acquire_to_read(const std::string& directory) {
  ValueLock lock(::open(lock_path(directory).c_str(), O_RDONLY | O_CLOEXEC));
  while (lock.fd_ >= 0 && ::flock(lock.fd_, LOCK_SH) != 0 && errno == EINTR) {
  }
  return lock;
}

ValueLock::~ValueLock() {
  if (fd_ >= 0) ::close(fd_);
}

ValueStore::~ValueStore() {
  (void)end_file();
}

Result<void> ValueStore::open() {
  const int made = fs_.make_directory(directory_);
  if (made < 0 && made != -EEXIST) return make_io_error("make directory", directory_, made);
  if (::chmod(directory_.c_str(), S_IRWXU) != 0) return make_io_error("chmod", directory_, -errno);
  const std::string parent = directory_.substr(0, directory_.rfind('/'));
  if (const int named = fs_.sync_directory(parent); named < 0) {
    return make_io_error("sync directory", parent, named);
  }
  const auto lock = ValueLock::acquire(directory_);
  if (!lock) return tl::unexpected<Error>(lock.error());
  if (auto finished = finish_deletions(fs_, directory_); !finished) return finished;
  const auto files = list_value_files(directory_);
  if (!files) return tl::unexpected<Error>(files.error());
  if (files->empty()) return {};
  // Behind all that was ever given out, and under a name that is free.
  next_id_ = files->back().first_id + 1;
  const auto last = read_value_file(files->back().path);
  if (!last) return tl::unexpected<Error>(last.error());
  if (*last && !(*last)->values.empty()) {
    next_id_ = std::max(next_id_, (*last)->values.back().id + 1);
  }
  return {};
}

Result<std::uint64_t> ValueStore::append(StoredValue& value) {
  if (value.value.size() > kValueBytesMax) {
    return make_error(ErrorCode::kInvalidArgument, "a redacted value of more than 16 MiB");
  }
  const auto lock = ValueLock::acquire(directory_);
  if (!lock) return tl::unexpected<Error>(lock.error());
  if (fd_ >= 0 && was_replaced()) abandon_file();  // what it held has been synced elsewhere
  if (fd_ >= 0 && size_bytes_ >= kValueFileRollBytes) {
    if (auto ended = end_file(); !ended) return tl::unexpected<Error>(ended.error());
  }
  if (fd_ < 0) {
    if (auto begun = begin_file(); !begun) return tl::unexpected<Error>(begun.error());
  }
  value.id = next_id_++;
  buffer_.clear();
  append_value(value, buffer_);
  const int written = write_all(fs_, fd_, std::as_bytes(std::span(buffer_)), size_bytes_);
  ::explicit_bzero(buffer_.data(), buffer_.size());
  if (written < 0) {
    const std::string path = path_;
    (void)end_file();  // it may end with a piece of an entry
    return make_io_error("write", path, written);
  }
  size_bytes_ += buffer_.size();
  unsynced_ = true;
  return value.id;
}

// A deletion has put another file under its name: ours has no name left.
bool ValueStore::was_replaced() const {
  struct stat info {};
  return ::fstat(fd_, &info) != 0 || info.st_nlink == 0;
}

void ValueStore::abandon_file() {
  (void)fs_.close(fd_);
  fd_ = -1;
  unsynced_ = false;
}

Result<void> ValueStore::begin_file() {
  path_ = numbered_path(directory_, next_id_, kValues);
  const int fd = fs_.open(path_, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return make_io_error("create", path_, fd);
  fd_ = fd;
  buffer_.clear();
  append_value_file_header(next_id_, buffer_);
  // The name is used up whatever becomes of the file.
  const int written = write_all(fs_, fd_, std::as_bytes(std::span(buffer_)), 0);
  if (written < 0) {
    ++next_id_;
    abandon_file();
    return make_io_error("write", path_, written);
  }
  size_bytes_ = buffer_.size();
  unsynced_ = true;
  if (const int named = fs_.sync_directory(directory_); named < 0) {
    ++next_id_;
    abandon_file();
    return make_io_error("sync directory", directory_, named);
  }
  return {};
}

Result<void> ValueStore::end_file() {
  if (fd_ < 0) return {};
  auto synced = sync();
  if (fd_ >= 0) abandon_file();
  return synced;
}

Result<void> ValueStore::sync() {
  if (fd_ < 0 || !unsynced_) return {};
  const int synced = fs_.sync_file(fd_);
  unsynced_ = false;
  if (synced >= 0) return {};
  abandon_file();
  return make_io_error("sync", path_, synced);
}

Result<void> finish_deletions(FileSystem& fs, const std::string& directory) {
  for (const std::string& path : list_ending(directory, ".unfinished")) {
    if (auto wiped = wipe(fs, path); !wiped) return wiped;
    if (const int removed = fs.remove(path); removed < 0) {
      return make_io_error("remove", path, removed);
    }
  }
  for (const std::string& rewrite : list_ending(directory, ".rewrite")) {
    const std::string values = rewrite.substr(0, rewrite.rfind('.')) + std::string(kValues);
    if (auto wiped = wipe(fs, values); !wiped) return wiped;
    if (const int renamed = fs.rename(rewrite, values); renamed < 0) {
      return make_io_error("rename", rewrite, renamed);
    }
    if (const int named = fs.sync_directory(directory); named < 0) {
      return make_io_error("sync directory", directory, named);
    }
  }
  return {};
}

}  // namespace grace::ledger::internal
