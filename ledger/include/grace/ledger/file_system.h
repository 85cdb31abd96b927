#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace grace::ledger {

// Every system call by which a writer changes files, so that tests can make each of them fail. All
// return 0 (or a descriptor, or a count) on success and -errno on failure; EINTR is dealt with
// inside. Called by several threads.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual int open(const std::string& path, int flags, unsigned mode);
  virtual int close(int fd);
  virtual int allocate(int fd, std::uint64_t bytes);  // real blocks, reading as zeros
  virtual int truncate(int fd, std::uint64_t bytes);
  virtual std::int64_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset);
  virtual std::int64_t file_bytes(int fd);
  // The file's bytes, and of the rest what is needed to read them (fdatasync).
  virtual int sync_data(int fd);
  virtual int sync_file(int fd);
  virtual int sync_directory(const std::string& path);
  virtual int rename(const std::string& from, const std::string& to);
  virtual int remove(const std::string& path);
  virtual int make_directory(const std::string& path);
};

// The process's real file system: stateless, lives for ever.
[[nodiscard]] FileSystem& real_file_system();

}  // namespace grace::ledger
