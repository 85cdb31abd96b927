#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"

namespace grace::ledger::internal {

// A file that has a number for its name: 12 digits at least, padded with zeros.
[[nodiscard]] std::string numbered_path(const std::string& directory, std::uint64_t number,
                                        std::string_view ending);
// Numbers from 1 on of all files with such a name and this ending, ascending; what is spelt in
// another way is left out. kNotFound: no such directory.
[[nodiscard]] Result<std::vector<std::uint64_t>> list_numbered(const std::string& directory,
                                                               std::string_view ending);

// Names inside a log's directory.
[[nodiscard]] std::string segment_path(const std::string& directory, std::uint64_t number);
[[nodiscard]] std::string compressed_path(const std::string& directory, std::uint64_t number);
[[nodiscard]] std::string index_path(const std::string& directory, std::uint64_t number);
[[nodiscard]] std::string tree_path(const std::string& directory, std::uint64_t number);
[[nodiscard]] std::string key_change_path(const std::string& directory, std::uint64_t sequence);
[[nodiscard]] std::string prepared_path(const std::string& directory, std::uint64_t number);
[[nodiscard]] std::string quarantine_directory(const std::string& directory);
[[nodiscard]] std::string checkpoint_path(const std::string& directory);
[[nodiscard]] std::string lock_path(const std::string& directory);

// Whether a segment is there in one form or the other, and the file that counts: the plain one if
// both are.
[[nodiscard]] bool segment_exists(const std::string& directory, std::uint64_t number);
[[nodiscard]] std::string stored_path(const std::string& directory, std::uint64_t number);
[[nodiscard]] bool file_exists(const std::string& path);
[[nodiscard]] std::optional<std::uint64_t> file_bytes(const std::string& path);  // none: no file

// Numbers of all segments, plain or compressed, ascending; what has another name is none of ours.
[[nodiscard]] Result<std::vector<std::uint64_t>> list_segments(const std::string& directory);
// Numbers of all tree files, ascending.
[[nodiscard]] Result<std::vector<std::uint64_t>> list_tree_files(const std::string& directory);
// Sequences of all key changes that are carried in files, ascending.
[[nodiscard]] Result<std::vector<std::uint64_t>> list_key_changes(const std::string& directory);
// Segments of a log that must be there: kNotFound where there is none.
[[nodiscard]] Result<std::vector<std::uint64_t>> segments_of_log(const std::string& directory);
// An error in a segment, at its offset: adds the segment's number and says where.
[[nodiscard]] Error located(Error error, const std::string& directory, std::uint64_t number);
// Full paths of the files in a directory whose name ends so, sorted. Empty if it does not exist.
[[nodiscard]] std::vector<std::string> list_ending(const std::string& directory,
                                                   const std::string& ending);

// The writer's advisory lock (flock on the file LOCK). Released by the destructor or by the end of
// the process.
class DirectoryLock {
 public:
  [[nodiscard]] static Result<DirectoryLock> acquire(const std::string& directory);
  DirectoryLock() = default;
  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  DirectoryLock& operator=(DirectoryLock&& other) noexcept;
  void release();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Whether some writer holds the lock now. Takes nothing away from a writer that starts meanwhile:
// asks for a shared lock only for an instant.
[[nodiscard]] bool is_locked(const std::string& directory);

}  // namespace grace::ledger::internal
