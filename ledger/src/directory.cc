#include "directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "io_error.h"

namespace grace::ledger::internal {
namespace {

constexpr std::string_view kSegmentEnding = ".segment";
constexpr std::string_view kCompressedEnding = ".segment.zst";
constexpr std::string_view kTreeEnding = ".tree";
constexpr std::string_view kKeyChangeEnding = ".keychange";
constexpr std::size_t kDigits = 12;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

Result<std::vector<std::string>> list_names(const std::string& directory) {
  const std::unique_ptr<DIR, CloseDirectory> open(::opendir(directory.c_str()));
  if (open == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return make_error(ErrorCode::kNotFound, "no such directory: " + directory, errno);
    }
    return make_io_error("open directory", directory, -errno);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(open.get())) names.emplace_back(entry->d_name);
  return names;
}

// A listing is no snapshot: beside a live writer it may miss a file and show one that was made
// later. What seems to be missing is asked for once more by name.
std::vector<std::uint64_t> with_late_arrivals(const std::string& directory,
                                              std::vector<std::uint64_t> numbers) {
  constexpr std::uint64_t kGapMax = 64;  // wider ones are no matter of a moment
  std::vector<std::uint64_t> complete;
  complete.reserve(numbers.size());
  for (const std::uint64_t number : numbers) {
    if (!complete.empty() && number - complete.back() <= kGapMax) {
      for (std::uint64_t missing = complete.back() + 1; missing < number; ++missing) {
        if (!segment_exists(directory, missing)) continue;
        complete.push_back(missing);
      }
    }
    complete.push_back(number);
  }
  return complete;
}

std::string holder_of(int fd) {
  std::array<char, 32> text{};
  const auto size = ::pread(fd, text.data(), text.size() - 1, 0);
  if (size <= 0) return "another writer";
  std::string_view pid(text.data(), static_cast<std::size_t>(size));
  return "the writer with process id " + std::string(pid.substr(0, pid.find('\n')));
}

}  // namespace

std::string numbered_path(const std::string& directory, std::uint64_t number,
                          std::string_view ending) {
  std::string digits = std::to_string(number);
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  return directory + "/" + digits + std::string(ending);
}

Result<std::vector<std::uint64_t>> list_numbered(const std::string& directory,
                                                 std::string_view ending) {
  auto names = list_names(directory);
  if (!names) return tl::unexpected<Error>(names.error());
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : *names) {
    if (!name.ends_with(ending)) continue;
    const char* const end = name.data() + name.size() - ending.size();
    std::uint64_t number = 0;
    const auto [stop, outcome] = std::from_chars(name.data(), end, number);
    if (outcome != std::errc{} || stop != end || number == 0) continue;
    // One spelling for each number, or two files could claim one place.
    if (numbered_path(directory, number, ending) != directory + "/" + name) continue;
    numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string segment_path(const std::string& directory, std::uint64_t number) {
  return numbered_path(directory, number, kSegmentEnding);
}
std::string compressed_path(const std::string& directory, std::uint64_t number) {
  return numbered_path(directory, number, kCompressedEnding);
}
std::string index_path(const std::string& directory, std::uint64_t number) {
  return numbered_path(directory, number, ".index");
}
std::string tree_path(const std::string& directory, std::uint64_t number) {
  return numbered_path(directory, number, kTreeEnding);
}
std::string key_change_path(const std::string& directory, std::uint64_t sequence) {
  return numbered_path(directory, sequence, kKeyChangeEnding);
}
std::string prepared_path(const std::string& directory, std::uint64_t number) {
  return numbered_path(directory, number, ".prepared");
}
std::string quarantine_directory(const std::string& directory) {
  return directory + "/quarantine";
}
std::string checkpoint_path(const std::string& directory) {
  return directory + "/checkpoint";
}

std::string lock_path(const std::string& directory) {
  return directory + "/LOCK";
}

bool file_exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::optional<std::uint64_t> file_bytes(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(info.st_size);
}

// The plain one first: it goes only when the other is there.
bool segment_exists(const std::string& directory, std::uint64_t number) {
  return file_exists(segment_path(directory, number)) ||
         file_exists(compressed_path(directory, number));
}

std::string stored_path(const std::string& directory, std::uint64_t number) {
  std::string plain = segment_path(directory, number);
  if (file_exists(plain)) return plain;
  std::string compressed = compressed_path(directory, number);
  return file_exists(compressed) ? compressed : plain;
}

Result<std::vector<std::uint64_t>> list_segments(const std::string& directory) {
  auto numbers = list_numbered(directory, kSegmentEnding);
  if (!numbers) return numbers;
  const auto compressed = list_numbered(directory, kCompressedEnding);
  if (!compressed) return compressed;
  numbers->insert(numbers->end(), compressed->begin(), compressed->end());
  std::sort(numbers->begin(), numbers->end());
  numbers->erase(std::unique(numbers->begin(), numbers->end()), numbers->end());
  return with_late_arrivals(directory, std::move(*numbers));
}

Result<std::vector<std::uint64_t>> list_tree_files(const std::string& directory) {
  return list_numbered(directory, kTreeEnding);
}

Result<std::vector<std::uint64_t>> list_key_changes(const std::string& directory) {
  return list_numbered(directory, kKeyChangeEnding);
}

Result<std::vector<std::uint64_t>> segments_of_log(const std::string& directory) {
  auto numbers = list_segments(directory);
  if (numbers && numbers->empty()) {
    return make_error(ErrorCode::kNotFound, directory + " holds no log: no segment file");
  }
  return numbers;
}

Error located(Error error, const std::string& directory, std::uint64_t number) {
  error.segment = number;
  error.message = stored_path(directory, number) + " at byte " + std::to_string(error.offset) +
                  ": " + error.message;
  return error;
}

std::vector<std::string> list_ending(const std::string& directory, const std::string& ending) {
  std::vector<std::string> paths;
  const auto names = list_names(directory);
  if (!names) return paths;
  for (const std::string& name : *names) {
    if (name.ends_with(ending)) paths.push_back(directory + "/" + name);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Result<DirectoryLock> DirectoryLock::acquire(const std::string& directory) {
  const std::string path = lock_path(directory);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return make_io_error("open", path, -errno);
  DirectoryLock lock(fd);
  // A reader that asks is_locked() holds the lock for an instant: try again before giving up.
  bool taken = false;
  for (int attempt = 0; attempt < 10 && !taken; ++attempt) {
    taken = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!taken && errno != EWOULDBLOCK && errno != EINTR) {
      return make_io_error("lock", path, -errno);
    }
    if (!taken) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (!taken) {
    return make_error(ErrorCode::kLocked, directory + " is in use by " + holder_of(fd));
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    return make_io_error("write", path, -errno);
  }
  return lock;
}

DirectoryLock::~DirectoryLock() {
  release();
}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
  if (this != &other) {
    release();
    fd_ = other.fd_;
    other.fd_ = -1;
  }
  return *this;
}

void DirectoryLock::release() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool is_locked(const std::string& directory) {
  const int fd = ::open(lock_path(directory).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool locked = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return locked;
}

}  // namespace grace::ledger::internal
