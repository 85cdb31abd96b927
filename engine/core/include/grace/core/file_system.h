#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "grace/core/error.h"
#include "grace/core/io.h"

namespace grace::core {

struct FileInfo {
  std::uint64_t size_bytes = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;  // with device: tells a rotated file from the one that was opened
  std::int64_t modified_ns = 0;
  bool regular = false;  // false: directory, pipe, socket, terminal
  bool directory = false;
};

enum class OpenMode : std::uint8_t {
  kRead = 0,
  kReadNonBlocking,  // pipes and terminals: read() gives kWouldBlock instead of waiting
  kAppend,           // created (0640) if absent
  kTruncate,         // created (0640) or emptied
};

// One open file; closed by the destructor. One thread at a time.
class File {
 public:
  virtual ~File() = default;
  // Reads on from where the last read ended. May give less than asked for.
  virtual Result<IoCount> read(std::span<char> to) = 0;
  // Reads at a place of its own; less than asked for only at the end of the file.
  virtual Result<IoCount> read_at(std::span<char> to, std::uint64_t offset) = 0;
  // Writes all or fails. What a failed write left in the file is unknown up to the whole.
  virtual Result<void> write(std::span<const char> from) = 0;
  // On stable storage when it returns.
  virtual Result<void> sync() = 0;
  virtual Result<FileInfo> info() const = 0;
};

// The seam for files. The ledger has its own (it stands alone below this floor). Calls may wait for
// the disk: never from a worker or the ordered stage.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<FileInfo> info(const std::string& path) = 0;
  // Names in a directory without "." and "..", sorted.
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  // Creates a directory (0750) and those above it; one that exists is success.
  virtual Result<void> make_directories(const std::string& path) = 0;
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;  // file or empty directory
};

[[nodiscard]] std::unique_ptr<FileSystem> make_system_file_system();
// Standard input as a File; not closed by it.
[[nodiscard]] std::unique_ptr<File> make_standard_input(OpenMode mode = OpenMode::kReadNonBlocking);

}  // namespace grace::core
