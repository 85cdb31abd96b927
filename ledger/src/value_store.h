#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grace/ledger/file_system.h"
#include "value_file.h"

namespace grace::ledger::internal {

// The directory of stored values: `<first id, 12 digits>.values`. `.rewrite` is such a file without
// the values that are being deleted, complete; `.unfinished` one that is not.
[[nodiscard]] std::string value_directory(const std::string& log_directory);
struct ValueFileName {
  std::uint64_t first_id;
  std::string path;
};
// Ascending. kNotFound where there is no store.
[[nodiscard]] Result<std::vector<ValueFileName>> list_value_files(const std::string& directory);
// Nothing where the file is gone or holds no header. kUnsupported: larger than any of ours.
[[nodiscard]] Result<std::optional<ValueFile>> read_value_file(const std::string& path);

// Keeps appends, deletions and reading apart, between processes too (flock on `LOCK`).
class ValueLock {
 public:
  [[nodiscard]] static Result<ValueLock> acquire(const std::string& directory);
  // Shared with other readers. Where there is no lock, nobody deletes.
  [[nodiscard]] static ValueLock acquire_to_read(const std::string& directory);
  ~ValueLock();
  ValueLock(ValueLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  ValueLock& operator=(ValueLock&&) = delete;

 private:
  explicit ValueLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Appends to the newest file. Each open begins a file of its own, so that nothing is written behind
// a torn entry. One thread at a time.
class ValueStore {
 public:
  ValueStore(FileSystem& fs, std::string directory) : fs_(fs), directory_(std::move(directory)) {}
  ~ValueStore();
  ValueStore(const ValueStore&) = delete;
  ValueStore& operator=(const ValueStore&) = delete;

  [[nodiscard]] Result<void> open();
  // Gives the value its id, and writes it. On an error the next one goes to a new file.
  [[nodiscard]] Result<std::uint64_t> append(StoredValue& value);
  // On an error it is not tried again for what was written before.
  [[nodiscard]] Result<void> sync();

 private:
  [[nodiscard]] Result<void> begin_file();
  [[nodiscard]] Result<void> end_file();
  void abandon_file();
  [[nodiscard]] bool was_replaced() const;

  FileSystem& fs_;
  const std::string directory_;
  std::uint64_t next_id_ = 1;
  int fd_ = -1;
  std::string path_;
  std::uint64_t size_bytes_ = 0;
  bool unsynced_ = false;
  std::string buffer_;
};

// Overwrites the `.values` that each complete `.rewrite` stands for, puts that in its place, and
// wipes what is unfinished. The lock is held.
[[nodiscard]] Result<void> finish_deletions(FileSystem& fs, const std::string& directory);

}  // namespace grace::ledger::internal
